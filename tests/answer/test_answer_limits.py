"""Limits on the length and duration of an answer."""

import asyncio
import time
from dataclasses import replace

import pytest

from streamrag_cli.answer.chat_model import ModelFinished
from streamrag_cli.answer.chat_request import AnswerLimits
from streamrag_cli.events import AskEvent, Done, Error, Notice, Token
from streamrag_cli.model import Question
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.conversations import converse
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import Delay, Reply, Stall, answer, failure, finish, reasoning, stream, token
from tests.support.openai_server import OpenAIServer, Script

ENDLESS = stream(*[token("again ")] * 10_000, Stall())
SLOW_S = 0.02


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(make_collection(tmp_path_factory.mktemp("limits")), timeout_s=20.0)


def events_of(
    script: Script | None, settings: Settings, **parameters: object
) -> tuple[list[AskEvent], list[LoggedRequest]]:
    async def collect(settings: Settings) -> list[AskEvent]:
        question = Question(text="Who built the lighthouse?", accepted_at=time.perf_counter(), **parameters)  # type: ignore[arg-type]
        return [event async for event in LocalService().ask(question, settings)]

    if script is None:
        return asyncio.run(collect(settings)), []
    with OpenAIServer(chat=script) as server:
        events = asyncio.run(collect(replace(settings, base_url=server.base_url, model="m")))
        for request in server.requests:
            assert request.closed_by_client.wait(timeout=10.0)
        return events, server.requests


def ending(events: list[AskEvent]) -> tuple[list[str], str]:
    """The notices' messages, and the answer's finish reason."""
    assert isinstance(events[-1], Done)
    return [each.message for each in events if isinstance(each, Notice)], events[-1].finish_reason


def text(events: list[AskEvent]) -> str:
    return "".join(each.text for each in events if isinstance(each, Token))


@pytest.mark.fault("endless-answer")
def test_an_endless_answer_is_cut_off_and_its_connection_is_closed(settings: Settings) -> None:
    events, requests = events_of(ENDLESS, replace(settings, max_answer_tokens=100))

    assert text(events) == "again " * 100
    assert ending(events) == (["the answer was cut off at the limit of 100 tokens"], "length")
    assert len(requests) == 1


@pytest.mark.fault("endless-answer")
def test_an_endless_answer_is_cut_off_even_without_a_configured_limit() -> None:
    with OpenAIServer(chat=ENDLESS) as server:
        conversation = converse(server.base_url)

    assert len("".join(conversation.tokens).split()) == 8192
    assert conversation.finished == ModelFinished(
        finish_reason="length", usage=None, model="test-model", cut_at="8192 tokens"
    )


def test_an_answer_exactly_at_the_token_limit_is_complete(settings: Settings) -> None:
    events, _ = events_of(answer("one ", "two ", "three [1]"), replace(settings, max_answer_tokens=3))

    assert (text(events), ending(events)) == ("one two three [1]", ([], "stop"))


def test_thinking_does_not_count_toward_the_token_limit_unless_it_is_endless() -> None:
    limits = AnswerLimits(tokens=20)
    thinking = [token("<think>"), *[token("hmm ")] * 100, token("</think>")]
    with OpenAIServer(
        chat=[stream(*thinking, token("Ada."), finish()), stream(*thinking[:-1], *ENDLESS.steps)]
    ) as server:
        answered, endless = converse(server.base_url, limits=limits), converse(server.base_url, limits=limits)

    assert ("".join(answered.tokens), answered.error) == ("Ada.", None)
    assert (endless.tokens, endless.code) == ([], "empty_answer")


def test_a_piece_with_many_tokens_is_limited_by_its_length() -> None:
    limits = AnswerLimits(tokens=5, asks_server=True)
    with OpenAIServer(chat=stream(token("x" * 500), finish())) as server:
        conversation = converse(server.base_url, limits=limits)

    assert "".join(conversation.tokens) == "x" * 40


@pytest.mark.fault("endless-answer")
def test_an_answer_over_the_time_limit_is_cut_off_and_keeps_its_text(settings: Settings) -> None:
    started_s = time.monotonic()
    events, _ = events_of(stream(token("Half an answer"), Stall()), replace(settings, max_answer_s=0.5))

    assert text(events) == "Half an answer"
    assert ending(events) == (["the answer was cut off at the limit of 0.5 seconds"], "length")
    assert time.monotonic() - started_s < 15


@pytest.mark.fault("endless-answer")
def test_thinking_past_the_time_limit_is_an_error(settings: Settings) -> None:
    thinking = stream(*(step for _ in range(500) for step in (reasoning("Hmm. "), Delay(SLOW_S))))
    events, _ = events_of(thinking, replace(settings, max_answer_s=0.5))

    assert isinstance(events[-1], Error)
    assert (events[-1].code, "did not begin to answer within 0.5 s" in events[-1].message) == ("stalled", True)


def test_the_token_limit_is_sent_only_if_it_was_set(settings: Settings) -> None:
    _, without = events_of(answer("Ada."), settings)
    _, configured = events_of(answer("Ada."), replace(settings, max_answer_tokens=900))
    _, requested = events_of(answer("Ada."), settings, max_tokens=30)
    _, more = events_of(answer("Ada."), replace(settings, max_answer_tokens=900), max_tokens=5000)

    sent = [request[0].json.get("max_tokens") for request in (without, configured, requested, more)]
    assert sent == [None, 900, 30, 900]


@pytest.mark.fault("max-tokens-refused")
def test_a_refused_token_limit_is_sent_under_its_other_name_or_dropped(
    settings: Settings,
) -> None:
    def reply(request: LoggedRequest) -> Reply:
        name = next((each for each in ("max_tokens", "max_completion_tokens") if each in request.json), None)
        return failure(400, f"Unsupported parameter: '{name}' is not supported") if name in refused else answer("Ada.")

    limited = replace(settings, max_answer_tokens=50)
    refused = {"max_tokens"}
    events, one = events_of(reply, limited)
    refused = {"max_tokens", "max_completion_tokens"}
    neither, two = events_of(reply, limited)

    assert (text(events), text(neither)) == ("Ada.", "Ada.")
    assert one[-1].json["max_completion_tokens"] == 50
    assert [("max_tokens" in each.json, "max_completion_tokens" in each.json) for each in two] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_quotes_end_at_the_token_limit_or_a_stop_sequence(settings: Settings) -> None:
    whole = text(events_of(None, settings)[0])
    cut, _ = events_of(None, settings, max_tokens=4)
    stopped, _ = events_of(None, settings, options={"stop": ["Ada", "never"]})

    assert text(cut).split() == whole.split()[:4]
    assert ending(cut)[1] == "length"
    assert (text(stopped), ending(stopped)[1]) == (whole[: whole.index("Ada")].rstrip() + " ", "stop")
