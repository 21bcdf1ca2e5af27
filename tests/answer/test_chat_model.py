"""Complete answers are streamed, even from servers that deviate from the protocol."""

import asyncio
import subprocess
import sys
import threading
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from streamrag_cli.answer.chat_model import ModelActivity, ModelFinished, ModelPiece, ModelText
from streamrag_cli.model import Usage
from tests.support.conversations import KEY, converse, run_cleanly, stream_from
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import (
    DONE,
    Hold,
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
    usage_chunk,
    usage_counts,
    with_line_ends,
)
from tests.support.openai_server import OpenAIServer

STOPPED = ModelFinished(finish_reason="stop", usage=None, model="test-model")


def test_one_request_yields_all_tokens_in_order_and_the_final_metadata() -> None:
    with OpenAIServer(chat=answer("Hel", "lo", ".")) as server:
        conversation = converse(server.base_url)
        requests = server.requests

    assert "".join(conversation.tokens) == "Hello."
    assert conversation.pieces[-1] == ModelFinished(
        finish_reason="stop", usage=Usage(input_tokens=7, output_tokens=3, total_tokens=10), model="test-model"
    )
    assert conversation.error is None
    assert [request.path for request in requests] == ["/v1/chat/completions"]


def test_the_request_contains_the_exact_messages_and_only_universal_parameters() -> None:
    with OpenAIServer() as server:
        converse(server.base_url, messages=[("system", "Use {these} {{rules}}."), ("user", "Why { % }?")])
        request = server.requests[0]

    assert request.json == {
        "model": "some-model",
        "messages": [
            {"role": "system", "content": "Use {these} {{rules}}."},
            {"role": "user", "content": "Why { % }?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_the_request_is_identical_to_langchains_request() -> None:
    from langchain_openai import ChatOpenAI

    with OpenAIServer() as server:
        converse(server.base_url, messages=[("system", "Be brief."), ("user", "Why?")])
        model = ChatOpenAI(model="some-model", base_url=server.base_url, api_key=SecretStr(KEY), streaming=True)
        list(model.stream([("system", "Be brief."), ("user", "Why?")], stream_usage=True))
        ours, langchains = (request.json for request in server.requests)

    assert ours == langchains


def test_asking_a_model_does_not_import_langchain() -> None:
    program = """
import asyncio, sys
from contextlib import aclosing
from streamrag_cli.answer.chat_model import stream_chat
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.model_server.endpoint import ModelEndpoint
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer

loaded = []

def reply(request):
    loaded.append("langchain_openai.chat_models.base" in sys.modules)
    return answer("Because.")

async def ask(base_url):
    async with SharedResources() as library:
        endpoint = ModelEndpoint(model="m", base_url=base_url)
        stream = stream_chat([("user", "Why?")], endpoint=endpoint, timeout_s=30, client_for=library.client)
        async with aclosing(stream):
            return [piece async for piece in stream]

with OpenAIServer(chat=reply) as server:
    pieces = asyncio.run(ask(server.base_url))
print(loaded, "".join(getattr(piece, "text", "") for piece in pieces))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[False] Because.\n", "")


def test_a_lone_surrogate_in_the_question_is_replaced_instead_of_failing() -> None:
    with OpenAIServer() as server:
        conversation = converse(server.base_url, messages=[("user", "caf\udce9 \U0001f600")])
        request = server.requests[0]

    assert conversation.error is None
    assert request.json["messages"][0]["content"] == "caf\N{REPLACEMENT CHARACTER} \U0001f600"


def test_the_first_token_arrives_before_the_server_sends_the_second() -> None:
    release = threading.Event()

    async def first_then_second(base_url: str) -> tuple[bool, list[str]]:
        async with aclosing(stream_from(base_url)) as pieces:
            tokens = [await _next_text(pieces)]
            was_released = release.is_set()
            release.set()
            tokens.append(await _next_text(pieces))
            return was_released, tokens

    with OpenAIServer(chat=answer("one", "two", between=(Hold(release),))) as server:
        was_released, tokens = run_cleanly(first_then_second(server.base_url))

    assert (was_released, tokens) == (False, ["one", "two"])


@pytest.mark.fault("model-dialects")
@pytest.mark.parametrize(
    ("accent", "reply"),
    [
        ("CRLF line ends", with_line_ends(answer("Hel", "lo"), b"\r\n")),
        ("CR line ends", with_line_ends(answer("Hel", "lo"), b"\r")),
        ("one byte a write", replace(answer("Hel", "lo"), bytes_per_write=1)),
        ("finish without [DONE]", stream(token("Hel"), token("lo"), finish())),
        ("a body that ends with the connection", replace(answer("Hel", "lo"), framing="close")),
        ("empty choices", stream(event({"choices": []}), token("Hel"), event({"choices": []}), token("lo"), finish())),
        ("null choices", stream(event({"choices": None}), token("Hel"), event({}), token("lo"), finish())),
        ("null delta", stream(chunk(None), token("Hel"), chunk(None), token("lo"), finish(), DONE)),
        ("a finish with a null delta", stream(token("Hel"), token("lo"), chunk(None, finish_reason="stop"), DONE)),
        ("a finish with the last token", stream(token("Hel"), chunk({"content": "lo"}, finish_reason="stop"), DONE)),
        ("null content", stream(chunk({"content": None}), token("Hel"), token("lo"), finish(), DONE)),
        (
            "content in parts",
            stream(token("Hel"), chunk({"content": [{"type": "text", "text": "lo"}]}), finish(), DONE),
        ),
        ("another role", stream(chunk({"role": "user", "content": "Hel"}), token("lo"), finish(), DONE)),
        ("usage that is not an object", stream(token("Hel"), token("lo"), finish(), event({"usage": "much"}), DONE)),
        ("comments", stream(b": hi\n\n", token("Hel"), b": there\n\n", token("lo"), finish(), b":\n\n", DONE)),
        ("named events with ids", stream(b"event: x\nid: 1\n" + token("Hel"), token("lo"), finish(), DONE)),
        ("a failure after the finish", stream(token("Hel"), token("lo"), finish(), b"data: {broken\n\n")),
    ],
)
def test_deviations_from_the_protocol_are_accepted(accent: str, reply: Reply) -> None:
    with OpenAIServer(chat=reply) as server:
        conversation = converse(server.base_url)

    assert "".join(conversation.tokens) == "Hello"
    assert conversation.error is None
    assert conversation.finished is not None
    assert conversation.finished.finish_reason == "stop"


def test_silence_after_the_finish_reason_does_not_delay_the_answer() -> None:
    with OpenAIServer(chat=stream(token("Hello"), finish(), Stall(ping_every_s=0.02))) as server:
        conversation = converse(server.base_url, timeout_s=0.3)

    assert conversation.pieces == [ModelText(text="Hello"), STOPPED]


def test_the_last_of_several_token_counts_is_used() -> None:
    steps = [chunk({"content": text}, usage=usage_counts(7, n)) for n, text in enumerate(["a", "b"], start=1)]
    with OpenAIServer(chat=stream(*steps, finish(), usage_chunk(input_tokens=7, output_tokens=2), DONE)) as server:
        conversation = converse(server.base_url)

    assert conversation.finished == replace(STOPPED, usage=Usage(input_tokens=7, output_tokens=2, total_tokens=9))


@pytest.mark.parametrize("count", [10**400, -5, True, "2", 2.5])
def test_an_invalid_token_count_is_ignored(count: object) -> None:
    steps = [token("a"), finish(), chunk({}, usage={"prompt_tokens": 7, "completion_tokens": count}), DONE]  # type: ignore[dict-item]
    with OpenAIServer(chat=stream(*steps)) as server:
        conversation = converse(server.base_url)

    assert conversation.finished == replace(STOPPED, usage=Usage(input_tokens=7, output_tokens=0, total_tokens=7))


def test_a_server_that_refuses_stream_options_is_asked_again_without_them() -> None:
    def picky(request: LoggedRequest) -> Reply:
        if "stream_options" in request.json:
            return failure(422, "stream_options: extra fields not permitted")
        return answer("Hello")

    with OpenAIServer(chat=picky) as server:
        conversation = converse(server.base_url)
        keys_sent = [sorted(request.json) for request in server.requests]

    assert conversation.tokens == ["Hello"]
    assert conversation.retries == []
    assert keys_sent == [["messages", "model", "stream", "stream_options"], ["messages", "model", "stream"]]


@pytest.mark.fault("model-reasons-long")
def test_reasoning_is_not_part_of_the_answer() -> None:
    with OpenAIServer(chat=stream(reasoning("Hm."), reasoning("So."), token("Yes"), finish(), DONE)) as server:
        conversation = converse(server.base_url)

    shown = [piece for piece in conversation.pieces if not isinstance(piece, ModelActivity)]
    assert shown == [ModelText(text="Yes"), STOPPED]


@pytest.mark.fault("model-reasons-long")
def test_a_model_may_reason_longer_than_the_timeout() -> None:
    gates = [threading.Event() for _ in range(6)]
    steps = [step for gate in gates for step in (reasoning("hm"), Hold(gate))]
    pending_gates = iter(gates)

    def let_on_after_half_the_limit(piece: ModelPiece) -> None:
        if isinstance(piece, ModelActivity):
            threading.Timer(0.2, next(pending_gates).set).start()

    with OpenAIServer(chat=stream(*steps, token("Yes"), finish(), DONE)) as server:
        conversation = converse(server.base_url, timeout_s=0.6, on_piece=let_on_after_half_the_limit)

    assert conversation.tokens == ["Yes"]


@pytest.mark.fault("answer-limit-or-filter")
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_cut_off_by_the_server_ends_with_the_servers_reason(reason: str) -> None:
    with OpenAIServer(chat=answer("Half an ans", finish_reason=reason)) as server:
        conversation = converse(server.base_url)

    assert conversation.tokens == ["Half an ans"]
    assert conversation.finished is not None
    assert conversation.finished.finish_reason == reason


@pytest.mark.parametrize(
    "text", ["x" * 5_000_000, "a\ud800b", "\x1b[31m\x1b]52;c;aGk=\x07", "\U000e0041\u202e\u200b", "[/b][link=x]"]
)
def test_tokens_arrive_unchanged(text: str) -> None:
    with OpenAIServer(chat=answer(text)) as server:
        conversation = converse(server.base_url)

    assert conversation.error is None
    assert conversation.tokens == [text]


@pytest.mark.parametrize("ending", ["aclose", "cancel while waiting", "end"])
def test_the_connection_is_closed_whether_the_stream_ends_or_is_cancelled(ending: str) -> None:
    reply = answer("one", "two") if ending == "end" else stream(token("one"), Stall())

    async def end_it(base_url: str, server: OpenAIServer) -> bool:
        pieces = stream_from(base_url)
        await _next_text(pieces)
        if ending == "cancel while waiting":
            waiting = asyncio.ensure_future(anext(pieces))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
        elif ending == "end":
            assert isinstance([piece async for piece in pieces][-1], ModelFinished)
        else:
            await pieces.aclose()
        return await asyncio.to_thread(server.requests[0].closed_by_client.wait, 1.0)

    with OpenAIServer(chat=reply) as server:
        assert run_cleanly(end_it(server.base_url, server))


def test_cancelling_before_the_server_answers_closes_the_connection() -> None:
    async def cancel(base_url: str, server: OpenAIServer) -> bool:
        waiting = asyncio.ensure_future(anext(stream_from(base_url)))
        await asyncio.to_thread(server.wait_for_requests, 1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        return await asyncio.to_thread(server.requests[0].closed_by_client.wait, 1.0)

    with OpenAIServer(chat=Reply(before_headers=(Stall(),))) as server:
        assert run_cleanly(cancel(server.base_url, server))


def test_environment_variables_cannot_redirect_or_copy_a_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with OpenAIServer() as elsewhere, OpenAIServer() as server:
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "LANGSMITH_ENDPOINT", "LANGSMITH_GATEWAY", "OPENAI_PROXY"):
            monkeypatch.setenv(name, elsewhere.base_url)
        for name in ("OPENAI_API_KEY", "LANGSMITH_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
            monkeypatch.setenv(name, "not-for-you")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: not-for-you\nAuthorization: not-for-you")
        conversation = converse(server.base_url, api_key=None)
        headers = server.requests[0].headers
        sent_elsewhere = elsewhere.requests

    assert "".join(conversation.tokens) == "Hello there."
    assert sent_elsewhere == []
    assert "authorization" not in headers
    assert [name for name, value in headers.items() if "not-for-you" in value] == []


async def _next_text(pieces: Any) -> str:
    async for piece in pieces:
        if isinstance(piece, ModelText):
            return piece.text
    raise AssertionError("the stream ended")
