"""Failures of the model server: text that arrived is kept, and one error reports what happened."""

import gzip
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

import pytest

from streamrag_cli.answer.chat_model import ModelActivity, ModelFinished, ModelRetrying
from streamrag_cli.errors import ConfigurationError, ExitCode, ModelServerError
from streamrag_cli.model_server.client import ssl_context
from tests.support.conversations import KEY, converse
from tests.support.openai_replies import (
    DONE,
    HTML,
    Cut,
    Reply,
    Stall,
    answer,
    chunk,
    event,
    failure,
    finish,
    reasoning,
    stream,
    token,
    whole_body,
)
from tests.support.openai_server import OpenAIServer

TOKENS = ["One", " two", " three", " four", " five", " six"]
UNUSED_PORT = 1


@pytest.mark.fault("answer-cut-off")
@pytest.mark.parametrize("ending", ["reset", "FIN", "clean end", "end of connection"])
@pytest.mark.parametrize("count", range(len(TOKENS) + 1))
def test_an_answer_that_is_cut_off_keeps_its_tokens_and_is_not_retried(count: int, ending: str) -> None:
    steps = [token(text) for text in TOKENS[:count]]
    if ending in {"reset", "FIN"}:
        reply = stream(*steps, Cut(reset=ending == "reset"))
    else:
        reply = replace(stream(*steps), framing="chunked" if ending == "clean end" else "close")
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert "".join(conversation.tokens) == "".join(TOKENS[:count])
    # An empty body is not a stream, so it is a different error.
    expected = "malformed" if count == 0 and ending not in {"reset", "FIN"} else "cut_off"
    assert (conversation.code, requests) == (expected, 1)


@pytest.mark.fault("no-finish-reason")
def test_a_stream_with_done_but_without_a_finish_reason_is_complete() -> None:
    with OpenAIServer(chat=stream(token("Whole."), DONE)) as server:
        conversation = converse(server.base_url)

    assert (conversation.tokens, conversation.code) == (["Whole."], None)
    assert conversation.finished == ModelFinished(finish_reason="stop", usage=None, model="some-model")


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_failure_after_the_last_token_keeps_the_answer_complete(*, reset: bool) -> None:
    whole_reply = b"".join([token("Whole."), finish(), DONE])
    with OpenAIServer(chat=stream(whole_reply, Cut(reset=reset))) as server:
        conversation = converse(server.base_url)

    assert (conversation.tokens, conversation.code) == (["Whole."], None)


def test_a_connection_closed_before_the_status_line_is_reported_as_cut_off() -> None:
    with OpenAIServer(chat=Reply(before_headers=(Cut(reset=False),))) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert (conversation.code, requests) == ("cut_off", 1)


@pytest.mark.fault("model-stalls")
@pytest.mark.parametrize("ping_every_s", [None, 0.05], ids=["silent", "with pings"])
@pytest.mark.parametrize(
    ("where", "steps", "tokens"),
    [
        ("before tokens", [], []),
        ("during tokens", [token("One")], ["One"]),
        ("during reasoning", [reasoning("Hm")], []),
    ],
)
def test_a_stalled_stream_ends_with_an_error_at_the_timeout(
    where: str, steps: Sequence[bytes], tokens: list[str], ping_every_s: float | None
) -> None:
    with OpenAIServer(chat=stream(*steps, Stall(ping_every_s=ping_every_s))) as server:
        asked_at_s = time.monotonic()
        conversation = converse(server.base_url, timeout_s=0.3)
        elapsed_s = time.monotonic() - asked_at_s
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (conversation.tokens, conversation.code, closed) == (tokens, "stalled", True)
    assert 0.3 <= elapsed_s < 10


@pytest.mark.fault("model-stalls")
def test_a_server_that_never_replies_is_reported_as_stalled() -> None:
    with OpenAIServer(chat=Reply(before_headers=(Stall(),))) as server:
        conversation = converse(server.base_url, timeout_s=0.3)
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (conversation.code, closed) == ("stalled", True)


