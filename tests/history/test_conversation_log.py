"""Answers are recorded while they stream, and conversations are found again."""

import asyncio
import hashlib
import multiprocessing
import stat
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from streamrag_cli.cli.conversation import Continued
from streamrag_cli.errors import UsageError
from streamrag_cli.events import THINKING_SHOWN, AskEvent, Done, Error, Notice, Status, Token
from streamrag_cli.history.conversation_log import LOGGED, ConversationLog
from streamrag_cli.history.deletion import delete
from streamrag_cli.history.reading import LoggedTurn
from streamrag_cli.model import Question, Turn
from tests.support.command_line import LIMIT_S
from tests.support.logs import SETTINGS, answer_events, bytes_of, record, until_logged


@pytest.fixture
def log(tmp_path: Path) -> ConversationLog:
    return ConversationLog.open({"XDG_STATE_HOME": str(tmp_path / "state")})


def test_a_recorded_answer_omits_only_the_text_of_passages(log: ConversationLog) -> None:
    question = Question(text="What is the fee?", accepted_at=0.0, extra="piped in", thread="abcdefgh")
    passed_on = record(log, question, answer_events("18 euros ", "[1]."))
    (turn,) = log.find()

    assert passed_on == list(answer_events("18 euros ", "[1]."))
    assert turn == LoggedTurn(
        id=1,
        thread="abcdefgh",
        n=1,
        started_at=turn.started_at,
        question="What is the fee?",
        extra_chars=8,
        extra_sha256=hashlib.sha256(b"piped in").hexdigest(),
        answer="18 euros [1].",
        state="complete",
        collection="harbour",
        store="/srv/store",
        model="test-model",
        finish_reason="stop",
        sources=[
            {
                "n": 1,
                "source": "rules/berths.md",
                "path": "/srv/rules/berths.md",
                "page": None,
                "line_start": 3,
                "line_end": 9,
                "title": "Harbour rules > Berths",
                "score": 0.8124,
                "chunk_id": "c1",
            }
        ],
        cited=["c1"],
        timings={"total_ms": 12.3},
    )
    assert b"must not be logged" not in bytes_of(log)
    assert b"piped in" not in bytes_of(log)


def test_the_files_of_the_log_are_private(log: ConversationLog) -> None:
    log.file.parent.mkdir(parents=True, mode=0o755)
    log.file.touch(mode=0o644)
    record(log, "What is the fee?")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in log.file.parent.iterdir()}

    assert stat.S_IMODE(log.file.parent.stat().st_mode) == 0o700
    assert modes == {"log.db": 0o600, "log.db-wal": 0o600, "log.db-shm": 0o600}


def test_an_api_key_in_a_question_or_an_answer_is_masked(log: ConversationLog) -> None:
    settings = replace(SETTINGS, api_key="key-of-twenty-letters")
    events = answer_events("Use key-of-twenty", "-letters for it.")
    record(log, "Is key-of-twenty-letters valid?", events, settings=settings)

    assert [(each.question, each.answer) for each in log.find()] == [("Is [key] valid?", "Use [key] for it.")]
    assert b"key-of-twenty" not in bytes_of(log)


def test_a_failed_answer_keeps_its_error_code_and_partial_text(log: ConversationLog) -> None:
    failure = Error(message="stalled", code="stalled", hint="", retryable=True, exit_code=4)
    record(log, "What is the fee?", (*answer_events("18 eu")[:-2], failure))

    assert [(each.state, each.answer) for each in log.find()] == [("stalled", "18 eu")]


def test_thinking_that_was_shown_is_not_part_of_the_logged_answer(log: ConversationLog) -> None:
    record(log, "What is the fee?", (Token(text="Hmm."), THINKING_SHOWN, *answer_events("18 euros.")))

    assert [each.answer for each in log.find()] == ["18 euros."]


def test_an_answer_is_logged_before_it_ends_even_if_no_token_follows(log: ConversationLog) -> None:
    async def service(hold: asyncio.Event) -> AsyncGenerator[AskEvent, None]:
        yield Status(status="generating")
        yield Token(text="The beginning")
        await hold.wait()

    async def run() -> tuple[str, str]:
        events = log.record(service(asyncio.Event()), Question(text="Why?", accepted_at=0.0), SETTINGS, terminal="")
        async with aclosing(events):
            assert isinstance(await anext(events), Status)
            assert isinstance(await anext(events), Token)
            await until_logged(log)
            (turn,) = log.find()
            return turn.state, turn.answer

    assert asyncio.run(run()) == ("interrupted", "The beginning")


