"""Serialising events: the public form, and the full form that round-trips to the engine."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli import events
from streamrag_cli.codec import DecodeError, event_line, read_event, to_json, to_line, to_mapping
from streamrag_cli.engine.messages import Request, read_request
from streamrag_cli.events import EVENTS, AskEvent, Event, IngestEvent
from streamrag_cli.json_objects import answer_object, hits_object
from streamrag_cli.model import Citation, Question, Source, Timings, Turn, Usage
from streamrag_cli.settings import Settings
from streamrag_cli.store.postgres.address import PostgresUrl
from tests.cli.test_machine_output import OBJECT_KEYS

SOURCE = Source(
    n=1,
    source="docs/a.md",
    page=None,
    line_start=3,
    line_end=9,
    title="A > B",
    content="text...",
    score=0.912345678,
    chunk_id="c1",
    text="text of the chunk",
    path="/home/someone/docs/\udcffa.md",
    also=("b.md",),
    also_paths=("/home/someone/b.md",),
    gone_paths=("/home/someone/b.md",),
)
SOURCE_IN_PUBLIC = {
    "n": 1,
    "source": "docs/a.md",
    "page": None,
    "line_start": 3,
    "line_end": 9,
    "title": "A > B",
    "content": "text...",
    "score": 0.9123,
    "chunk_id": "c1",
    "also": ["b.md"],
}
SOURCE_IN_OBJECTS = SOURCE_IN_PUBLIC | {"text": "text of the chunk"}
COUNTS = {"added": 1, "changed": 0, "unchanged": 0, "deleted": 0, "skipped": 2, "failed": 0}
DONE = events.Done(
    finish_reason="stop",
    model="m",
    usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
    timings=Timings(retrieval_ms=1.5, total_ms=9.123456, stages={"imports": 0.123456}),
)
ERROR = events.Error(message="gone", code="cut_off", hint="again", retryable=True, exit_code=4, retry_after_s=6.2)
IN_PUBLIC: list[tuple[AskEvent | IngestEvent, dict[str, Any]]] = [
    (events.Status(status="retrieving", detail="7 chunks"), {"type": "status", "status": "retrieving"}),
    (
        events.QuestionAsked(n=2, thread="k3f7q2wa", text="And\nhow?", searched_for=("And how?", "Why? And how?")),
        {
            "type": "question",
            "n": 2,
            "thread": "k3f7q2wa",
            "text": "And\nhow?",
            "searched_for": ["And how?", "Why? And how?"],
        },
    ),
    (events.Sources(sources=(SOURCE,)), {"type": "sources", "sources": [SOURCE_IN_PUBLIC]}),
    (events.Token(text="Hé\n\u2028\ud800"), {"type": "token", "token": "Hé\n\u2028\ud800"}),
    (
        events.Citations(citations=(Citation(n=1, source="docs/a.md", chunk_id="c1"),), unknown=(9,), unsupported=(1,)),
        {
            "type": "citations",
            "citations": [{"n": 1, "source": "docs/a.md", "chunk_id": "c1"}],
            "unknown": [9],
            "unsupported": [1],
        },
    ),
    (events.Notice(message="m", code="c"), {"type": "notice", "message": "m", "code": "c"}),
    (
        DONE,
        {
            "type": "done",
            "done": True,
            "finish_reason": "stop",
            "model": "m",
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            "timings": {
                "startup_ms": None,
                "retrieval_ms": 1.5,
                "context_ms": None,
                "request_ms": None,
                "first_token_ms": None,
                "total_ms": 9.1235,
                "tokens_per_second": None,
                "stages": {"imports": 0.1235},
            },
        },
    ),
    (
        ERROR,
        {"type": "error", "error": "gone", "code": "cut_off", "hint": "again", "retryable": True, "retry_after_s": 7},
    ),
    (
        events.IngestStarted(documents=1, collection="default", embedding="builtin:x"),
        {"type": "started", "documents": 1, "collection": "default", "embedding": "builtin:x"},
    ),
    (
        events.DocumentSeen(source="a.md", action="added", chunks=4),
        {"type": "document", "source": "a.md", "action": "added", "chunks": 4, "reason": "", "code": ""},
    ),
    (
        events.FileProgress(source="a.md", embedded=3, chunks=4),
        {"type": "progress", "source": "a.md", "embedded": 3, "chunks": 4, "passages": 0},
    ),
    (
        events.Watching(roots=("docs", "~/notes"), method="inotify"),
        {"type": "watching", "roots": ["docs", "~/notes"], "method": "inotify"},
    ),
    (
        events.BatchDone(counts=COUNTS, chunks=4, elapsed_ms=12.0),  # type: ignore[arg-type]
        {"type": "batch", "counts": COUNTS, "chunks": 4, "elapsed_ms": 12.0},
    ),
    (
        events.IngestDone(
            counts=COUNTS,  # type: ignore[arg-type]
            chunks_written=4,
            chunks=4,
            elapsed_ms=12.0,
            dry_run=False,
            skipped={"unsupported": 2},
            unsupported={".xlsx": 2},
        ),
        {
            "type": "done",
            "done": True,
            "counts": COUNTS,
            "chunks_written": 4,
            "chunks": 4,
            "elapsed_ms": 12.0,
            "dry_run": False,
            "skipped": {"unsupported": 2},
            "unsupported": {".xlsx": 2},
        },
    ),
]
NAMES = [type(event).__name__ for event, _ in IN_PUBLIC]


def test_the_codec_examples_cover_every_event() -> None:
    defined = {each.__name__ for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event)}

    assert {each.__name__ for each in EVENTS} == defined - {"Event"}
    assert set(NAMES) == defined - {"Event"}


@pytest.mark.parametrize(("event", "expected"), IN_PUBLIC, ids=NAMES)
def test_each_event_has_exactly_the_expected_keys_in_order(event: Event, expected: dict[str, Any]) -> None:
    mapping = to_mapping(event)

    assert mapping == expected
    assert list(mapping) == list(expected)


@pytest.mark.parametrize("event", [event for event, _ in IN_PUBLIC], ids=NAMES)
def test_the_full_form_of_an_event_round_trips_on_one_line(event: Event) -> None:
    line = event_line(event)

    assert read_event(line) == event
    assert line.count(b"\n") == 1


def test_missing_values_are_left_out_or_null() -> None:
    bare = events.Done(finish_reason="stop", model="m", usage=None, timings=Timings())
    known = Source(n=1, source="a", page=1, line_start=None, line_end=None, title="", content="", score=1, chunk_id="c")

    assert to_mapping(bare)["usage"] is None
    assert list(to_mapping(bare)["timings"].values()) == [None] * 7
    assert "also" not in to_mapping(events.Sources(sources=(known,)))["sources"][0]
    assert "retry_after_s" not in to_mapping(
        events.Error(message="", code="", hint="", retryable=False, exit_code=4, retry_after_s=None)
    )
    assert all(read_event(event_line(each)) == each for each in (bare, events.Sources(sources=(known,))))


def test_hits_may_contain_paths_and_whole_passages_but_public_events_do_not() -> None:
    hits = hits_object([SOURCE], query="q", paths=True)

    assert hits["hits"] == [SOURCE_IN_OBJECTS | {"path": SOURCE.path}]
    assert "/home/someone" not in to_json(events.Sources(sources=(SOURCE,)))


def test_each_answer_event_has_at_most_one_distinguishing_key() -> None:
    keys = {"status", "sources", "token", "done", "error"}
    answer_events = [event for event, _ in IN_PUBLIC if type(event) in get_args(AskEvent)]

    assert {type(event).__name__: sorted(keys & to_mapping(event).keys()) for event in answer_events} == {
        "Status": ["status"],
        "QuestionAsked": [],
        "Sources": ["sources"],
        "Token": ["token"],
        "Citations": [],
        "Notice": [],
        "Done": ["done"],
        "Error": ["error"],
    }


def test_an_event_with_line_breaks_and_quotes_is_one_line_of_json() -> None:
    line = to_json(events.Token(text='two\nlines "quoted" é'))

    assert line == '{"type":"token","token":"two\\nlines \\"quoted\\" é"}'


def test_the_answer_object_always_has_every_key() -> None:
    assert list(answer_object([])) == OBJECT_KEYS
    assert list(answer_object([events.Token(text="a"), DONE])) == OBJECT_KEYS


def test_the_answer_object_of_a_conversation_has_its_thread_and_turn() -> None:
    question = events.QuestionAsked(n=3, thread="k3f7q2wa", text="Why?", searched_for=("Why?",))

    assert answer_object([question]) == answer_object([]) | {"thread": "k3f7q2wa", "n": 3}


def test_a_failed_answer_keeps_its_partial_text() -> None:
    arrived: list[AskEvent] = [events.Sources(sources=(SOURCE,)), events.Token(text="Half "), events.Token(text="an")]
    answer = answer_object([*arrived, ERROR])

    assert (answer["answer"], answer["complete"], answer["sources"], answer["error"]) == (
        "Half an",
        False,
        [SOURCE_IN_OBJECTS],
        {"message": "gone", "code": "cut_off", "hint": "again", "retryable": True},
    )
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("store", [Path("/s/\udcff"), PostgresUrl("postgresql://u:secret@h/d?schema=x")], ids=type)
def test_a_request_round_trips_with_question_and_settings(store: Path | PostgresUrl) -> None:
    request = Request(
        wants="ask",
        question=Question(
            text="Why?\udcff",
            accepted_at=1.5,
            extra="x",
            startup_ms=None,
            history=(Turn(question="What?", answer="That [1].", cited=("id",)), Turn(question="How?")),
            thread="abcd2345",
            n=12,
            instructions="Be brief.",
            options={"temperature": 0.5, "stop": ["."]},
            max_tokens=7,
        ),
        settings=Settings(store=store, api_key="k", top_k=7, exclude=("a/", "*.csv")),
    )

    assert read_request(to_line(request)) == request


@given(
    st.one_of(st.binary(), st.text().map(str.encode), st.just(b"[" * 100_000), st.sampled_from([b"{}", b"[]", b"1"]))
)
def test_invalid_messages_raise_only_decode_errors(line: bytes) -> None:
    for read in (read_event, read_request):
        with pytest.raises(DecodeError):
            read(line)