@pytest.mark.fault("model-malformed")
@pytest.mark.parametrize(
    ("what", "steps"),
    [
        ("broken JSON", [b"data: {broken\n\n"]),
        ("broken UTF-8", [b'data: {"choices": "\xff\xfe"}\n\n']),
        ("an error object", [event({"error": {"message": "engine crashed", "code": "crashed"}})]),
        ("an error event", [b"event: error\n" + event({"error": "engine crashed"})]),
        ("null", [b"data: null\n\n"]),
        ("a number", [b"data: 12\n\n"]),
        ("a list", [b"data: []\n\n"]),
        ("choices that are text", [event({"choices": "x"})]),
        ("a choice that is text", [event({"choices": ["x"]})]),
        ("content that is a number", [chunk({"content": 5})]),
        ("JSON nested too deep", [b"data: " + b"[" * 100_000 + b"\n\n"]),
    ],
)
@pytest.mark.parametrize("tokens", [[], ["Half"]], ids=["at first", "during tokens"])
def test_an_invalid_chunk_is_an_error_and_the_partial_answer_is_kept(
    what: str, steps: list[bytes], tokens: list[str]
) -> None:
    with OpenAIServer(chat=stream(*(token(text) for text in tokens), *steps, token("!"), Stall())) as server:
        conversation = converse(server.base_url)
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)
        requests = len(server.requests)

    assert (conversation.tokens, conversation.code, closed, requests) == (tokens, "malformed", True, 1)


@pytest.mark.fault("compressed-reply")
def test_a_compressed_reply_is_neither_requested_nor_decompressed() -> None:
    """A bomb of 2 kB would expand to 1 GB, which would block all other requests."""
    answered = b'data: {"choices":[{"delta":{"content":"Boom."},"finish_reason":"stop"}]}\n\n'
    headers = {"Content-Encoding": "gzip, gzip"}
    reply = whole_body(gzip.compress(gzip.compress(answered)), content_type="text/event-stream", headers=headers)
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)
        accepted = [each.headers["accept-encoding"] for each in server.requests]

    assert (conversation.tokens, conversation.code, accepted) == ([], "malformed", ["identity"])


@pytest.mark.fault("endless-error")
def test_only_the_beginning_of_an_endless_error_reply_is_read() -> None:
    with OpenAIServer(chat=Reply(status=400, steps=(b"bad " * 500_000, Stall()))) as server:
        conversation = converse(server.base_url)
        closed = server.requests[0].closed_by_client.wait(timeout=10.0)

    assert (conversation.code, closed) == ("request_refused", True)


@pytest.mark.fault("model-malformed")
@pytest.mark.parametrize(
    "reply",
    [whole_body(HTML), whole_body(b'{"choices": "Hi"}'), whole_body(b'{"choices"'), whole_body(b"")],
    ids=["HTML", "other JSON", "half of JSON", "nothing"],
)
def test_a_body_that_is_not_a_stream_is_an_error(reply: Reply) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)

    assert (conversation.tokens, conversation.code) == ([], "malformed")


def test_the_title_of_a_web_page_is_in_the_error() -> None:
    page = (
        b"<!doctype html><html><head><meta charset=utf-8><title>Sign in &amp; surf</title></head><body>Hi</body></html>"
    )
    with OpenAIServer(chat=whole_body(page, content_type="text/html")) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    assert conversation.error.message.endswith(" a stream of answer pieces but with a web page: Sign in & surf")


@pytest.mark.fault("empty-answer")
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (stream(finish(), DONE), "some-model returned no answer"),
        (answer(""), "some-model returned no answer"),
        (
            stream(reasoning("Hm"), finish("length"), DONE),
            "some-model returned no answer (it reached its token limit before the first word)",
        ),
        (
            stream(chunk({"refusal": "I can"}), chunk({"refusal": "not."}), finish(), DONE),
            "some-model refused to answer: I cannot.",
        ),
    ],
    ids=["no token", "an empty token", "only reasoning", "a refusal"],
)
def test_an_empty_answer_is_an_error(reply: Reply, message: str) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    assert (conversation.code, conversation.error.message) == ("empty_answer", message)


