"""Answering and embedding report the same failure with the same code, but with different hints."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server import errors
from streamrag_cli.model_server.endpoint import ANSWERING, EMBEDDING, ModelEndpoint
from streamrag_cli.retrieval.openai_embedding import OpenAIEmbedder
from tests.support.conversations import KEY, converse
from tests.support.openai_replies import HTML, Cut, Reply, Stall, failure, stream, whole_body
from tests.support.openai_server import OpenAIServer


def failure_while_answering(base_url: str, api_key: str | None) -> StreamragError:
    error = converse(base_url, api_key=api_key, timeout_s=0.3).error
    assert error is not None
    return error


def failure_while_embedding(base_url: str, api_key: str | None) -> StreamragError:
    endpoint = ModelEndpoint(model="some-model", base_url=base_url, api_key=api_key, purpose=EMBEDDING)
    with pytest.raises(StreamragError) as caught:
        OpenAIEmbedder(endpoint, timeout_s=0.3, sleep=lambda _: None).embed_query("x")
    return caught.value


@pytest.mark.parametrize(
    ("reply", "api_key", "code"),
    [
        (failure(401, "no"), None, "key_missing"),
        (failure(401, "no"), KEY, "key_refused"),
        (failure(404, "no"), KEY, "no_such_model"),
        (failure(400, "no", code="model_not_found"), KEY, "no_such_model"),
        (failure(429, "no"), KEY, "rate_limited"),
        (failure(429, "no", code="insufficient_quota"), KEY, "quota_exhausted"),
        (failure(402, "no"), KEY, "quota_exhausted"),
        (whole_body(HTML, status=502), KEY, "server_error"),
        (failure(400, "maximum context length"), KEY, "context_too_long"),
        (failure(422, "no"), KEY, "request_refused"),
        (whole_body(HTML), KEY, "malformed"),
        (Reply(before_headers=(Stall(),)), KEY, "stalled"),
        (Reply(before_headers=(Cut(reset=True),)), KEY, "cut_off"),
        (stream(b"data: ", Cut(reset=False)), KEY, "cut_off"),
    ],
)
def test_answering_and_embedding_report_the_same_error_code(reply: Reply, api_key: str | None, code: str) -> None:
    with OpenAIServer(chat=reply, embeddings=reply) as server:
        answering = failure_while_answering(server.base_url, api_key)
        embedding = failure_while_embedding(server.base_url, api_key)

    assert (answering.code, embedding.code) == (code, code)
    assert (type(answering), answering.retryable) == (type(embedding), embedding.retryable)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
def test_answering_and_embedding_report_an_unreachable_server_alike(base_url: str) -> None:
    answering, embedding = failure_while_answering(base_url, KEY), failure_while_embedding(base_url, KEY)

    assert (answering.code, embedding.code) == ("unreachable", "unreachable")
    assert (answering.message, answering.hint) == (embedding.message, embedding.hint)


HERE = ModelEndpoint(model="m", base_url="http://localhost:11434/v1", api_key=KEY)


@pytest.mark.parametrize(
    ("base_url", "hint"),
    [
        ("http://localhost:11434/v1", "ollama serve"),
        ("http://gpu.example:11434/v1", "check that the server responds: curl http://gpu.example:11434/v1/models"),
        (None, "check that the server responds: curl https://api.openai.com/v1/models"),
        ("http://host/a;b", "check that the server responds: curl 'http://host/a;b/models'"),
        (f"http://host/{KEY}/v1", "check that the server responds: curl 'http://host/[key]/v1/models'"),
    ],
)
def test_the_hint_for_an_unreachable_server_is_runnable_and_hides_the_key(base_url: str | None, hint: str) -> None:
    assert errors.unreachable("", replace(HERE, base_url=base_url)).hint == hint


@pytest.mark.parametrize(("timeout_s", "hint_s"), [(0.3, 300), (60.0, 300), (200.0, 1000), (3000.0, 3600)])
def test_the_suggested_timeout_is_within_the_settings_range(timeout_s: float, hint_s: int) -> None:
    assert errors.stalled(timeout_s, HERE).hint == f"STREAMRAG_TIMEOUT={hint_s} streamrag ask QUESTION"


MAKERS: list[Callable[[ModelEndpoint], StreamragError]] = [
    lambda endpoint: errors.status_error(404, code="", text="", endpoint=endpoint),
    lambda endpoint: errors.status_error(404, code="", text="no", endpoint=endpoint),
    lambda endpoint: errors.status_error(402, code="", text="", endpoint=endpoint),
    lambda endpoint: errors.status_error(429, code="", text="", endpoint=endpoint),
    lambda endpoint: errors.status_error(418, code="", text="", endpoint=endpoint),
    lambda endpoint: errors.status_error(400, code="context_length_exceeded", text="", endpoint=endpoint),
    errors.cut_off,
    lambda endpoint: errors.stalled(60.0, endpoint),
]


@pytest.mark.parametrize("maker", MAKERS)
def test_hints_for_embedding_errors_do_not_suggest_the_ask_command(
    maker: Callable[[ModelEndpoint], StreamragError],
) -> None:
    answering, embedding = maker(replace(HERE, purpose=ANSWERING)), maker(replace(HERE, purpose=EMBEDDING))

    assert "streamrag ask" in answering.hint
    assert "streamrag ask" not in embedding.hint
    assert embedding.hint
