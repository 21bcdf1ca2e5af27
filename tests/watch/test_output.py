"""The output of a watcher on a terminal, in a pipe, and as JSON."""

import io
import json

from streamrag_cli.events import (
    BatchDone,
    DocumentSeen,
    Error,
    IngestDone,
    IngestEvent,
    IngestStarted,
    Notice,
    Watching,
)
from streamrag_cli.render.ingest import IngestView
from streamrag_cli.render.watch import WatchObjects, WatchView

DONE = IngestDone(counts={}, chunks_written=1, chunks=4, elapsed_ms=9.0, dry_run=False)
FIRST: list[IngestEvent] = [
    IngestStarted(documents=1, collection="default", embedding="builtin"),
    DocumentSeen(source="docs/a.md", action="added", chunks=3),
    BatchDone(counts={"added": 1}, chunks=3, elapsed_ms=1200.0),
    Watching(roots=("docs",), method="inotify"),
]
SECOND: list[IngestEvent] = [
    DocumentSeen(source="docs/a.md", action="changed", chunks=3),
    DocumentSeen(source="docs/b.pdf", action="failed", reason="damaged"),
    BatchDone(counts={"changed": 1, "failed": 1}, chunks=4, elapsed_ms=800.0),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(err: io.StringIO, *events: IngestEvent, quiet: bool = False) -> str:
    first = IngestView(err, quiet=quiet, plain=not err.isatty(), verbose=False)
    view = WatchView(first, err, quiet=quiet, plain=False, clock=lambda: 0.0)
    for event in events:
        view.handle(event)
    view.close()
    return err.getvalue()


def test_a_pipe_gets_one_line_per_batch_without_escape_sequences() -> None:
    note = Notice(message="docs no longer exists", code="root_gone")

    assert shown(io.StringIO(), *FIRST, *SECOND, note, DONE).splitlines() == [
        "1 added; 3 passages in the collection; 1.2 s",
        "watching docs",
        "failed    docs/b.pdf: damaged",
        "1 changed, 1 failed: docs/a.md, docs/b.pdf; 4 passages in the collection; 800 ms",
        "note: docs no longer exists",
        "stopped; everything was in sync",
    ]


def test_a_terminal_shows_one_row_that_is_rewritten() -> None:
    rows = shown(Terminal(), *FIRST, *SECOND[::2], DONE).split("\r\x1b[2K")[1:]

    assert len(rows) == 2
    assert rows[0] == "watching docs; Ctrl-C stops"
    assert rows[1].splitlines()[0].startswith("watching docs; ")
    assert "1 changed: docs/a.md; 4 passages" in rows[1].splitlines()[0]
    assert rows[1].splitlines()[1:] == ["stopped; everything was in sync"]


def test_a_row_leaves_space_on_the_line_for_the_echo_of_ctrl_c() -> None:
    wide = [Watching(roots=("a folder with a very long name / " * 10,), method="inotify")]

    row = shown(Terminal(), *FIRST[:3], *wide).rpartition("\x1b[2K")[2]

    assert len(row.rstrip("\n") + "^C") == 79


def test_with_quiet_only_failures_and_errors_are_shown() -> None:
    error = Error(message="interrupted", code="interrupted", hint="", retryable=True, exit_code=130)

    assert shown(io.StringIO(), *FIRST, *SECOND, error, quiet=True).splitlines() == [
        "failed    docs/b.pdf: damaged",
        "streamrag: interrupted",
    ]


def test_json_output_is_one_object_per_batch() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    renderer = WatchObjects(out, io.StringIO())
    for event in (*FIRST, *SECOND, Error(message="m", code="c", hint="h", retryable=True, exit_code=5)):
        renderer.handle(event)
    out.seek(0)

    assert [json.loads(line) for line in out] == [
        {"version": 1, "failed": [], "counts": {"added": 1}, "chunks": 3, "elapsed_ms": 1200.0, "error": None},
        {
            "version": 1,
            "failed": [{"source": "docs/b.pdf", "reason": "damaged"}],
            "counts": {"changed": 1, "failed": 1},
            "chunks": 4,
            "elapsed_ms": 800.0,
            "error": None,
        },
        {"version": 1, "failed": [], "error": {"message": "m", "code": "c", "hint": "h"}},
    ]
