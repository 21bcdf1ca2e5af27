"""Answers within a conversation: what is searched, what is sent to the model, and what is reported."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from streamrag_cli.events import AskEvent, Citations, Done, Error, Notice, QuestionAsked, Sources, Status, Token
from streamrag_cli.model import Question, Turn
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import Reply, Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer, Script

VAGUE = "Could you put that differently?"
TIDES = Turn(question="What is the range of the tides?", answer="4.1 metres at springs [1].")
TOO_LONG = failure(400, "maximum context length exceeded", code="context_length_exceeded")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(make_collection(tmp_path_factory.mktemp("conversation")), timeout_s=5.0, model="m")


@pytest.fixture(scope="module")
def retriever(settings: Settings) -> Iterator[Retriever]:
    with closing(Retriever.open(settings)) as opened:
        yield opened


class Outcome:
    """An answer's events, and the requests to the model."""

    def __init__(
        self, settings: Settings, *history: Turn, text: str = VAGUE, script: Script | None = None, **context: Any
    ) -> None:
        question = Question(text=text, accepted_at=time.perf_counter(), history=history, **context)
        with OpenAIServer(chat=script or answer("Well [1].")) as server:
            with_model = replace(settings, base_url=server.base_url)
            self.events: list[AskEvent] = asyncio.run(_collect(question, with_model))
            self.requests = [each.json["messages"] for each in server.requests]

    def one(self, kind: type[Any]) -> Any:
        (event,) = [each for each in self.events if isinstance(each, kind)]
        return event

    @property
    def notices(self) -> list[tuple[str, str]]:
        return [(each.code, each.message) for each in self.events if isinstance(each, Notice)]

    @property
    def prompt(self) -> str:
        """The last message in the last request."""
        return str(self.requests[-1][-1]["content"])

    @property
    def earlier(self) -> list[str]:
        """The messages in the last request between the instructions and the question."""
        return [each["content"] for each in self.requests[-1][1:-1]]


async def _collect(question: Question, settings: Settings) -> list[AskEvent]:
    return [event async for event in LocalService().ask(question, settings)]


def source_numbers(prompt: str) -> list[tuple[int, str]]:
    """The sources' numbers and files in a prompt."""
    return [(int(n), name) for n, name in re.findall(r"^Z[a-z]{8} \[(\d+)\] ([^\s:]+)", prompt, re.MULTILINE)]


def chunk_id(retriever: Retriever, question: str) -> str:
    return retriever.retrieve(question, limit=1, min_score=0.0).hits[0].chunk.id


def long_conversation(turns: int, chars: int) -> list[Turn]:
    return [Turn(question=f"What of part {n}?", answer=f"Part {n}. ".ljust(chars, "w")) for n in range(turns)]


# The event


def test_the_question_event_comes_first(settings: Settings) -> None:
    outcome = Outcome(settings, TIDES, thread="k3f7q2wa")
    kinds = [type(each) for each in outcome.events]

    assert kinds == [QuestionAsked, Status, Sources, Status, Token, Citations, Done]
    assert outcome.one(QuestionAsked) == QuestionAsked(
        n=2, thread="k3f7q2wa", text=VAGUE, searched_for=(VAGUE, TIDES.question)
    )


def test_the_first_question_of_a_conversation_is_searched_unchanged(settings: Settings) -> None:
    outcome = Outcome(settings, text="Who built the lighthouse?", thread="k3f7q2wa")

    assert outcome.one(QuestionAsked) == QuestionAsked(
        n=1, thread="k3f7q2wa", text="Who built the lighthouse?", searched_for=("Who built the lighthouse?",)
    )


def test_a_question_without_relevant_sources_is_reported(settings: Settings) -> None:
    outcome = Outcome(replace(settings, rewrite="off"), TIDES)

    assert [type(each) for each in outcome.events] == [QuestionAsked, Status, Error]


def test_a_question_outside_of_a_conversation_has_no_question_event(settings: Settings) -> None:
    outcome = Outcome(settings, text="Who built the lighthouse?")

    assert [type(each) for each in outcome.events][:2] == [Status, Sources]


def test_the_number_of_the_turn_can_be_set(settings: Settings) -> None:
    assert Outcome(settings, TIDES, n=31).one(QuestionAsked).n == 31


# The earlier turns in the prompt


