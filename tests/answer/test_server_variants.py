"""Servers that deviate from the protocol: answers are understood, and errors quote the server's text."""

import threading

import pytest

from streamrag_cli.answer.chat_model import (
    ModelDidNotStream,
    ModelFinished,
    ModelLoading,
    ModelPiece,
    ModelRetractsThinking,
    ModelText,
)
from tests.support.conversations import converse
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import (
    DONE,
    Hold,
    Reply,
    Step,
    answer,
    chunk,
    encoded,
    event,
    failure,
    finish,
    reasoning,
    stream,
    token,
    whole_body,
)
from tests.support.openai_server import OpenAIServer


def json_body(value: object, *, status: int = 200, content_type: str = "application/json") -> Reply:
    return whole_body(encoded(value), status=status, content_type=content_type)


COMPLETION = {
    "object": "chat.completion",
    "model": "their-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Twelve bolts [1]."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
}


@pytest.mark.fault("not-streamed")
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain"])
def test_one_json_object_instead_of_a_stream_is_accepted(content_type: str) -> None:
    with OpenAIServer(chat=json_body(COMPLETION, content_type=content_type)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is None
    assert conversation.pieces[:2] == [ModelDidNotStream(), ModelText(text="Twelve bolts [1].")]
    assert conversation.finished is not None
    assert (conversation.finished.finish_reason, conversation.finished.model) == ("stop", "their-model")
    assert conversation.finished.usage is not None
    assert conversation.finished.usage.total_tokens == 14


@pytest.mark.fault("no-system-role")
def test_without_a_system_role_the_instructions_precede_the_question() -> None:
    def reply(request: LoggedRequest) -> Reply:
        roles = [message["role"] for message in request.json["messages"]]
        return failure(400, "System role not supported") if "system" in roles else answer("Twelve.")

    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)
        messages = [request.json["messages"] for request in server.requests]

    assert (conversation.tokens, conversation.error) == (["Twelve."], None)
    assert messages[1:] == [[{"role": "user", "content": "Answer {briefly}.\n\nWhat is {this}?"}]]


@pytest.mark.fault("not-streamed")
@pytest.mark.parametrize(
    "reply",
    [
        failure(400, "Streaming is not supported for this model"),
        failure(400, "Unsupported value: 'stream' does not support true with this model.", code="unsupported_value"),
        json_body({"detail": "stream must be false"}, status=422),
        json_body({"error": {"code": 400, "message": "stream is not enabled"}}),
    ],
)
def test_a_server_that_refuses_to_stream_is_asked_for_one_object(reply: Reply) -> None:
    with OpenAIServer(chat=lambda request: reply if request.json["stream"] else json_body(COMPLETION)) as server:
        conversation = converse(server.base_url)
        requests = [request.json.get("stream_options") for request in server.requests]

    assert (conversation.tokens, conversation.error) == (["Twelve bolts [1]."], None)
    assert requests == [{"include_usage": True}, None]


@pytest.mark.fault("model-loading")
@pytest.mark.parametrize(
    ("status", "message"), [(503, "Loading model"), (503, "Model org/m is currently loading"), (425, "warming up")]
)
def test_a_request_waits_while_the_model_is_loading(status: int, message: str) -> None:
    with OpenAIServer(chat=[*[failure(status, message)] * 4, answer("Twelve.")]) as server:
        conversation = converse(server.base_url)

    assert (conversation.tokens, conversation.error) == (["Twelve."], None)
    assert [type(piece) for piece in conversation.pieces[:4]] == [ModelLoading] * 4
    assert conversation.waits_s == [1.0] * 4


