"""The order of the events of an answer, which always end with exactly one `Done` or `Error`."""

import asyncio
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.events import THINKING_SHOWN, AskEvent, Citations, Done, Error, Notice, Sources, Status, Token
from streamrag_cli.json_objects import answer_object
from streamrag_cli.model import Question
from streamrag_cli.model_server.model_cache import ModelCache
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import (
    DONE,
    HTML,
    Cut,
    Hold,
    Reply,
    Stall,
    Step,
    answer,
    event,
    failure,
    finish,
    reasoning,
    stream,
    token,
)
from tests.support.openai_server import OpenAIServer, Script

QUESTION = "Who built the lighthouse?"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(make_collection(tmp_path_factory.mktemp("pipeline")), timeout_s=5.0)


def ask_quotes(question: str, settings: Settings) -> list[AskEvent]:
    async def collect() -> list[AskEvent]:
        accepted = Question(text=question, accepted_at=time.perf_counter())
        return [event async for event in LocalService().ask(accepted, settings)]

    return asyncio.run(collect())


def ask_model(script: Script, settings: Settings, *, key: str | None = None) -> tuple[list[AskEvent], int]:
    """The events, and the number of chat requests that the server received."""
    with OpenAIServer(chat=script) as server:
        events = ask_quotes(QUESTION, replace(settings, base_url=server.base_url, model="m", api_key=key))
        return events, len([each for each in server.requests if each.path.endswith("/chat/completions")])


def kinds(events: list[AskEvent]) -> list[str]:
    """The event types in order. Consecutive tokens are counted as one event."""
    names = [type(each).__name__ for each in events]
    return [name for at, name in enumerate(names) if name != "Token" or names[at - 1] != "Token"]


def text(events: list[AskEvent]) -> str:
    return "".join(each.text for each in events if isinstance(each, Token))


def test_events_follow_the_documented_order(settings: Settings) -> None:
    events, requests = ask_model(answer("Ada ", "Brandt ", "[1]."), settings)

    assert kinds(events) == ["Status", "Sources", "Status", "Token", "Citations", "Done"]
    assert [each.status for each in events if isinstance(each, Status)] == ["retrieving", "generating"]
    assert text(events) == "Ada Brandt [1]."
    assert requests == 1


def test_the_done_event_has_finish_reason_usage_and_timings(settings: Settings) -> None:
    events, _ = ask_model(answer("Ada."), settings)
    done = events[-1]

    assert isinstance(done, Done)
    assert (done.finish_reason, done.usage is not None) == ("stop", True)
    times = done.timings
    stages = [times.retrieval_ms, times.context_ms, times.request_ms, times.first_token_ms, times.total_ms]
    assert stages == sorted(each or 0.0 for each in stages)


def test_citations_are_resolved_and_unknown_citations_are_reported(settings: Settings) -> None:
    events, _ = ask_model(answer("Ada Brandt [1", "][9]."), settings)
    sources = next(each for each in events if isinstance(each, Sources)).sources
    citations = next(each for each in events if isinstance(each, Citations))

    assert [(each.n, each.source) for each in citations.citations] == [(1, sources[0].source)]
    assert citations.unknown == (9,)


def test_without_a_model_quotes_are_returned_with_a_notice(settings: Settings) -> None:
    events = ask_quotes(QUESTION, settings)

    assert kinds(events) == ["Status", "Sources", "Status", "Notice", "Token", "Citations", "Done"]
    assert next(each for each in events if isinstance(each, Notice)).code == "quotes_only"
    assert "The lighthouse was built in 1874 by Ada Brandt." in text(events)
    assert isinstance(events[-1], Done)
    assert (events[-1].model, events[-1].timings.tokens_per_second) == ("quotes", None)