def test_earlier_turns_are_sent_oldest_first_without_citations(settings: Settings) -> None:
    first = Turn(question="Who built the lighthouse?", answer="Ada Brandt [1][2].")

    outcome = Outcome(settings, first, TIDES)

    assert outcome.earlier == [
        "Who built the lighthouse?",
        "Ada Brandt.",
        "What is the range of the tides?",
        "4.1 metres at springs.",
    ]
    assert outcome.notices == []


@pytest.mark.fault("conversation-too-long")
def test_a_conversation_of_200_long_turns_is_answered_with_one_notice(settings: Settings) -> None:
    outcome = Outcome(settings, *long_conversation(199, 20_000), TIDES)

    assert isinstance(outcome.events[-1], Done)
    assert sum(map(len, outcome.earlier)) <= settings.history_chars
    assert outcome.earlier[-2:] == ["What is the range of the tides?", "4.1 metres at springs."]
    ((code, message),) = outcome.notices
    assert code == "history_cut"
    assert re.fullmatch(
        r"the conversation was not sent to the model in full: the first \d+ turns were left out,"
        r" long turns were shortened",
        message,
    )


def test_unanswered_questions_are_not_counted_as_omitted_turns(settings: Settings) -> None:
    assert Outcome(settings, TIDES, n=31).notices == []


def test_most_prompts_repeat_the_messages_of_the_previous_turn(settings: Settings) -> None:
    history = [replace(each, question=TIDES.question) for each in long_conversation(40, 600)]

    before, after = (Outcome(settings, *history[:count]).requests[-1] for count in (38, 39))

    assert len(before) > 2
    assert after[: len(before) - 1] == before[:-1]


def test_with_history_chars_0_earlier_turns_are_used_only_for_the_search(settings: Settings) -> None:
    outcome = Outcome(replace(settings, history_chars=0), TIDES)

    assert (outcome.earlier, outcome.notices) == ([], [])
    assert outcome.one(Sources).sources[0].source == "docs/tides.txt"


@pytest.mark.fault("conversation-too-long")
def test_a_prompt_too_long_for_the_model_is_retried_without_the_conversation(settings: Settings) -> None:
    outcome = Outcome(settings, *long_conversation(3, 500), TIDES, script=[TOO_LONG, answer("Well [1].")])

    assert outcome.notices == [
        ("history_cut", "the conversation is too long for the model, so the question is sent without it")
    ]
    assert [len(each) for each in outcome.requests] == [10, 2]
    assert outcome.requests[0][-1]["content"].endswith(f"Question: {VAGUE}")
    assert source_numbers(outcome.prompt) == source_numbers(outcome.requests[0][-1]["content"])
    assert isinstance(outcome.events[-1], Done)


def test_sources_too_long_for_the_model_are_an_error_after_one_retry(settings: Settings) -> None:
    outcome = Outcome(settings, TIDES, script=TOO_LONG)

    assert (outcome.one(Error).code, len(outcome.requests)) == ("context_too_long", 2)


# The passages that the previous answer cites


def test_passages_cited_by_the_previous_answer_follow_the_new_sources(settings: Settings, retriever: Retriever) -> None:
    cited = replace(TIDES, cited=(chunk_id(retriever, "How are clams cooked?"),))

    outcome = Outcome(replace(settings, top_k=1), cited, script=answer("With thyme [2]."))
    sources = outcome.one(Sources).sources

    assert [(each.n, each.source) for each in sources] == [(1, "docs/tides.txt"), (2, "docs/recipes.md")]
    assert sources[0].score >= sources[1].score
    assert source_numbers(outcome.prompt) == [(1, "docs/tides.txt"), (2, "docs/recipes.md")]
    assert "Simmer the clams" in outcome.prompt
    assert [each.n for each in outcome.one(Citations).citations] == [2]


def test_cited_passages_are_not_sent_twice_and_missing_ones_are_skipped(
    settings: Settings, retriever: Retriever
) -> None:
    tides = chunk_id(retriever, TIDES.question)
    clams = chunk_id(retriever, "How are clams cooked?")

    outcome = Outcome(replace(settings, top_k=1), replace(TIDES, cited=("no-such-chunk", clams, tides, clams)))

    assert source_numbers(outcome.prompt) == [(1, "docs/tides.txt"), (2, "docs/recipes.md")]


