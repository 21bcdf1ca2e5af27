"""Disconnects, slow clients, hanging stores and shutdown: other clients are not blocked, and nothing is left open."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.server.limits import Limits
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.registry import store_address
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S
from tests.support.collection import make_collection
from tests.support.http_client import ask_url, request, streaming, wait_until
from tests.support.openai_replies import Hold, Stall, answer, finish, stream, token
from tests.support.openai_server import OpenAIServer, Script
from tests.support.postgres_server import fresh_schema
from tests.support.running_server import STREAMRAG, RunningServer, running_server, served
from tests.support.stalling_proxy import StallingProxy, stalling_proxy

PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
EXIT_S = 20.0
"""Additional seconds, beyond the shutdown timeout, in which the process must exit on a busy machine."""


@contextmanager
def answering(
    settings: Settings, script: Script, *, server: ServerSettings = PLENTY, limits: Limits | None = None
) -> Iterator[tuple[OpenAIServer, RunningServer]]:
    with OpenAIServer(chat=script) as model:
        model_settings = replace(settings, base_url=model.base_url, model="m")
        with running_server(model_settings, server, limits) as running:
            yield model, running


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@pytest.mark.fault("client-leaves")
@pytest.mark.parametrize("when", ["before the first token", "between tokens"])
def test_a_disconnect_closes_the_model_call(when: str, settings: Settings) -> None:
    steps = stream(Stall()) if when == "before the first token" else stream(token("a"), Stall())
    with answering(settings, steps) as (model, server):
        with streaming(ask_url(server.url)) as answered:
            answered.next_of("sources" if when == "before the first token" else "token")
            model.wait_for_requests(1)

        assert model.requests[0].closed_by_client.wait(timeout=10.0)
        assert wait_until(lambda: server.open_streams == 0)


@pytest.mark.fault("client-leaves")
def test_a_disconnect_with_a_full_buffer_closes_the_model_call(settings: Settings) -> None:
    flood = stream(*[token("x" * 100_000)] * 200, Stall())
    with answering(settings, flood) as (model, server):
        reader = connect(server)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        _ask(reader, server)
        model.wait_for_requests(1)
        assert reader.recv(100)
        time.sleep(0.5)  # until the buffers are full, which cannot be observed
        reader.close()

        assert model.requests[0].closed_by_client.wait(timeout=10.0)
        assert wait_until(lambda: server.open_streams == 0)


@pytest.mark.fault("client-never-reads")
def test_a_client_that_never_reads_is_disconnected_at_the_limit(settings: Settings) -> None:
    flood = stream(*[token("x" * 100_000)] * 200, Stall())
    with answering(settings, flood, limits=Limits(send_stall_s=0.5)) as (model, server):
        reader = connect(server)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        _ask(reader, server)
        model.wait_for_requests(1)

        assert model.requests[0].closed_by_client.wait(timeout=10.0)
        assert wait_until(lambda: server.open_streams == 0)
        reader.close()


def test_a_slow_client_delays_only_its_own_answer_and_loses_nothing(settings: Settings) -> None:
    words = [f"word{n} " * 200 for n in range(500)]
    with answering(settings, answer(*words)) as (_, server):
        with streaming(ask_url(server.url)) as slow, streaming(ask_url(server.url)) as quick:
            assert "".join(e["token"] for e in quick.events() if e["type"] == "token") == "".join(words)
            assert "".join(e["token"] for e in slow.events() if e["type"] == "token") == "".join(words)


SLOW = Limits(headers_s=0.3, body_s=0.3, idle_s=1)


@pytest.mark.fault("slow-requests")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x", id="headers that do not end"),
        pytest.param(
            b"POST /rag/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
            b'Content-Type: application/json\r\n\r\n{"qu',
            id="body that does not end",
        ),
    ],
)
def test_the_connection_of_an_incomplete_request_is_closed_while_others_are_served(
    sent: bytes, settings: Settings
) -> None:
    with running_server(settings, limits=SLOW) as server, connect(server) as slow:
        slow.sendall(sent)
        assert request(f"{server.url}/healthz").status == 200
        assert is_closed(slow)


@pytest.mark.fault("slow-requests")
def test_a_client_that_sends_headers_byte_by_byte_is_disconnected(settings: Settings) -> None:
    with running_server(settings, limits=SLOW) as server, connect(server) as slow:
        started_s = time.monotonic()
        with pytest.raises(OSError):
            for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 1000:
                slow.sendall(bytes([byte]))
                time.sleep(0.02)

        assert time.monotonic() - started_s < 15  # sending all headers would take 20 s


@pytest.mark.fault("slow-requests")
def test_an_idle_connection_is_closed(settings: Settings) -> None:
    with running_server(settings, limits=SLOW) as server, connect(server) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b'{"status":"ok"}'):  # headers and body may arrive separately
            received += idle.recv(10_000)

        assert is_closed(idle)


@pytest.mark.fault("slow-requests")
@pytest.mark.parametrize(
    ("head", "rest"),
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n", id="an empty line"),
        pytest.param(
            b"POST /rag/stream HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 9\r\n\r\n",
            b"123456789",
            id="the rest of a body that was refused before its end",
        ),
    ],
)
def test_a_connection_that_is_kept_busy_without_a_request_is_closed(
    head: bytes, rest: bytes, settings: Settings
) -> None:
    limits = Limits(headers_s=30.0, body_s=30.0, idle_s=1)
    with running_server(settings, limits=limits) as server, connect(server) as idle:
        idle.sendall(head)
        assert idle.recv(10_000).startswith(b"HTTP/1.1 ")
        idle.sendall(rest)

        with suppress(ConnectionResetError):
            while idle.recv(10_000):  # raises TimeoutError if the server leaves the connection open
                pass


@pytest.mark.fault("client-never-reads")
@pytest.mark.parametrize("requests", [20, 40, 80])
def test_unread_replies_do_not_keep_an_idle_connection_open(requests: int, settings: Settings) -> None:
    limits = Limits(idle_s=1, send_stall_s=1.0, send_buffer_bytes=4096)
    with running_server(settings, limits=limits) as server, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * requests)

        assert wait_until(lambda: server.server.server_state.total_requests > 0)
        assert wait_until(lambda: not server.server.server_state.connections)


def test_a_client_that_sends_endless_headers_is_disconnected(settings: Settings) -> None:
    with running_server(settings) as server, connect(server) as flooding:
        with pytest.raises(OSError):
            for _ in range(1000):
                flooding.sendall(b"X-Filler: " + b"y" * 10_000 + b"\r\n")
            raise AssertionError("ten megabytes of headers were accepted")


@pytest.mark.fault("too-many-streams")
def test_streams_beyond_the_limit_are_refused_before_they_begin(settings: Settings) -> None:
    release = threading.Event()
    chat = stream(token("a"), Hold(release), finish())
    with answering(settings, chat, server=replace(PLENTY, max_streams=1)) as (model, server):
        with streaming(ask_url(server.url)) as first:
            first.next_of("token")
            refused = request(ask_url(server.url))
            release.set()
            first.next_of("done")
        assert wait_until(lambda: server.open_streams == 0)
        after = request(ask_url(server.url))

        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "too_many_streams", "2")
        assert (after.status, len(model.requests)) == (200, 2)


def test_shutdown_ends_open_streams_with_an_error_event(settings: Settings) -> None:
    with answering(settings, stream(token("a"), Stall())) as (model, server):
        with streaming(ask_url(server.url)) as answered:
            answered.next_of("token")
            server.server.should_exit = True
            events = list(answered.events())

        assert [(event["type"], event["code"]) for event in events] == [("error", "server_shutdown")]
        assert model.requests[0].closed_by_client.wait(timeout=10.0)


@pytest.mark.fault("signal-to-streams")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_open_streams_with_an_error_event_before_the_exit(
    number: signal.Signals, code: int, settings: Settings
) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model:
        with served(settings, "--base-url", model.base_url, "-m", "m") as server:
            with streaming(ask_url(server.url)) as answered:
                answered.next_of("token")
                server.process.send_signal(number)
                events = list(answered.events())
            return_code = server.process.wait(timeout=PLENTY.grace_s + EXIT_S)

    assert [(event["type"], event["code"]) for event in events] == [("error", "server_shutdown")]
    assert return_code == code
    assert "Traceback" not in server.stderr


@pytest.mark.fault("backend-silent")
@pytest.mark.postgres
@pytest.mark.parametrize("path", [ask_url(""), "/readyz"], ids=["a question", "readyz"])
def test_a_hanging_store_blocks_neither_other_requests_nor_shutdown(path: str, tmp_path: Path) -> None:
    with fresh_schema() as place, ExitStack() as left_open:
        settings = make_collection(tmp_path, {"a.md": "The ferry leaves at nine.\n"}, store=place)
        with served(settings) as server, psycopg.connect(place.url) as database:
            assert request(f"{server.url}/readyz").status == 200
            database.execute(f"LOCK TABLE {place.schema}.collections IN ACCESS EXCLUSIVE MODE")
            port = int(server.url.rpartition(":")[2])
            asking = left_open.enter_context(socket.create_connection(("127.0.0.1", port)))
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            waiting = "SELECT FROM pg_locks WHERE NOT granted"
            assert wait_until(lambda: database.execute(waiting).fetchone() is not None, within_s=60)
            alive = request(f"{server.url}/healthz")
            server.process.terminate()
            return_code = server.process.wait(timeout=PLENTY.grace_s + EXIT_S)

    assert (alive.status, return_code) == (200, 143)


@pytest.mark.fault("search-timeout")
@pytest.mark.postgres
def test_searches_abandoned_during_a_stall_leave_all_threads_free(tmp_path: Path) -> None:
    with fresh_schema() as place, stalling_proxy() as proxy:
        settings = make_collection(tmp_path, {"a.md": "The ferry leaves at nine.\n"}, store=place)
        with served(replace(settings, store=proxy.address(place))) as server:
            searched = ask_url(server.url, path="/search")
            assert request(searched).status == 200
            _end_connections(place)
            proxy.word = b"BEGIN"
            port = int(server.url.rpartition(":")[2])
            for _ in range(3):
                _abandon_searches(port, 6, until=proxy.stalled + 1, proxy=proxy)
            proxy.word = b""
            replies = [request(each).status for each in (searched, f"{server.url}/readyz", searched)]
            server.process.terminate()
            server.process.wait(timeout=PLENTY.grace_s + EXIT_S)

    assert replies == [200, 200, 200]
    disconnected = [line for line in server.stderr.splitlines() if "outcome=abandoned" in line]
    assert len(disconnected) >= 3
    assert all("outcome=abandoned" in line for line in disconnected)


def _abandon_searches(port: int, count: int, *, until: int, proxy: StallingProxy) -> None:
    """Start searches, and disconnect when the proxy has stalled `until` connections."""
    with ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET /search?query=ferry HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wait_until(lambda: proxy.stalled >= until, within_s=30)


def _end_connections(place: PostgresUrl) -> None:
    """End the idle connections, so that the next search connects."""
    with psycopg.connect(place.url, autocommit=True) as database:
        database.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'streamrag'"
        )


@pytest.mark.fault("database-silent")
def test_questions_to_a_silent_database_wait_concurrently(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent, ThreadPoolExecutor(6) as pool:
        address = f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2"
        with running_server(replace(settings, store=store_address(address))) as server:
            started_s = time.monotonic()
            replies = list(pool.map(lambda _: request(ask_url(server.url, path="/search")), range(6)))
            elapsed_s = time.monotonic() - started_s

    assert {(reply.status, reply.code) for reply in replies} == {(503, "store_unreachable")}
    assert elapsed_s < 10  # sequential waits would take 12 s


@pytest.mark.fault("search-timeout")
def test_a_search_that_takes_too_long_is_answered_with_503(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamrag_cli.retrieval.search.RETRIEVAL_LIMIT_S", 0.0)
    with running_server(settings) as server:
        reply = request(ask_url(server.url, path="/search"))
        with streaming(ask_url(server.url)) as answered:
            last = list(answered.events())[-1]

    assert (reply.status, reply.code) == (503, "retrieval_timeout")
    assert (last["type"], last["code"], last["retryable"]) == ("error", "retrieval_timeout", True)


@pytest.mark.fault("backend-silent")
def test_questions_waiting_for_vectors_do_not_delay_shutdown(tmp_path: Path) -> None:
    threads = (os.cpu_count() or 1) + 4  # the size of asyncio's thread pool
    settings = Settings(store=tmp_path / "store", embedding="openai:m")
    (tmp_path / "a.md").write_text("The ferry leaves at nine.\n")
    with OpenAIServer() as sound:
        ingest_request = IngestRequest(paths=(tmp_path / "a.md",), working_directory=tmp_path)
        assert isinstance([*ingest(ingest_request, replace(settings, base_url=sound.base_url))][-1], IngestDone)
    with OpenAIServer(embeddings=stream(Stall())) as silent, ExitStack() as left_open:
        variables = {"STREAMRAG_BASE_URL": silent.base_url, "STREAMRAG_TIMEOUT": "60"}
        with served(settings, **variables) as server:
            for _ in range(threads + 1):
                left_open.enter_context(streaming(ask_url(server.url)))
            silent.wait_for_requests(threads)
            server.process.terminate()

            assert server.process.wait(timeout=PLENTY.grace_s + EXIT_S) == 143


def test_a_port_in_use_causes_an_error_with_a_hint(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [*STREAMRAG, "serve", "--port", str(taken.getsockname()[1]), "--store", str(settings.store)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(
        r"streamrag: cannot listen on .*\nhint: use any free port: streamrag serve --port 0\n", done.stderr
    )


def _ask(reader: socket.socket, server: RunningServer) -> None:
    path = ask_url("").encode()
    reader.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path, server.port))


@pytest.mark.fault("slow-requests")
def test_a_body_of_tiny_chunks_is_cut_off_long_before_its_end(settings: Settings) -> None:
    lines = ("POST /search HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Transfer-Encoding: chunked")
    head = "\r\n".join((*lines, "", "")).encode()
    body = b'{"query": "When does the ferry leave?"}'
    small = head + b"".join(b"1\r\n%c\r\n" % each for each in body) + b"0\r\n\r\n"
    with running_server(settings, limits=Limits(body_s=600)) as server:
        with connect(server) as patient:
            patient.sendall(small)
            answered = patient.recv(12)
        with connect(server) as flooding:
            with suppress(ConnectionError):
                flooding.sendall(head + b"1\r\n \r\n" * 1_000_000)
            assert is_closed(flooding)

    assert answered == b"HTTP/1.1 200"


@pytest.mark.fault("search-timeout")
@pytest.mark.postgres
@pytest.mark.parametrize("path", ["/collections", "/v1/models", "/v1/models/streamrag", "/readyz"])
def test_a_request_to_a_stalled_database_ends_when_its_client_disconnects(path: str, tmp_path: Path) -> None:
    with fresh_schema() as place, stalling_proxy() as proxy:
        settings = make_collection(tmp_path, {"a.md": "The ferry leaves at nine.\n"}, store=place)
        with running_server(replace(settings, store=proxy.address(place)), PLENTY) as server:
            assert [request(f"{server.url}{each}").status for each in ("/readyz", path)] == [200, 200]
            _end_connections(place)
            proxy.word = b"BEGIN" if path == "/readyz" else b"collections"
            with connect(server) as leaving:
                leaving.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert wait_until(lambda: proxy.stalled >= 1 and bool(_waiting_threads()))
            left_s = time.monotonic()
            assert wait_until(lambda: not _waiting_threads())
            spent_s = time.monotonic() - left_s

    assert spent_s < RETRIEVAL_LIMIT_S / 2


def _waiting_threads() -> list[str]:
    """The names of the threads that wait for a store on behalf of a request."""
    return [each.name for each in threading.enumerate() if each.name.startswith("own_")]
