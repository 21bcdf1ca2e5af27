"""The choice of the model from the settings, without expensive imports."""

import socket
import subprocess
import sys
import time

import pytest

from streamrag_cli.answer.model_choice import (
    DEFAULT_MODEL,
    LocalServer,
    choose_endpoint,
    find_local_servers,
)
from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.model_server.endpoint import ModelEndpoint
from tests.support.openai_replies import HTML, Cut, Reply, Stall, failure, whole_body
from tests.support.openai_server import OpenAIServer

KEY = "sk-test-0123456789abcdef"
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"


def failing(*, model: str | None = None, base_url: str | None = None, api_key: str | None = None) -> StreamragError:
    with pytest.raises(StreamragError) as raised:
        choose_endpoint(model=model, base_url=base_url, api_key=api_key, timeout_s=0.3)
    return raised.value


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_no_model_is_chosen_without_a_key_or_a_base_url(blank: str | None) -> None:
    assert choose_endpoint(model=blank, base_url=blank, api_key=blank) is None


def test_a_key_without_a_model_selects_the_default_model_at_openai() -> None:
    chosen = choose_endpoint(model=None, base_url=None, api_key=f" {KEY}\n")

    assert chosen == ModelEndpoint(model=DEFAULT_MODEL, base_url=None, api_key=KEY)


def test_a_model_and_a_key_select_that_model_at_openai() -> None:
    chosen = choose_endpoint(model="gpt-5", base_url=None, api_key=KEY)

    assert chosen == ModelEndpoint(model="gpt-5", base_url=None, api_key=KEY)
    assert (chosen.url, chosen.address) == ("https://api.openai.com/v1", "api.openai.com:443")


def test_a_model_without_a_key_or_a_server_is_an_error() -> None:
    error = failing(model="gpt-5")

    assert isinstance(error, ConfigurationError)
    assert (error.code, error.hint) == ("key_missing", "export OPENAI_API_KEY=KEY")


def test_an_invalid_host_name_is_reported_as_unreachable() -> None:
    error = failing(base_url="http://my..host:8000/v1")

    assert (error.code, error.message) == (
        "unreachable",
        "cannot reach the model server at my..host:8000: no such host",
    )


def test_a_url_that_contains_a_placeholder_key_is_not_masked() -> None:
    assert "http://localhost:9/v1" in failing(base_url="http://localhost:9/v1", api_key="local").hint


def test_openais_base_url_without_a_key_is_an_error() -> None:
    assert failing(base_url="https://api.openai.com/v1").code == "key_missing"


def test_openais_base_url_and_a_key_select_the_default_model() -> None:
    chosen = choose_endpoint(model=None, base_url="https://api.openai.com/v1/", api_key=KEY)

    assert chosen == ModelEndpoint(model=DEFAULT_MODEL, base_url="https://api.openai.com/v1", api_key=KEY)


def test_no_request_is_sent_if_base_url_and_model_are_set() -> None:
    with OpenAIServer() as server:
        chosen = choose_endpoint(model="mine", base_url=server.base_url, api_key=None)
        requests = server.requests

    assert (chosen, requests) == (ModelEndpoint(model="mine", base_url=server.base_url, api_key=None), [])


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_a_server_with_one_model_needs_no_model_name(path: str) -> None:
    with OpenAIServer(models=["llama3.2", EMBEDDER]) as server:
        chosen = choose_endpoint(model=None, base_url=f"http://127.0.0.1:{server.port}{path}", api_key=KEY)
        headers = server.requests[0].headers

    assert chosen == ModelEndpoint(model="llama3.2", base_url=server.base_url, api_key=KEY)
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_server_with_several_models_is_an_error_that_names_them() -> None:
    with OpenAIServer(models=[f"model\x1b {n}" for n in range(12)]) as server:
        error = failing(base_url=server.base_url)

    names = ", ".join(f"model\N{REPLACEMENT CHARACTER} {n}" for n in range(10))
    assert (error.code, error.message, error.hint) == (
        "several_models",
        f"127.0.0.1:{server.port} serves several models: {names} and 2 more",
        f"streamrag ask -m 'model\N{REPLACEMENT CHARACTER} 0' --base-url {server.base_url} QUESTION",
    )