@pytest.mark.fault("model-refuses-key", "model-quota", "sources-too-long")
@pytest.mark.parametrize(
    ("reply", "code", "kind", "hint"),
    [
        (failure(401, "no"), "key_refused", ConfigurationError, "export OPENAI_API_KEY=KEY"),
        (failure(403, "this API key is disabled"), "key_refused", ConfigurationError, "export OPENAI_API_KEY=KEY"),
        (failure(403, "not in your country"), "request_refused", ModelServerError, "streamrag ask -m MODEL QUESTION"),
        (failure(404, "no model x"), "no_such_model", ConfigurationError, "streamrag ask -m MODEL QUESTION"),
        (
            failure(400, "no", code="model_not_found"),
            "no_such_model",
            ConfigurationError,
            "streamrag ask -m MODEL QUESTION",
        ),
        (
            failure(429, "no", code="insufficient_quota"),
            "quota_exhausted",
            ModelServerError,
            "streamrag ask --base-url URL QUESTION",
        ),
        (
            failure(429, "no", headers={"Retry-After": "60"}),
            "rate_limited",
            ModelServerError,
            "wait a minute, then: streamrag ask QUESTION",
        ),
        (
            failure(400, "no", code="context_length_exceeded"),
            "context_too_long",
            ModelServerError,
            "streamrag ask -k 3 QUESTION",
        ),
        (
            failure(500, "the request exceeds the available context size"),
            "context_too_long",
            ModelServerError,
            "streamrag ask -k 3 QUESTION",
        ),
        (failure(418, "no"), "request_refused", ModelServerError, "streamrag ask -m MODEL QUESTION"),
    ],
)
def test_failures_that_a_quick_retry_cannot_fix_are_not_retried(
    reply: Reply, code: str, kind: type[ModelServerError | ConfigurationError], hint: str
) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert (conversation.code, requests, conversation.pieces) == (code, 1, [])
    assert isinstance(conversation.error, kind)
    assert conversation.error.hint == hint


def test_status_401_without_a_key_is_reported_as_a_missing_key() -> None:
    with OpenAIServer(chat=failure(401, "no")) as server:
        conversation = converse(server.base_url, api_key=None)

    assert conversation.code == "key_missing"


@pytest.mark.fault("model-busy")
@pytest.mark.parametrize(
    ("reply", "code", "waits_s"),
    [
        (failure(429, "slow down", headers={"Retry-After": "1"}), "rate_limited", [1.0, 1.0]),
        (failure(429, "slow down", headers={"Retry-After-Ms": "1500"}), "rate_limited", [1.5, 1.5]),
        (failure(429, "slow down"), "rate_limited", [0.5, 1.0]),
        (whole_body(HTML, status=500), "server_error", [0.5, 1.0]),
        (whole_body(HTML, status=502), "server_error", [0.5, 1.0]),
    ],
)
def test_temporary_failures_are_retried_twice_with_an_announcement(
    reply: Reply, code: str, waits_s: list[float]
) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert conversation.error is not None
    message = conversation.error.message
    assert conversation.pieces == [
        ModelRetrying(message=message, wait_s=wait_s, number=number, limit=2)
        for number, wait_s in enumerate(waits_s, start=1)
    ]
    assert (conversation.code, conversation.error.exit_code) == (code, ExitCode.MODEL_SERVER)
    assert (conversation.waits_s, requests) == (waits_s, 3)
    assert "<" not in message


def test_a_successful_retry_yields_a_normal_answer() -> None:
    with OpenAIServer(chat=[failure(429, "slow down"), answer("Hello")]) as server:
        conversation = converse(server.base_url)

    assert (len(conversation.retries), conversation.tokens, conversation.error) == (1, ["Hello"], None)