def test_an_irrelevant_question_ends_before_any_model_is_called(settings: Settings) -> None:
    with OpenAIServer(chat=answer("never")) as server:
        with_server = replace(settings, base_url=server.base_url, model="m")
        events = ask_quotes("Which programming language has the best macros?", with_server)

        assert kinds(events) == ["Status", "Error"]
        assert isinstance(events[-1], Error)
        assert (events[-1].code, events[-1].exit_code) == ("nothing_relevant", 7)
        assert server.requests == []


@pytest.mark.fault("answer-cut-off")
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_an_answer_that_is_cut_off_ends_with_one_error(count: int, settings: Settings) -> None:
    steps = [token(f"w{number} ") for number in range(count)]

    events, requests = ask_model(stream(*steps, Cut(reset=True)), settings)

    assert text(events) == "".join(f"w{number} " for number in range(count))
    assert [type(each) for each in events if isinstance(each, Done | Error)] == [Error]
    assert isinstance(events[-1], Error)
    assert (events[-1].exit_code, requests) == (4, 1)


def test_a_retry_is_announced_and_the_answer_is_complete(settings: Settings) -> None:
    events, requests = ask_model(
        [failure(429, "slow down", headers={"Retry-After": "0"}), answer("Ada [1].")], settings
    )

    assert kinds(events) == ["Status", "Sources", "Status", "Status", "Notice", "Token", "Citations", "Done"]
    assert [each.status for each in events if isinstance(each, Status)] == ["retrieving", "generating", "retrying"]
    notice = next(each for each in events if isinstance(each, Notice))
    assert notice.message.endswith("; retry 1 of 2 in 0.5 s")
    assert requests == 2


def notices(events: list[AskEvent]) -> list[str]:
    return [each.code for each in events if isinstance(each, Notice)]


@pytest.mark.fault("wrong-citation")
def test_a_model_answer_without_citations_has_a_notice(settings: Settings) -> None:
    events, _ = ask_model(answer("Ada Brandt built it."), settings)

    assert kinds(events)[-4:] == ["Token", "Citations", "Notice", "Done"]
    assert events[-2] == Notice(
        message="the answer cites none of the sources; check it against the documents", code="no_citations"
    )


@pytest.mark.parametrize(
    "reply",
    [
        answer("Ada Brandt [1]."),
        answer("Ada Brandt [9]."),
        answer("That is not in the documents."),
        answer("The sources do not mention who built it."),
        answer("Das steht nicht in den Dokumenten."),
        stream(token("Ada Brandt built"), finish("length")),
        stream(token("Ada Brandt built"), Cut(reset=False)),
    ],
    ids=["cited", "unknown", "absent", "not mentioned", "German", "cut", "interrupted"],
)
def test_a_cited_negative_or_incomplete_answer_has_no_citation_notice(settings: Settings, reply: Reply) -> None:
    assert "no_citations" not in notices(ask_model(reply, settings)[0])


def test_citations_of_quotes_are_not_checked(settings: Settings) -> None:
    events = ask_quotes(QUESTION, settings)

    assert "no_citations" not in notices(events)
    assert [each.unsupported for each in events if isinstance(each, Citations)] == [()]


def test_a_citation_that_does_not_support_its_sentence_is_reported(settings: Settings) -> None:
    events, _ = ask_model(answer("Ada Brandt built it [1]. ", "It has 4,711 steps [1]."), settings)
    right, _ = ask_model(answer("Ada Brandt built the lighthouse [1]."), settings)

    assert [each.unsupported for each in (*events, *right) if isinstance(each, Citations)] == [(1,), ()]
    assert answer_object(events)["unsupported_citations"] == [1]


@pytest.mark.parametrize(
    ("script", "code", "exit_code"),
    [
        (failure(401, "bad key"), "key_missing", 3),
        (failure(404, "no model m"), "no_such_model", 3),
        (failure(400, "maximum context length exceeded", code="context_length_exceeded"), "context_too_long", 4),
        (stream(finish()), "empty_answer", 4),
        (stream(token("Half"), event({"error": {"message": "boom"}})), "malformed", 4),
    ],
)
def test_a_failing_server_causes_one_error_after_the_sources(
    script: Script, code: str, exit_code: int, settings: Settings
) -> None:
    events, _ = ask_model(script, settings)
    end = events[-1]

    assert isinstance(end, Error)
    assert (end.code, end.exit_code) == (code, exit_code)
    assert any(isinstance(each, Sources) for each in events)
    assert end.hint