@pytest.mark.parametrize(
    ("models", "kind", "code"),
    [
        (whole_body(b'{"data": []}'), ConfigurationError, "no_such_model"),
        (whole_body(b'{"data": null}'), ConfigurationError, "no_such_model"),
        (whole_body(b'{"data": [{"id": "nomic-embed-text"}]}'), ConfigurationError, "no_such_model"),
        (whole_body(HTML, status=404), ConfigurationError, "no_such_model"),
        (failure(401, f"bad key {KEY}"), ConfigurationError, "key_refused"),
        (whole_body(HTML, status=502), ModelServerError, "server_error"),
        (whole_body(HTML), ModelServerError, "malformed"),
        (whole_body(b'{"data": [{"name": "x"}]}'), ModelServerError, "malformed"),
        (whole_body(b'{"models": []}'), ModelServerError, "malformed"),
        (whole_body(b"[" * 100_000), ModelServerError, "malformed"),
        (Reply(before_headers=(b"garbage\r\n\r\n", Cut(reset=False))), ModelServerError, "malformed"),
        (Reply(before_headers=(Stall(),)), ModelServerError, "stalled"),
        (Reply(steps=(Stall(ping_every_s=0.05),)), ModelServerError, "stalled"),
    ],
)
def test_a_failed_or_invalid_list_of_models_is_an_error(models: Reply, kind: type[StreamragError], code: str) -> None:
    with OpenAIServer(models=models) as server:
        error = failing(base_url=server.base_url, api_key=KEY)

    assert (type(error), error.code) == (kind, code)
    assert error.hint
    assert KEY not in error.message
    assert "<" not in error.message


def test_an_unreachable_server_is_named_with_its_port() -> None:
    error = failing(base_url="http://127.0.0.1:1")

    assert (type(error), error.code) == (ModelServerError, "unreachable")
    assert error.message == "cannot reach the model server at 127.0.0.1:1: connection refused"


@pytest.mark.parametrize(
    "base_url",
    [
        "localhost:11434",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http:///v1",
        "http://[::1",
        "http://host:99999/v1",
        "http://user:secret@host/v1",
        "http://host/v1?key=secret",
        "http://ho st/v1",
        "http://h\u00f6st/v1",
    ],
)
def test_an_invalid_base_url_is_refused_without_being_shown(base_url: str) -> None:
    error = failing(model="m", base_url=base_url)

    assert (type(error), error.code) == (ConfigurationError, "bad_base_url")
    assert base_url not in error.message
    assert "secret" not in error.message


def test_an_invalid_key_is_refused_without_being_shown() -> None:
    error = failing(api_key="\u201csk-secret\u201d")

    assert (type(error), error.code) == (ConfigurationError, "key_refused")
    assert "secret" not in error.message


def test_an_endpoint_does_not_show_its_key() -> None:
    assert KEY not in repr(ModelEndpoint(model="m", api_key=KEY))


def test_local_servers_are_recognised_by_their_list_of_models() -> None:
    with (
        OpenAIServer(models=["llama3.2", EMBEDDER]) as ollama,
        OpenAIServer(models=whole_body(HTML)) as something_else,
        OpenAIServer(models=failure(401, "no")) as guarded,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        started_at_s = time.monotonic()
        servers = find_local_servers(
            {
                "Ollama": ollama.port,
                "llama.cpp": something_else.port,
                "LM Studio": guarded.port,
                "vLLM": silent.getsockname()[1],
                "none": 1,
            }
        )
        elapsed_s = time.monotonic() - started_at_s

    assert servers == [LocalServer(name="Ollama", base_url=ollama.base_url, models=("llama3.2",))]
    assert elapsed_s < 10


@pytest.mark.fault("own-server-on-model-port")
@pytest.mark.parametrize("listed", [["streamrag"], ["streamrag", "streamrag/default", "streamrag/embedded notes"]])
def test_streamrag_serve_is_not_listed_as_a_model_server(listed: list[str]) -> None:
    with OpenAIServer(models=listed) as ours, OpenAIServer(models=["streamrag-tuned"]) as model:
        servers = find_local_servers({"vLLM": ours.port, "Ollama": model.port})

    assert servers == [LocalServer(name="Ollama", base_url=model.base_url, models=("streamrag-tuned",))]


def test_importing_chat_model_and_model_choice_loads_no_client_library() -> None:
    program = (
        "import sys; import streamrag_cli.answer.chat_model, streamrag_cli.answer.model_choice; print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert {"openai", "langchain_core", "langchain_openai", "httpx", "pydantic"} & set(result.stdout.split()) == set()