def test_a_request_is_not_retried_after_the_model_has_begun_to_reason() -> None:
    busy = event({"error": {"message": "busy", "code": "rate_limit_exceeded"}})
    with OpenAIServer(chat=[stream(reasoning("Hm"), busy), answer("Hello")]) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert (conversation.pieces, conversation.code, requests) == ([ModelActivity(thinking=True)], "rate_limited", 1)


@pytest.mark.fault("model-unreachable")
def test_the_error_for_a_refused_connection_names_host_and_port() -> None:
    conversation = converse(f"http://127.0.0.1:{UNUSED_PORT}/v1")

    assert conversation.error is not None
    assert conversation.error.message == "cannot reach the model server at 127.0.0.1:1: connection refused"
    assert (conversation.code, conversation.error.exit_code) == ("unreachable", ExitCode.MODEL_SERVER)


@pytest.mark.fault("model-unreachable")
def test_an_unresolvable_host_is_named_in_the_error() -> None:
    conversation = converse("http://no-such-host.invalid/v1")

    assert conversation.error is not None
    assert conversation.error.message == "cannot reach the model server at no-such-host.invalid:80: no such host"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "socksio"),
        ("HTTP_PROXY", "foo://bar", "foo://bar"),
        ("SSL_CERT_FILE", "/no/such/file.pem", "No such file"),
    ],
)
def test_an_unusable_proxy_or_certificate_file_is_reported(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    ssl_context.cache_clear()
    conversation = converse(
        "https://127.0.0.1:1/v1" if variable == "SSL_CERT_FILE" else "http://no-such-host.invalid/v1"
    )

    assert isinstance(conversation.error, ConfigurationError)
    assert conversation.code == "unusable_environment"
    assert expected in conversation.error.message
    assert variable in conversation.error.hint


@pytest.mark.fault("model-unreachable")
def test_a_server_without_tls_is_unreachable_at_an_https_url() -> None:
    with OpenAIServer() as server:
        conversation = converse(server.base_url.replace("http:", "https:"))

    assert conversation.error is not None
    assert conversation.code == "unreachable"
    expected = f"cannot reach the model server at 127.0.0.1:{server.port}: TLS failed: "
    assert conversation.error.message.startswith(expected)


@pytest.mark.fault("model-refuses-key")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    "echo",
    [KEY, f"key {KEY}, " * 40, "\u200b".join(KEY), "x" * 190 + KEY],
    ids=["plain", "often", "split", "at the cut"],
)
def test_a_key_echoed_by_the_server_is_never_shown(status: int, echo: str) -> None:
    with OpenAIServer(chat=failure(status, f"bad key: {echo}", headers={"Retry-After": "60"})) as server:
        conversation = converse(server.base_url)

    assert KEY not in shown(conversation.error)


@pytest.mark.parametrize("steps", [[event({"error": {"message": f"bad {KEY}"}})], [chunk({"refusal": KEY}), finish()]])
def test_a_key_echoed_in_the_stream_is_never_shown(steps: list[bytes]) -> None:
    with OpenAIServer(chat=stream(*steps)) as server:
        conversation = converse(server.base_url)

    assert KEY not in shown(conversation.error)


def test_the_servers_error_text_is_quoted_on_one_short_safe_line() -> None:
    with OpenAIServer(chat=failure(418, "I am\n\x1b[31ma teapot\u202e" + "!" * 1000)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    quoted = "I am \N{REPLACEMENT CHARACTER}[31ma teapot" + "!" * (200 - 18) + "..."
    expected = f"127.0.0.1:{server.port} refused the request with status 418: {quoted}"
    assert conversation.error.message == expected


def shown(error: BaseException | None) -> str:
    """All text that a front end could show for an error: its message, hint and traceback."""
    assert error is not None
    return "".join(traceback.format_exception(error)) + repr(vars(error))
