"""The wire format: other programs rest on these exact keys."""

import json

from streamrag_cli.events import (
    AskEvent,
    Citations,
    DocumentSeen,
    Done,
    Error,
    IngestDone,
    IngestStarted,
    Notice,
    Sources,
    Status,
    Token,
)
from streamrag_cli.model import Citation, Source, Timings, Usage
from streamrag_cli.wire import answer_object, to_json, to_mapping

SOURCE = Source(
    n=1,
    source="docs/a.md",
    page=None,
    line_start=3,
    line_end=9,
    title="A > B",
    content="text...",
    score=0.912345,
    chunk_id="c1",
    path="/home/someone/docs/a.md",
)
SOURCE_ON_THE_WIRE = {
    "n": 1,
    "source": "docs/a.md",
    "page": None,
    "line_start": 3,
    "line_end": 9,
    "title": "A > B",
    "content": "text...",
    "score": 0.9123,
    "chunk_id": "c1",
}
TIMINGS_ON_THE_WIRE = {
    "startup_ms": None,
    "retrieval_ms": 1.5,
    "context_ms": None,
    "request_ms": None,
    "first_token_ms": None,
    "total_ms": 9.0,
    "tokens_per_second": None,
}
DONE = Done(
    finish_reason="stop",
    model="m",
    usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
    timings=Timings(retrieval_ms=1.5, total_ms=9.0),
)
ERROR = Error(message="gone", code="cut_off", hint="again", retryable=True, exit_code=4)


def test_every_event_of_an_answer_has_exactly_these_keys() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    expected: list[tuple[AskEvent, dict[str, object]]] = [
        (Status(status="retrieving"), {"type": "status", "status": "retrieving"}),
        (Sources(sources=(SOURCE,)), {"type": "sources", "sources": [SOURCE_ON_THE_WIRE]}),
        (Token(text="Hé\n"), {"type": "token", "token": "Hé\n"}),
        (
            Citations(citations=(Citation(n=1, source="docs/a.md", chunk_id="c1"),), unknown=(9,)),
            {
                "type": "citations",
                "citations": [{"n": 1, "source": "docs/a.md", "chunk_id": "c1"}],
                "unknown": [9],
            },
        ),
        (Notice(message="m", code="c"), {"type": "notice", "message": "m", "code": "c"}),
        (
            DONE,
            {
                "type": "done",
                "done": True,
                "finish_reason": "stop",
                "model": "m",
                "usage": usage,
                "timings": TIMINGS_ON_THE_WIRE,
            },
        ),
        (
            ERROR,
            {"type": "error", "error": "gone", "code": "cut_off", "hint": "again", "retryable": True},
        ),
    ]

    assert [to_mapping(event) for event, _ in expected] == [mapping for _, mapping in expected]


def test_events_can_be_told_apart_by_the_key_present() -> None:
    keys = {"status", "sources", "token", "done", "error"}
    events: list[AskEvent] = [
        Status(status="generating"),
        Sources(sources=()),
        Token(text=""),
        Citations(citations=(), unknown=()),
        Notice(message="", code=""),
        DONE,
        ERROR,
    ]

    assert [sorted(keys & to_mapping(event).keys()) for event in events] == [
        ["status"],
        ["sources"],
        ["token"],
        [],
        [],
        ["done"],
        ["error"],
    ]


def test_every_event_of_an_ingest_has_exactly_these_keys() -> None:
    counts = {"added": 1, "changed": 0, "unchanged": 0, "deleted": 0, "skipped": 0, "failed": 0}
    done = IngestDone(
        counts=counts,  # type: ignore[arg-type]
        chunks_written=4,
        chunks=4,
        elapsed_ms=12.0,
        dry_run=False,
        skipped={"unsupported": 2},
        unsupported={".xlsx": 2},
    )

    assert [
        to_mapping(IngestStarted(documents=1, collection="default", embedding="builtin:x")),
        to_mapping(DocumentSeen(source="a.md", action="added", chunks=4)),
        to_mapping(done),
    ] == [
        {"type": "started", "documents": 1, "collection": "default", "embedding": "builtin:x"},
        {"type": "document", "source": "a.md", "action": "added", "chunks": 4, "reason": "", "code": ""},
        {
            "type": "done",
            "done": True,
            "counts": counts,
            "chunks_written": 4,
            "chunks": 4,
            "elapsed_ms": 12.0,
            "dry_run": False,
            "skipped": {"unsupported": 2},
            "unsupported": {".xlsx": 2},
        },
    ]


def test_an_event_is_one_line_of_json_whatever_it_holds() -> None:
    line = to_json(Token(text='two\nlines "quoted" é'))

    assert line == '{"type":"token","token":"two\\nlines \\"quoted\\" é"}'


def test_the_answer_object_always_has_every_key() -> None:
    keys = [
        "version",
        "answer",
        "complete",
        "sources",
        "citations",
        "unknown_citations",
        "notices",
        "finish_reason",
        "model",
        "usage",
        "timings",
        "error",
    ]

    assert list(answer_object([])) == keys
    assert list(answer_object([Token(text="a"), DONE])) == keys


def test_a_failed_answer_keeps_what_had_arrived() -> None:
    found = answer_object([Sources(sources=(SOURCE,)), Token(text="Half "), Token(text="an"), ERROR])

    assert (found["answer"], found["complete"], found["sources"], found["error"]) == (
        "Half an",
        False,
        [SOURCE_ON_THE_WIRE],
        {"message": "gone", "code": "cut_off", "hint": "again", "retryable": True},
    )
    assert json.loads(json.dumps(found)) == found