@pytest.mark.fault("model-loading")
def test_a_model_that_never_loads_is_an_error_at_the_timeout() -> None:
    with OpenAIServer(chat=failure(503, "Loading model")) as server:
        conversation = converse(server.base_url, timeout_s=0.2)

    assert conversation.error is not None
    assert (conversation.code, conversation.error.retryable) == ("model_loading", True)
    assert conversation.error.message == f"127.0.0.1:{server.port} was still loading some-model after 0.2 s"
    assert conversation.error.hint == "STREAMRAG_TIMEOUT=300 streamrag ask QUESTION"


@pytest.mark.fault("stream-ends-with-error")
@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "no credits left on this machine"}, "no credits left on this machine"),
        ({"error": {"message": "pump failed", "type": "crashed"}}, "pump failed"),
        ([{"error": {"message": "pump failed", "status": "CRASHED"}}], "pump failed"),
        ({"object": "error", "message": "pump failed"}, "pump failed"),
        ({"type": "error", "error": {"type": "crashed", "message": "pump failed"}}, "pump failed"),
        ({"detail": "pump failed"}, "pump failed"),
        ({"detail": [{"loc": ["body"], "msg": "pump failed"}]}, "pump failed"),
        ({"code": 7, "msg": "pump failed"}, "pump failed"),
        ({"success": False, "errors": [{"code": 7, "message": "pump failed"}]}, "pump failed"),
        ({"error": {"message": "Provider error", "metadata": {"raw": "pump failed"}}}, "Provider error: pump failed"),
    ],
)
def test_the_servers_error_text_is_found_in_every_known_format(body: object, text: str) -> None:
    for reply in (json_body(body), stream(event(body)), stream(token("Twel"), event(body), DONE)):
        with OpenAIServer(chat=reply) as server:
            conversation = converse(server.base_url)

        assert conversation.error is not None
        assert conversation.error.message == f"127.0.0.1:{server.port} sent an error instead of the answer: {text}"
        assert conversation.tokens in ([], ["Twel"])


@pytest.mark.parametrize("body", [b"no upstream is healthy", b'"no upstream is healthy"'])
def test_plain_text_instead_of_an_answer_is_quoted_in_the_error(body: bytes) -> None:
    for reply in (
        whole_body(body),
        stream(b"data: " + body + b"\n\n"),
        stream(b"event: error\ndata: " + body + b"\n\n"),
    ):
        with OpenAIServer(chat=reply) as server:
            conversation = converse(server.base_url)

        assert conversation.error is not None
        assert "no upstream is healthy" in conversation.error.message


@pytest.mark.fault("error-code-in-stream")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "slow down", "code": 429}, "rate_limited"),
        ({"message": "slow down", "type": "rate_limit_exceeded"}, "rate_limited"),
        ({"message": "pay first", "code": "insufficient_quota"}, "quota_exhausted"),
        ({"message": "try later", "code": "503"}, "server_error"),
        ({"message": "bad key", "code": 401}, "key_refused"),
    ],
)
def test_an_error_code_in_the_body_is_treated_like_an_http_status(error: dict[str, object], code: str) -> None:
    with OpenAIServer(chat=stream(chunk({"role": "assistant", "content": ""}), event({"error": error}))) as server:
        conversation = converse(server.base_url)
        requests = len(server.requests)

    assert (conversation.code, requests) == (code, 3 if code in {"rate_limited", "server_error"} else 1)