def test_an_answer_whose_stream_is_closed_is_logged_as_interrupted(log: ConversationLog) -> None:
    async def run() -> None:
        async def service() -> AsyncGenerator[AskEvent, None]:
            yield Token(text="One ")
            yield Token(text="two ")
            yield Token(text="three")

        events = log.record(service(), Question(text="Count", accepted_at=0.0), SETTINGS, terminal="")
        async with aclosing(events):
            await anext(events)
            await anext(events)

    asyncio.run(run())

    assert [(each.state, each.answer) for each in log.find()] == [("interrupted", "One two ")]


def test_a_conversation_contains_its_answered_questions_oldest_first(log: ConversationLog) -> None:
    failure = Error(message="no", code="unreachable", hint="", retryable=True, exit_code=4)
    for question, events in (
        ("First?", answer_events("One.")),
        ("Failed?", (failure,)),
        ("Second?", answer_events("Two.")),
    ):
        record(log, question, events, thread="abcdefgh")
    record(log, "Elsewhere?", thread="zzzzzzzz")

    turns = log.find(thread="abcdefgh")[::-1]
    assert Continued(thread="abcdefgh", turns=turns, flags={}).answered == (
        Turn(question="First?", answer="One.", cited=("c1",)),
        Turn(question="Second?", answer="Two.", cited=("c1",)),
    )


def test_the_last_conversation_of_a_terminal_is_preferred(log: ConversationLog) -> None:
    assert log.last_thread("tty-1") is None
    for thread, terminal in (("aaaaaaaa", "tty-1"), ("bbbbbbbb", "tty-2"), ("cccccccc", "tty-3")):
        record(log, "What?", thread=thread, terminal=terminal)
    record(log, "And then?", thread="aaaaaaaa", terminal="tty-2")  # --thread from another terminal

    assert [log.last_thread(f"tty-{n}") for n in (1, 2, 3, 4)] == ["aaaaaaaa", "aaaaaaaa", "cccccccc", "aaaaaaaa"]


def test_a_conversation_is_found_by_the_start_of_its_id(log: ConversationLog) -> None:
    for thread in ("abcdefgh", "abcxyz22"):
        record(log, "What?", thread=thread)

    def code(prefix: str) -> str:
        with pytest.raises(UsageError) as raised:
            log.find_thread(prefix)
        return raised.value.code

    assert [log.find_thread(each) for each in ("abcd", "ABCX", "abcdefgh")] == ["abcdefgh", "abcxyz22", "abcdefgh"]
    assert [code(each) for each in ("abc", "x", "", "%", "abcdefghi")] == [
        "ambiguous_thread",
        "unknown_thread",
        "usage",
        *["unknown_thread"] * 2,
    ]


def test_conversation_ids_are_eight_base32_characters_starting_with_a_letter(log: ConversationLog) -> None:
    ids = {log.new_thread("tty") for _ in range(500)}

    assert len(ids) == 500
    assert all(len(each) == 8 and each[0].isalpha() for each in ids)
    assert set("".join(ids)) <= set("abcdefghijklmnopqrstuvwxyz234567")


@pytest.mark.parametrize(
    ("words", "threads"),
    [
        ("flushing tokens", ["token"]),
        ('"flush', ["token"]),
        ("flush NOT token", []),
        ("flush*", ["token"]),
        ("token -- (flush)", ["token"]),
        ("a NEAR/2 OR", []),
        ("retry_policy", ["retries"]),
        ("渡轮", ["ferry"]),
        ("东京塔", ["tower"]),
        ("京", ["tower"]),
        ("タワー", ["tower"]),
        ("ワタ", []),
        ("größe", ["size"]),
        ("'", []),
        ('"', []),
        ("*", []),
    ],
)
def test_words_are_found_in_questions_and_answers(log: ConversationLog, words: str, threads: list[str]) -> None:
    for thread, question, answer in (
        ("token", "Why is a token flushed?", "To avoid waiting."),
        ("retries", "Which file?", "See `retry_policy` for that."),
        ("ferry", "坐渡轮于何处?", "At pier 4."),
        ("tower", "How tall is it?", "东京塔 (東京タワー) is 333 m tall."),
        ("size", "Welche Größe?", "4 m"),
    ):
        record(log, question, answer_events(answer), thread=thread)

    assert [each.thread for each in log.find(words=words)] == threads