def test_an_answer_ends_with_an_error_if_the_model_stalls(settings: Settings) -> None:
    events, _ = ask_model(stream(token("Half"), Stall(ping_every_s=0.1)), replace(settings, timeout_s=0.5))

    assert text(events) == "Half"
    assert isinstance(events[-1], Error)
    assert events[-1].code == "stalled"


def test_reasoning_is_not_part_of_the_answer(settings: Settings) -> None:
    events, _ = ask_model(stream(reasoning("Hmm."), token("Ada."), finish()), settings)

    assert text(events) == "Ada."


@pytest.mark.fault("answer-limit-or-filter")
def test_an_answer_cut_off_at_the_servers_limit_has_a_notice(settings: Settings) -> None:
    events, _ = ask_model(answer("Half an", finish_reason="length"), settings)

    assert kinds(events)[-3:] == ["Notice", "Citations", "Done"]
    assert next(each for each in events if isinstance(each, Notice)).code == "finish_length"


@pytest.mark.fault("unsafe-characters")
def test_tokens_are_sanitised_and_html_errors_are_not_shown(settings: Settings) -> None:
    events, _ = ask_model(answer("a\x1b", "]52;c;x\x07b\u202e"), settings)
    assert text(events) == "a\ufffd]52;c;x\ufffdb"

    events, _ = ask_model([failure(502, HTML.decode())] * 3, settings)
    assert isinstance(events[-1], Error)
    assert "<" not in events[-1].message + events[-1].hint


def test_closing_the_stream_early_closes_the_connection_to_the_model(settings: Settings) -> None:
    async def leave_after_the_first_token(settings: Settings) -> None:
        events = LocalService().ask(Question(text=QUESTION, accepted_at=0.0), settings)
        async for each in events:
            if isinstance(each, Token):
                break
        await events.aclose()

    with OpenAIServer(chat=stream(token("Ada"), Stall())) as server:
        asyncio.run(leave_after_the_first_token(replace(settings, base_url=server.base_url, model="m")))

        assert server.requests[-1].closed_by_client.wait(timeout=10.0)


@pytest.mark.parametrize(("question", "code"), [("  ", "empty_question"), ("x" * 20_001, "question_too_long")])
def test_an_empty_or_overlong_question_is_a_usage_error(question: str, code: str, settings: Settings) -> None:
    events = ask_quotes(question, settings)

    assert isinstance(events[-1], Error)
    assert (len(events), events[-1].code, events[-1].exit_code) == (1, code, 2)


def test_a_bug_ends_the_stream_with_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retriever, "open", lambda _: 1 / 0)

    *_, end = ask_quotes("Why?", settings)

    assert isinstance(end, Error)
    assert (end.code, end.exit_code) == ("internal_error", 1)


@pytest.mark.fault("path-traversal")
def test_a_source_has_an_absolute_path_and_a_relative_display_name(settings: Settings, tmp_path: Path) -> None:
    sources = next(each for each in ask_quotes(QUESTION, settings) if isinstance(each, Sources)).sources

    assert Path(sources[0].path).is_absolute()
    assert sources[0].source == "docs/lighthouse.md"


def test_an_unknown_finish_reason_is_reported(settings: Settings) -> None:
    events, _ = ask_model(answer("Ada Brandt [1].", finish_reason="tired"), settings)

    notices = [each for each in events if isinstance(each, Notice)]
    message = 'the answer may be incomplete: the model server ended it for an unrecognised reason, "tired"'
    assert notices == [Notice(message=message, code="finish_unknown")]
    assert isinstance(events[-1], Done)