@pytest.mark.fault("stream-ends-with-error")
@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource", "network_error"])
def test_a_finish_reason_that_means_failure_is_an_error(reason: str) -> None:
    with OpenAIServer(chat=stream(token("Twelve"), finish(reason), DONE)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    assert (conversation.tokens, conversation.error.exit_code) == (["Twelve"], 4)
    assert reason in conversation.error.message


@pytest.mark.fault("stream-ends-with-error")
def test_an_error_in_a_choice_is_reported_and_the_text_is_kept() -> None:
    ending = {
        "delta": {"content": " bolts"},
        "finish_reason": "error",
        "error": {"code": 502, "message": "pump failed"},
    }
    with OpenAIServer(chat=stream(token("Twelve"), event({"choices": [ending]}), DONE)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    assert "".join(conversation.tokens) == "Twelve bolts"
    assert conversation.error.message == f"127.0.0.1:{server.port} failed with status 502: pump failed"


@pytest.mark.parametrize(
    ("reason", "understood"),
    [("end_turn", "stop"), ("eos_token", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("x", "x")],
)
def test_synonyms_of_finish_reasons_are_recognised(reason: str, understood: str) -> None:
    with OpenAIServer(chat=answer("Twelve.", finish_reason=reason)) as server:
        conversation = converse(server.base_url)

    assert isinstance(conversation.finished, ModelFinished)
    assert conversation.finished.finish_reason == understood


@pytest.mark.parametrize(
    "reply",
    [
        stream(event({"choices": [{"message": {"content": "Twelve."}, "finish_reason": "stop"}]}), DONE),
        stream(event({"choices": [{"text": "Twelve.", "finish_reason": "stop"}]}), DONE),
        stream(b"data:\n\n", b"data: \n\n", token("Twelve."), b"data:\n\n", finish(), DONE),
    ],
    ids=["a whole message", "text", "empty data lines"],
)
def test_harmless_stream_deviations_are_ignored(reply: Reply) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)

    assert (conversation.tokens, conversation.error) == (["Twelve."], None)


def test_thinking_in_the_content_is_dropped() -> None:
    pieces = ["<think>", "Flange [7]", " or [1]?", "</think>", "\n\n", "Twelve", " [1]."]
    with OpenAIServer(chat=answer(*pieces)) as server:
        conversation = converse(server.base_url)

    assert "".join(conversation.tokens) == "Twelve [1]."


@pytest.mark.fault("thinking-in-content")
def test_shown_thinking_is_retracted() -> None:
    shown = threading.Event()
    reply = stream(token("Flange [7]."), Hold(shown), token("\n</think>\n\n"), token("Twelve [1]."), finish(), DONE)
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url, on_piece=lambda _: shown.set())

    where = conversation.pieces.index(ModelRetractsThinking())
    after = [piece.text for piece in conversation.pieces[where:] if isinstance(piece, ModelText)]
    assert "".join(after) == "Twelve [1]."


def test_shown_thinking_is_retracted_if_its_end_arrives_before_the_answer() -> None:
    shown, ended = threading.Event(), threading.Event()

    def release(piece: ModelPiece) -> None:
        (ended if shown.is_set() else shown).set()

    steps: list[Step] = [
        token("Flange [7]."),
        Hold(shown),
        token("\n</think>\n\n"),
        Hold(ended),
        token("Twelve [1]."),
        finish(),
    ]
    with OpenAIServer(chat=stream(*steps, DONE)) as server:
        conversation = converse(server.base_url, on_piece=release)

    after = conversation.pieces[conversation.pieces.index(ModelRetractsThinking()) :]
    assert "".join(piece.text for piece in after if isinstance(piece, ModelText)) == "Twelve [1]."


def test_content_is_the_answer_if_the_server_separates_reasoning() -> None:
    with OpenAIServer(chat=stream(reasoning("Hm"), token("Okay, so twelve."), finish(), DONE)) as server:
        conversation = converse(server.base_url)

    assert conversation.tokens == ["Okay, so twelve."]


@pytest.mark.parametrize(
    "message",
    [
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        "`inputs` must have less than 1024 tokens. Given: 2000",
        "The decoder prompt (length 5310) is longer than the maximum model length of 4096.",
        "input is too large to process. increase the physical batch size",
        "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
        "Request too large for model `m`: Limit 6000, Requested 9000",
        "This model's maximum context length is 4096 tokens",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_context_length_errors_of_various_servers_are_recognised(message: str) -> None:
    with OpenAIServer(chat=failure(400, message)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is not None
    assert (conversation.code, conversation.error.hint) == ("context_too_long", "streamrag ask -k 3 QUESTION")
