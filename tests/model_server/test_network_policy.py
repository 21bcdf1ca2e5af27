"""Requests to a model server reach only the configured origin, despite redirects and proxies."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamrag_cli.answer.model_choice import choose_endpoint
from streamrag_cli.doctor.model_check import check_model
from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.model_server import network_policy
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint
from streamrag_cli.model_server.network_policy import is_this_machine
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from streamrag_cli.settings import Settings
from tests.support.conversations import KEY, converse
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import Reply, answer, vectors, whole_body
from tests.support.openai_server import OpenAIServer


def answering(base_url: str) -> None:
    if error := converse(base_url).error:
        raise error


def embedding(base_url: str) -> None:
    endpoint = ModelEndpoint(model="words", base_url=base_url, api_key=KEY, purpose=EMBEDDING)
    OpenAIEmbedder(endpoint, timeout_s=5.0, sleep=lambda _: None).embed_documents(["a secret"])


def listing(base_url: str) -> None:
    choose_endpoint(model=None, base_url=base_url, api_key=KEY)


def examining(base_url: str) -> None:
    list(check_model(Settings(store=Path("unused"), base_url=base_url, model="m", api_key=KEY)))


ASKING = [answering, embedding, listing, examining]
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def elsewhere() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def sent_on(to: str, *, status: int) -> Reply:
    return whole_body(b"", status=status, headers={"Location": to})


def redirecting(to: str, *, status: int = 307) -> OpenAIServer:
    """A server that redirects every request to `to`, where `{port}` is its own port."""

    def reply(request: LoggedRequest) -> Reply:
        return sent_on(to.format(port=request.headers["host"].rpartition(":")[2]), status=status)

    return OpenAIServer(chat=reply, embeddings=reply, models=reply)


@pytest.mark.fault("redirect-to-other-origin")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("ask", ASKING)
def test_a_redirect_to_another_origin_is_an_error_that_names_both_origins(
    ask: Callable[[str], None], status: int, elsewhere: OpenAIServer, no_proxy: None
) -> None:
    target = f"http://user:{KEY}@127.0.0.1:{elsewhere.port}/v1/chat/completions?{KEY}"
    with redirecting(target, status=status) as server:
        with pytest.raises(StreamragError) as caught:
            ask(server.base_url)

    assert (caught.value.code, caught.value.exit_code) == ("redirected", ExitCode.MODEL_SERVER)
    assert caught.value.message == (
        f"http://127.0.0.1:{server.port} redirects to http://127.0.0.1:{elsewhere.port}; the redirect was not"
        " followed, and nothing was sent there"
    )
    assert (len(server.requests), elsewhere.requests) == (1, [])


@pytest.mark.fault("redirect-to-other-origin")
@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://127.0.0.1:{port}/v1", "https://127.0.0.1:{port}"),
        ("//localhost:{port}/v1", "http://localhost:{port}"),
        ("http://127.0.0.1/v1", "http://127.0.0.1"),
        ("http://[::1]:{port}/v1", "http://[::1]:{port}"),
    ],
)
@pytest.mark.parametrize("ask", ASKING)
def test_origins_differ_by_scheme_host_or_port(
    ask: Callable[[str], None], location: str, named: str, no_proxy: None
) -> None:
    with redirecting(location) as server:
        with pytest.raises(StreamragError) as caught:
            ask(server.base_url)

    assert caught.value.code == "redirected"
    assert f"redirects to {named.format(port=server.port)}; the redirect was not followed" in caught.value.message


@pytest.mark.parametrize("ask", [answering, embedding, listing])
def test_a_redirect_within_the_origin_keeps_body_and_key(ask: Callable[[str], None], no_proxy: None) -> None:
    def once(reply: Reply) -> Callable[[LoggedRequest], Reply]:
        return lambda request: reply if "moved" in request.path else sent_on(f"{request.path}?moved", status=307)

    models = once(whole_body(b'{"data": [{"id": "one"}]}'))
    with OpenAIServer(chat=once(answer("Yes.")), embeddings=once(vectors([1.0, 0.0])), models=models) as server:
        ask(server.base_url)
        first, second = server.requests

    assert second.path == f"{first.path}?moved"
    assert (second.method, second.body, second.headers["authorization"]) == (first.method, first.body, f"Bearer {KEY}")


@pytest.mark.fault("proxy-for-local-model")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("ask", ASKING)
def test_proxies_are_not_used_for_this_machine(
    ask: Callable[[str], None],
    variable: str,
    elsewhere: OpenAIServer,
    no_proxy: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{elsewhere.port}")
    with OpenAIServer() as server:
        ask(f"http://localhost:{server.port}/v1")

    assert (len(server.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize("ask", ASKING)
def test_proxies_are_used_for_other_machines(
    ask: Callable[[str], None], elsewhere: OpenAIServer, no_proxy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{elsewhere.port}")
    with pytest.raises(StreamragError):
        ask("http://model.invalid/v1")

    assert elsewhere.requests[0].path.startswith("http://model.invalid/v1/")


@pytest.mark.parametrize(
    "host",
    "localhost LocalHost localhost. my.localhost 127.0.0.1 127.8.9.10 127.1 2130706433 0x7f000001 "
    "::1 [::1] 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 0.0.0.0 ::".split(),
)
def test_names_of_this_machine_are_recognised(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.example.org", "notlocalhost", "127.0.0.1.example.org", "128.0.0.1", "::2", "10.0.0.1", "1"]
)
def test_names_of_other_machines_are_recognised(host: str) -> None:
    assert not is_this_machine(host)


def test_this_machine_is_recognised_by_the_hosts_file_and_its_host_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.1.1 Workbench # mine\n192.0.2.7 elsewhere\nnot an address\n", encoding="utf-8")
    monkeypatch.setattr(network_policy, "_HOSTS_FILE", hosts)

    assert [is_this_machine(name) for name in ("workbench", "elsewhere", "unknown", socket.gethostname())] == [
        True,
        False,
        False,
        True,
    ]
