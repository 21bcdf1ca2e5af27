"""A server without a key decides by the local user at the other end of a connection."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server import peers
from streamrag_cli.server.peers import Peers
from streamrag_cli.server.security import check_access
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.http_client import request, wait_until
from tests.support.running_server import STREAMRAG, running_server, served

pytestmark = pytest.mark.skipif(
    not peers.is_supported(), reason="needs Linux: reads a connection's owner from /proc/net"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to ask as another user")

OTHER_UID = 61234
PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
KEY = "q7w8e9r0-visitors-tz4u5"
# One connection as another user: prints status and body for each path.
_CLIENT = """
import http.client, os, sys
"localhost".encode("idna")  # import it now: the other user may not be able to read it
uid = int(sys.argv.pop(1))
os.setgroups([]), os.setgid(uid), os.setuid(uid)
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
for path in sys.argv[3:]:
    connection.request("GET", path, headers={"Host": "localhost"})
    reply = connection.getresponse()
    print(reply.status, reply.read().decode())
"""


def replies_to_another_user(host: str, port: int, *paths: str) -> list[str]:
    command = [sys.executable, "-c", _CLIENT, str(OTHER_UID), host, str(port), *paths]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@contextmanager
def connected(family: socket.AddressFamily, host: str, asking: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the client's and the server's."""
    kind = socket.AF_INET6 if ":" in asking else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.socket(kind, socket.SOCK_STREAM) as client,
    ):
        client.connect((asking, server.getsockname()[1]))
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


def make_peers(source: str) -> Peers:
    return Peers(ask_kernel=source == "the kernel")


def uid_at(accepted: socket.socket, lookup: Peers) -> int | None:
    return lookup.uid_of(accepted.getpeername()[:2], accepted.getsockname()[:2])


@pytest.mark.parametrize("source", ["the kernel", "its tables"])
@pytest.mark.parametrize(
    ("family", "host", "asking"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.9.8.7", "127.9.8.7"),
        (socket.AF_INET, "127.0.0.1", "::ffff:127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
    ],
)
def test_the_owner_of_a_connection_is_found(family: socket.AddressFamily, host: str, asking: str, source: str) -> None:
    with closing(make_peers(source)) as lookup, connected(family, host, asking) as (client, accepted):
        own = uid_at(accepted, lookup)
        if os.geteuid() == 0:
            os.fchown(client.fileno(), OTHER_UID, -1)
        now = uid_at(accepted, lookup)

    assert (own, now) == (os.geteuid(), OTHER_UID if os.geteuid() == 0 else os.geteuid())


@pytest.mark.fault("other-user")
@pytest.mark.parametrize("source", ["the kernel", "its tables"])
def test_a_closed_connection_is_not_attributed_to_root(source: str) -> None:
    one = connected(socket.AF_INET, "127.0.0.1", "127.0.0.1")
    with closing(make_peers(source)) as lookup, one as (client, accepted):
        client.close()
        assert accepted.recv(1) == b""

        assert uid_at(accepted, lookup) is None


@pytest.mark.parametrize("source", ["the kernel", "its tables"])
def test_a_listening_socket_on_the_same_port_is_ignored(source: str) -> None:
    with closing(make_peers(source)) as lookup, socket.create_server(("127.0.0.1", 0)) as listening:
        assert lookup.uid_of(listening.getsockname(), ("127.0.0.1", 9)) is None


def test_the_owner_is_found_in_a_table_of_many_connections() -> None:
    many = socket.create_server(("127.0.0.1", 0), backlog=1000)
    with closing(make_peers("its tables")) as lookup, many as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(300)]
        accepted = [server.accept()[0] for _ in clients]
        owners = {uid_at(each, lookup) for each in (accepted[0], accepted[150], accepted[-1])}
        for each in (*clients, *accepted):
            each.close()

    assert owners == {os.geteuid()}


@pytest.mark.fault("other-user")
@as_root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_other_local_users_are_refused_and_the_servers_user_is_not(host: str, settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, host=host)) as server:
        paths = ["/healthz", "/", "/search?query=berth", "/collections", "/v1/models", "/metrics"]
        alive, *refused = replies_to_another_user(host, server.port, *paths)
        url = f"http://[{host}]:{server.port}" if ":" in host else server.url
        own = request(f"{url}/collections").status

    assert alive.startswith("200 ")
    assert [reply.startswith("401 ") and '"code":"other_user"' in reply for reply in refused] == [True] * 5
    assert own == 200


@pytest.mark.fault("other-user")
@as_root
def test_every_worker_refuses_other_users(settings: Settings) -> None:
    with served(settings, "--workers", "2") as server:
        port = int(server.url.rpartition(":")[2])
        assert wait_until(lambda: request(f"{server.url}/collections").status == 200, within_s=60)
        refused = {replies_to_another_user("127.0.0.1", port, "/collections")[0].partition(" ")[0] for _ in range(6)}

    assert refused == {"401"}


@as_root
@pytest.mark.parametrize("named", [str(OTHER_UID), "nobody"])
def test_an_allowed_user_is_answered(named: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    if named == "nobody":
        monkeypatch.setattr(sys.modules[__name__], "OTHER_UID", pwd.getpwnam("nobody").pw_uid)
    with running_server(settings, replace(PLENTY, allow_user=(named,))) as server:
        assert [each[:3] for each in replies_to_another_user("127.0.0.1", server.port, "/collections")] == ["200"]


@as_root
def test_with_a_server_key_other_users_are_asked_for_the_key(settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, server_key=KEY)) as server:
        [reply] = replies_to_another_user("127.0.0.1", server.port, "/collections")

    assert '"code":"key_missing"' in reply


@pytest.mark.fault("other-user")
@as_root
def test_a_connection_in_another_network_namespace_has_no_owner(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    script = (
        "import socket, sys\n"
        "from streamrag_cli.server.peers import Peers\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\n"
        "print(client.getsockname()[1], server.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    unshare = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" -c "$1"', sys.executable, script]
    try:
        elsewhere = subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        pytest.skip("needs unshare from util-linux")
    with elsewhere, closing(Peers()) as lookup:
        assert elsewhere.stdout is not None
        line = elsewhere.stdout.readline()
        if not line:
            pytest.skip("needs permission to create a network namespace")
        client, server = map(int, line.split())

        assert lookup.uid_of(("127.0.0.1", client), ("127.0.0.1", server)) is None


def test_an_unknown_allowed_user_is_an_error_at_startup(settings: Settings) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_access(ServerSettings(allow_user=("no-such-user-here",)))
    done = subprocess.run(
        [*STREAMRAG, "serve", "--allow-user", "no-such-user-here", "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert raised.value.code == "bad_setting"
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        3,
        "streamrag: allow_user: this machine has no user 'no-such-user-here'",
    )


def test_requests_are_answered_if_connection_owners_are_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_TABLES", {4: ("/proc/net/no-such-table",), 6: ("/proc/net/no-such-table",)})
    with running_server(settings) as server:
        assert request(f"{server.url}/collections").status == 200
