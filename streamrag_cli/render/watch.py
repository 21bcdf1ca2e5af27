"""Output of `ingest --watch`: one row that is rewritten on a terminal, one line per batch elsewhere, or JSON."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.counting import counted_noun
from streamrag_cli.events import (
    BatchDone,
    DocumentSeen,
    Error,
    FileProgress,
    IngestDone,
    IngestEvent,
    Notice,
    Watching,
)
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line, size_of
from streamrag_cli.render.error_output import print_error, print_notes
from streamrag_cli.render.ingest import IngestLines, IngestObject, IngestView
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.timings import duration

_NAMED_DOCUMENTS: Final = 3
_ECHO_COLUMNS: Final = len("^C")
"""The text that a terminal writes at the cursor on Ctrl-C."""
_CLEAR_ROW: Final = "\r\x1b[2K"


class WatchView:
    """Shows the first sync like any ingest, and then each batch of changes. Writes nothing if nothing changes."""

    def __init__(
        self,
        view: IngestView,
        err: TextIO,
        *,
        quiet: bool,
        plain: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`view` is the renderer for the first sync."""
        self._view: IngestView | None = view
        self._err = err
        self._quiet = quiet
        self._console = console_for(err, plain=plain)
        self._has_row = self._console.is_terminal and not quiet
        self._row = ""
        self._clock = clock
        self._roots = ""
        self._documents: list[DocumentSeen] = []

    def handle(self, event: IngestEvent) -> None:
        if self._view is not None:
            self._first(event, self._view)
            return
        match event:
            case DocumentSeen():
                self._documents.append(event)
                if event.action == "failed":
                    self._line(f"{event.action:9} {event.source}: {event.reason}")
            case FileProgress(passages=passages, all_passages=total) if passages:
                of_total = f" of {counted_noun(total, 'passage')}" if total else " passages"
                self._show_row(f"ingesting {passages:,}{of_total}")
            case BatchDone():
                self._batch(event)
            case Watching():
                self._watching(event)
            case Notice(message=message) if not self._quiet:
                self._line(f"note: {message}")
            case IngestDone():
                self._end_row()
                if not self._quiet:
                    print_line(self._console, "stopped; everything was in sync")
            case Error(message=message, hint=hint):
                self._end_row()
                print_error(self._err, message, hint)
            case _:
                pass

    def close(self) -> None:
        if self._view is not None:
            self._view.close()
        self._end_row()

    def _first(self, event: IngestEvent, view: IngestView) -> None:
        if isinstance(event, BatchDone):
            view.handle(
                IngestDone(
                    counts=event.counts,
                    chunks_written=0,
                    chunks=event.chunks,
                    elapsed_ms=event.elapsed_ms,
                    dry_run=False,
                )
            )
            view.close()
            self._view = None
        else:
            if isinstance(event, Notice) and event.code == "watch_standby":
                view.close()  # otherwise, the progress would be redrawn for hours
            view.handle(event)

    def _watching(self, event: Watching) -> None:
        self._roots = ", ".join(event.roots)
        how = "" if event.method == "inotify" else " by comparing the files at intervals"
        text = f"watching {self._roots}{how}"
        if self._has_row:
            self._show_row(f"{text}; Ctrl-C stops")
        elif not self._quiet:
            print_line(self._console, text)

    def _batch(self, event: BatchDone) -> None:
        documents, self._documents = self._documents, []
        if self._quiet:
            return
        text = batch_line(event, documents)
        if self._has_row:
            self._show_row(f"watching {self._roots}; {datetime.fromtimestamp(self._clock()):%H:%M:%S} {text}")  # noqa: DTZ006
        else:
            print_line(self._console, text)

    def _show_row(self, text: str) -> None:
        if not self._has_row:
            return
        from rich.text import Text

        row = Text(text)
        row.truncate(max(1, size_of(self._err)[0] - _ECHO_COLUMNS - 1), overflow="ellipsis")
        self._row = row.plain
        self._err.write(f"{_CLEAR_ROW}{self._row}")
        self._err.flush()

    def _line(self, text: str) -> None:
        """Print a line above the row that is rewritten."""
        if self._row:
            self._err.write(_CLEAR_ROW)
        print_line(self._console, text)
        if self._row:
            self._err.write(self._row)
        self._err.flush()

    def _end_row(self) -> None:
        if self._row:
            self._row = ""
            self._err.write("\n")
            self._err.flush()


def batch_line(batch: BatchDone, documents: list[DocumentSeen]) -> str:
    """Format the changes in a batch as one line.

    >>> done = BatchDone(counts={}, chunks=31, elapsed_ms=812.0)
    >>> seen = [DocumentSeen(source="a.md", action="changed"), DocumentSeen(source="b.md", action="deleted")]
    >>> batch_line(done, seen)
    '1 changed, 1 deleted: a.md, b.md; 31 passages in the collection; 812 ms'
    """
    actions = [document.action for document in documents]
    counted = ", ".join(f"{actions.count(action):,} {action}" for action in dict.fromkeys(actions))
    named = ", ".join(document.source for document in documents[:_NAMED_DOCUMENTS])
    more = f" and {len(documents) - _NAMED_DOCUMENTS:,} more" if len(documents) > _NAMED_DOCUMENTS else ""
    passages = counted_noun(batch.chunks, "passage")
    return f"{counted}: {named}{more}; {passages} in the collection; {duration(batch.elapsed_ms)}"


class WatchObjects:
    """Writes one JSON object per batch, with the same keys as `ingest --json`. The last object may be an error."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._failed: list[dict[str, str]] = []

    def handle(self, event: IngestEvent) -> None:
        match event:
            case DocumentSeen(action="failed"):
                self._failed.append({"source": event.source, "reason": event.reason})
            case BatchDone():
                self._write(public(event) | {"error": None})
            case Notice(message=message):
                print_notes(self._err, [message])
            case Error(message=message, code=code, hint=hint):
                self._write({"error": {"message": message, "code": code, "hint": hint}})
                print_error(self._err, message, hint)
            case _:
                pass

    def _write(self, fields: dict[str, object]) -> None:
        failed, self._failed = self._failed, []
        write_line(self._out, encode({"version": FORMAT_VERSION, "failed": failed} | fields))

    def close(self) -> None:
        """Do nothing: all output is already written."""


def watch_renderer(
    first: IngestView | IngestObject | IngestLines, *, json: bool, quiet: bool, plain: bool, out: TextIO, err: TextIO
) -> "WatchView | WatchObjects | IngestLines":
    """Return the renderer for `ingest --watch`'s output flags. `first` renders an ingest with the same flags."""
    if isinstance(first, IngestView):
        return WatchView(first, err, quiet=quiet, plain=plain)
    return WatchObjects(out, err) if json or not isinstance(first, IngestLines) else first