@pytest.mark.fault("unsafe-characters")
def test_the_finish_reason_and_model_name_are_made_safe_and_shortened(settings: Settings) -> None:
    choice = {"index": 0, "delta": {"content": "Ada Brandt [1]."}, "finish_reason": "\x1b[31m" + "z" * 99}
    events, _ = ask_model(stream(event({"model": "big\n" * 99, "choices": [choice]}), DONE), settings)

    assert isinstance(done := events[-1], Done)
    assert (done.finish_reason, done.model) == ("\N{REPLACEMENT CHARACTER}[31m" + "z" * 75, "big " * 50)


def test_numbers_in_the_models_thinking_are_not_citations(settings: Settings) -> None:
    shown = threading.Event()
    steps: list[Step] = [
        token("Perhaps [9] or [2]."),
        Hold(shown),
        token("\n</think>\n"),
        token("Ada Brandt [1]."),
        finish(),
    ]
    with OpenAIServer(chat=stream(*steps)) as server:

        async def collect() -> list[AskEvent]:
            question = Question(text=QUESTION, accepted_at=time.perf_counter())
            events = []
            async for event in LocalService().ask(question, replace(settings, base_url=server.base_url, model="m")):
                events.append(event)
                if isinstance(event, Token):
                    shown.set()
            return events

        events = asyncio.run(collect())

    citations = next(each for each in events if isinstance(each, Citations))
    assert ([each.n for each in citations.citations], citations.unknown) == ([1], ())
    assert THINKING_SHOWN in events
    assert answer_object(events)["answer"] == "Ada Brandt [1]."


def test_model_loading_is_reported_once(settings: Settings) -> None:
    loading = failure(503, "Loading model")
    events, requests = ask_model([loading, loading, answer("Ada Brandt [1].")], settings)

    notices = [each for each in events if isinstance(each, Notice)]
    assert notices == [Notice(message="the model server is loading m: waiting up to 5 s", code="model_loading")]
    assert (text(events), requests) == ("Ada Brandt [1].", 3)


def requests_for_a_list(server: OpenAIServer) -> int:
    return len([each for each in server.requests if each.path.endswith("/models")])


def test_the_only_model_of_a_server_is_cached(settings: Settings, tmp_path: Path) -> None:
    with OpenAIServer(chat=answer("Ada."), models=["only"]) as server:
        asking = replace(settings, base_url=server.base_url, state_directory=str(tmp_path / "state"))
        answers = [text(ask_quotes(QUESTION, asking)) for _ in range(3)]
        lists = requests_for_a_list(server)

    assert (answers, lists) == (["Ada."] * 3, 1)
    assert (tmp_path / "state" / "models.json").stat().st_mode & 0o777 == 0o600
    assert server.base_url not in (tmp_path / "state" / "models.json").read_text(encoding="utf-8")


def test_the_model_is_looked_up_again_if_the_cached_one_is_refused(settings: Settings, tmp_path: Path) -> None:
    def reply(request: LoggedRequest) -> Reply:
        return answer("Ada.") if request.json["model"] == "new" else failure(404, "no such model")

    with OpenAIServer(chat=reply, models=["new"]) as server:
        ModelCache(str(tmp_path)).remember(server.base_url, "old")
        events = ask_quotes(QUESTION, replace(settings, base_url=server.base_url, state_directory=str(tmp_path)))
        lists = requests_for_a_list(server)

    assert (text(events), lists) == ("Ada.", 1)
    assert ModelCache(str(tmp_path)).get(server.base_url) == "new"


@pytest.mark.parametrize("kind", ["fifo", "large"])
def test_an_unusable_cache_of_models_is_ignored(tmp_path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(tmp_path / "models.json")
    else:
        (tmp_path / "models.json").write_bytes(b" " * 10_000_001)

    assert ModelCache(str(tmp_path)).get("http://127.0.0.1:9/v1") is None