def test_passages_cited_only_by_older_answers_are_not_added(settings: Settings, retriever: Retriever) -> None:
    earlier = Turn(question="How are clams cooked?", cited=(chunk_id(retriever, "How are clams cooked?"),))

    outcome = Outcome(replace(settings, top_k=1), earlier, TIDES)

    assert [name for _, name in source_numbers(outcome.prompt)] == ["docs/tides.txt"]


def test_a_retry_without_the_conversation_leaves_out_the_cited_passages(
    settings: Settings, retriever: Retriever
) -> None:
    cited = replace(TIDES, cited=(chunk_id(retriever, "How are clams cooked?"),))

    outcome = Outcome(replace(settings, top_k=1, history_chars=0), cited, script=[TOO_LONG, answer("Well.")])

    assert [name for _, name in source_numbers(outcome.prompt)] == ["docs/tides.txt"]
    assert isinstance(outcome.events[-1], Done)


# Rewriting


def test_if_rewriting_is_off_a_question_is_searched_without_its_conversation(settings: Settings) -> None:
    off = replace(settings, rewrite="off")

    assert Outcome(off, TIDES).one(Error).code == "nothing_relevant"
    outcome = Outcome(off, TIDES, text="Who built the lighthouse?")
    assert outcome.one(QuestionAsked).searched_for == ("Who built the lighthouse?",)
    assert outcome.earlier == [TIDES.question, "4.1 metres at springs."]


def test_the_model_rewrites_a_follow_up_before_the_search(settings: Settings) -> None:
    outcome = Outcome(
        replace(settings, rewrite="model"),
        TIDES,
        text="And who built it?",
        script=[answer('\n"Who built ', 'the lighthouse?"\nThis is', " better."), answer("Ada [1].")],
    )

    assert outcome.one(QuestionAsked).searched_for == ("Who built the lighthouse?",)
    assert outcome.one(Sources).sources[0].source == "docs/lighthouse.md"
    rewriting, answering = outcome.requests
    assert [each["content"] for each in rewriting[1:]] == [
        TIDES.question,
        "4.1 metres at springs.",
        "Rewrite this question: And who built it?",
    ]
    assert answering[-1]["content"].endswith("Question: And who built it?")
    assert outcome.notices == []


def test_the_first_question_is_never_rewritten(settings: Settings) -> None:
    outcome = Outcome(replace(settings, rewrite="model"), text="Who built the lighthouse?", thread="k3f7q2wa")

    assert len(outcome.requests) == 1


@pytest.mark.fault("rewrite-fails")
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failure(400, "no"), "refused the request with status 400: no"),
        (failure(503, "busy", headers={"Retry-After": "0"}), "failed with status 503: busy"),
        (stream(token("Who"), Stall(ping_every_s=0.1)), "the model took longer than 1 s"),
        (answer("\n\n"), "the model's reply is not a question"),
        (answer("word " * 300), "the model's reply is not a question"),
    ],
)
def test_if_rewriting_fails_the_question_is_searched_with_its_conversation(
    reply: Reply, reason: str, settings: Settings
) -> None:
    def script(request: LoggedRequest) -> Reply:
        is_rewriting = request.json["messages"][-1]["content"].startswith("Rewrite this question")
        return reply if is_rewriting else answer("Well [1].")

    outcome = Outcome(replace(settings, rewrite="model", timeout_s=1.0), TIDES, script=script)

    ((code, message),) = outcome.notices
    assert code == "rewrite_failed"
    assert message.startswith("the follow-up question was not rewritten: ")
    assert message.endswith(reason)
    assert [type(each) for each in outcome.events][:4] == [Status, QuestionAsked, Notice, Status]
    assert outcome.one(Sources).sources[0].source == "docs/tides.txt"
    assert (isinstance(outcome.events[-1], Done), len(outcome.requests)) == (True, 2)


def test_a_search_never_asks_the_model_to_rewrite_the_question(settings: Settings) -> None:
    async def search(with_model: Settings) -> list[AskEvent]:
        question = Question(text=VAGUE, accepted_at=time.perf_counter(), history=(TIDES,))
        return [event async for event in LocalService().search(question, with_model)]

    with OpenAIServer() as server:
        (event,) = asyncio.run(search(replace(settings, rewrite="model", base_url=server.base_url)))
        assert server.requests == []

    assert isinstance(event, Sources)
    assert event.sources[0].source == "docs/tides.txt"