def test_the_answer_of_a_killed_process_can_be_found(log: ConversationLog) -> None:
    async def run() -> list[str]:
        async def service() -> AsyncGenerator[AskEvent, None]:
            yield Token(text="semidiurnal tides")
            yield Token(text=" and more")

        events = log.record(service(), Question(text="Why?", accepted_at=0.0), SETTINGS, terminal="")
        async with aclosing(events):
            await anext(events)
            await until_logged(log)
            questions = [each.question for each in log.find(words="semidiurnal")]
            await anext(events)
            return questions

    assert asyncio.run(run()) == ["Why?"]
    assert [each.answer for each in log.find(words="more semidiurnal")] == ["semidiurnal tides and more"]


def _record_ten(file: Path) -> None:
    log = ConversationLog(file)
    for n in range(10):
        assert not any(isinstance(event, Notice) for event in record(log, f"Question {n}?", thread="abcdefgh"))


def test_several_processes_write_concurrently_and_lose_nothing(log: ConversationLog) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_record_ten, args=(log.file,)) for _ in range(3)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)

    assert [each.exitcode for each in processes] == [0, 0, 0]
    assert [each.n for each in log.find()] == list(range(30, 0, -1))
    assert {each.answer for each in log.find()} == {"An answer."}


def test_all_answers_of_a_process_share_a_thread_and_a_connection(log: ConversationLog) -> None:
    record(log, "First?")
    before = len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        record(ConversationLog(log.file), "Again?")

    assert (len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))) == before
    assert len(log.find()) == 6


def test_the_log_is_announced_only_once(log: ConversationLog) -> None:
    record(log, "In JSON?")
    announced = [LOGGED in record(log, "What?", announce=True) for _ in range(2)]

    assert announced == [True, False]


def test_a_turn_deleted_during_its_answer_is_not_written_again(log: ConversationLog) -> None:
    async def run() -> None:
        async def service() -> AsyncGenerator[AskEvent, None]:
            yield Token(text="A confidential ")
            yield Token(text="answer")
            yield answer_events()[-1]

        events = log.record(service(), Question(text="Why?", accepted_at=0.0), SETTINGS, terminal="")
        async with aclosing(events):
            await anext(events)
            await until_logged(log)
            delete(log.file, "1")
            assert [type(event) async for event in events] == [Token, Done]

    asyncio.run(run())

    assert log.find() == []
    assert b"confidential" not in bytes_of(log)


def test_conversations_are_deleted_after_the_configured_days(log: ConversationLog) -> None:
    record(log, "An old question about pelicans?", thread="oldthread")
    record(log, "An old question in a live conversation?", thread="livethread")
    (_, started) = (each.started_at for each in log.find())
    old = (datetime.fromisoformat(started) - timedelta(days=31)).isoformat()
    _execute(log, f"UPDATE turns SET started_at = '{old}'")
    _execute(log, "DELETE FROM facts WHERE name = 'pruned'")
    record(log, "And now?", thread="livethread", settings=replace(SETTINGS, log_keep_days=30))

    assert [each.thread for each in log.find()] == ["livethread", "livethread"]
    assert b"pelican" not in bytes_of(log)


def test_old_conversations_are_deleted_at_most_once_a_day(log: ConversationLog) -> None:
    record(log, "First?", thread="aaaaaaaa")
    _execute(log, "UPDATE turns SET started_at = '2001-01-01T00:00:00.000+00:00'")
    record(log, "Second?", thread="bbbbbbbb")

    assert [each.thread for each in log.find()] == ["bbbbbbbb", "aaaaaaaa"]


def _execute(log: ConversationLog, statement: str) -> None:
    from streamrag_cli.history.database import open_to_write

    db = open_to_write(log.file)
    db.execute(statement)
    db.close()


@pytest.mark.fault("log-killed")
def test_a_question_is_written_before_a_slow_search_ends(log: ConversationLog) -> None:
    async def service() -> AsyncGenerator[AskEvent, None]:
        yield Status(status="retrieving")
        await asyncio.Event().wait()

    async def run() -> list[tuple[str, str]]:
        events = log.record(service(), Question(text="Why so slow?", accepted_at=0.0), SETTINGS, terminal="")
        async with aclosing(events):
            await anext(events)
            waiting = asyncio.create_task(anext(events))
            deadline_s = time.monotonic() + LIMIT_S
            while not log.find():
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return [(each.question, each.state) for each in log.find()]

    assert asyncio.run(run()) == [("Why so slow?", "interrupted")]
