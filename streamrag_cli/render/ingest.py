"""Output of `ingest` on stderr: a progress bar, one line per failed file, and a summary; or JSON on stdout."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from streamrag_cli.codec import encode, to_mapping
from streamrag_cli.counting import counted_noun, rough_time, rounded
from streamrag_cli.events import (
    AskEvent,
    DocumentSeen,
    Error,
    FileProgress,
    IngestDone,
    IngestEvent,
    IngestStarted,
    Notice,
)
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line, size_of
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.machine import JsonLines, write_line
from streamrag_cli.render.passage_rate import PassageRate
from streamrag_cli.render.skipped_files import secrets_line, skipped_line
from streamrag_cli.render.timings import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_MIN_NAME_COLUMNS: Final = 10
_MANY_FILES: Final = 100
_MANY_PASSAGES: Final = 300
"""The minimum number of passages for which the amount of work is announced."""
SAY_EVERY_S: Final = 5.0
"""The interval between progress lines in seconds, if stderr is not a terminal."""
_ALWAYS_SHOWN = frozenset({"failed"})


class IngestView:
    """Shows an ingest to users: the amount of work, progress, notes, failed files and a summary.

    On a terminal, progress is one row that is never wrapped. `next_command` is shown at the end if there are new or
    changed documents.
    """

    def __init__(
        self,
        err: TextIO,
        *,
        quiet: bool,
        plain: bool,
        verbose: bool,
        next_command: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._err = err
        self._quiet = quiet
        self._verbose = verbose
        self._next_command = next_command
        self._console = console_for(err, plain=plain)
        self._moves = err.isatty() and not (plain or quiet)
        self._clock = clock
        self._began_at = self._last_line_at = clock()
        self._rate = PassageRate(clock)
        self._live: Live | None = None
        self._started: IngestStarted | None = None
        self._checked = 0
        self._written = 0
        self._progress: FileProgress | None = None
        self._fetched: tuple[int, str] | None = None

    def begin(self) -> None:
        """Show that the search for files has begun, before the first event."""
        if self._moves:
            self._start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block, hide the progress, so that the caller can write to the terminal."""
        was_shown = self._live is not None
        self._stop()
        yield
        if was_shown:
            self._start()

    def fetched(self, number: int, address: str) -> None:
        """Show how many web pages were checked before the first event, and the address of the latest page."""
        self._fetched = number, address
        if not self._quiet and self._live is None and self._clock() - self._last_line_at >= SAY_EVERY_S:
            self._line(f"... {counted_noun(number, 'page')} checked  {address}")

    def handle(self, event: IngestEvent) -> None:
        match event:
            case IngestStarted():
                self._started = event
                self._rate = PassageRate(self._clock)
                if not self._quiet and (text := workload_line(event)):
                    self._line(text)
            case DocumentSeen():
                self._document(event)
            case FileProgress():
                self._progress = event
                self._rate.add(event.passages)
                if not self._quiet and self._live is None and self._clock() - self._last_line_at >= SAY_EVERY_S:
                    self._line(progress_line(event, self._rate))
            case Notice(message=message) if not self._quiet:
                self._line(message, label="note: ")
            case IngestDone():
                self._stop()
                self._show_end(event)
            case Error(message=message, hint=hint):
                self._stop()
                print_error(self._err, message, hint)
            case _:
                pass

    def close(self) -> None:
        self._stop()

    def _show_end(self, done: IngestDone) -> None:
        if self._quiet:
            return
        for line in (secrets_line(done, is_listed=self._verbose), skipped_line(done), summary(done)):
            if line:
                self._line(line)
        is_new = done.counts.get("added", 0) or done.counts.get("changed", 0)
        if self._next_command and self._err.isatty() and is_new and done.chunks and not done.dry_run:
            self._line(self._next_command, label="next: ")

    def _document(self, event: DocumentSeen) -> None:
        if event.action not in {"skipped", "deleted"}:
            self._checked += 1
        if event.chunks:
            self._written += event.chunks
            self._rate.add(self._written)
        if self._verbose or event.action in _ALWAYS_SHOWN or (event.reason and event.action in {"added", "changed"}):
            reason = f": {event.reason}" if event.reason else ""
            self._line(f"{event.action:9} {event.source}{reason}")

    def _row(self) -> "Text":
        """Return the progress as one row that fits into the terminal. The file name is dim, and is shortened first."""
        from rich.text import Text

        columns = max(1, size_of(self._err)[0] - 1)
        progress = self._progress
        if self._started is None and self._fetched:
            number, address = self._fetched
            return _in_row(f"fetching web pages: {number:,}", address, columns)
        if self._started is None:
            return Text("looking for files…", style="dim")
        passages = max(self._written, progress.passages if progress else 0)
        name = progress.source if progress and (passages or not progress.chunks) else ""
        if not passages:
            state = self._state_before_passages(self._started.documents, progress)
            waited_s = int(self._clock() - self._began_at)  # shows activity while a model is loaded
            return _in_row(f"{state} · {waited_s} s" if waited_s else state, name, columns)
        total = progress.all_passages if progress else self._started.passages
        return _in_row(f"ingesting {self._rate.progress(passages, total)}", name, columns)

    def _state_before_passages(self, files: int, progress: FileProgress | None) -> str:
        if progress and progress.chunks:
            return "embedding the first passages"
        read = max(self._checked, progress.files_read if progress else 0)
        return f"reading file {min(read + 1, files):,} of {files:,}"

    def _line(self, text: str, *, label: str = "") -> None:
        self._last_line_at = self._clock()
        print_line(self._console, text, label=label)

    def _start(self) -> None:
        from rich.live import Live

        self._live = Live(
            console=self._console, transient=True, refresh_per_second=8, get_renderable=self._row, screen=False
        )
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _in_row(counted: str, name: str, columns: int) -> "Text":
    from rich.text import Text

    row = Text(counted)
    left = columns - row.cell_len - 2
    if name and left >= _MIN_NAME_COLUMNS:
        row.append("  " + shortened_path(name, left), style="dim")
    row.truncate(columns, overflow="ellipsis")
    row.no_wrap = True
    return row


def shortened_path(path: str, columns: int) -> str:
    """Shorten a path on the left to at most `columns` columns, if possible at a directory.

    >>> [shortened_path("guides/install/linux.md", width) for width in (30, 20, 10)]
    ['guides/install/linux.md', '…/install/linux.md', '…/linux.md']
    """
    from rich.cells import cell_len

    if cell_len(path) <= columns:
        return path
    parts = path.split("/")
    for start in range(1, len(parts)):
        shorter = "…/" + "/".join(parts[start:])
        if cell_len(shorter) <= columns:
            return shorter
    name = parts[-1]
    while name and cell_len(name) > columns - 1:
        name = name[1:]
    return "…" + name


def workload_line(started: IngestStarted) -> str:
    """Return the amount of work as one line; "" if it is small.

    >>> event = IngestStarted(documents=1403, collection="c", embedding="e", new_documents=1403, passages=37_812,
    ...     seconds=1190.0)
    >>> workload_line(event)
    '1,403 files, about 38,000 passages, about 20 min'
    """
    files, passages = started.new_documents or 0, started.passages
    if files < _MANY_FILES and (passages or 0) < _MANY_PASSAGES:
        return ""
    parts = [counted_noun(files, "file" if files == started.documents else "new or changed file")]
    if passages:
        parts.append(f"about {counted_noun(rounded(passages), 'passage')}")
    if started.seconds is not None:
        parts.append(f"about {rough_time(started.seconds)}")
    return ", ".join(parts)


def progress_line(event: FileProgress, rate: PassageRate | None = None) -> str:
    """Format the progress of an ingest as one line.

    >>> progress_line(FileProgress(source="big.csv", embedded=1200, chunks=3000))
    '... 1,200 of 3,000 passages of big.csv'
    """
    if not event.chunks:
        return f"... reading {event.source}"
    if rate is None or not event.passages:
        return f"... {event.embedded:,} of {event.chunks:,} passages of {event.source}"
    return f"... {rate.progress(event.passages, event.all_passages)}  {event.source}"


class IngestLines(JsonLines):
    """Writes every event as a line of JSON, but progress events at most once a second."""

    def __init__(self, out: TextIO, err: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out, err)
        self._clock = clock
        self._last_progress_at = -1.0

    def handle(self, event: AskEvent | IngestEvent) -> None:
        if isinstance(event, FileProgress):
            now = self._clock()
            if now - self._last_progress_at < 1:
                return
            self._last_progress_at = now
        super().handle(event)


class IngestObject:
    """Writes the final event and the failed files as one JSON object."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._result: dict[str, object] = {"version": FORMAT_VERSION, "failed": [], "error": None}
        self._failed: list[dict[str, str]] = []

    def handle(self, event: IngestEvent) -> None:
        match event:
            case DocumentSeen(action="failed"):
                self._failed.append({"source": event.source, "reason": event.reason})
            case IngestDone():
                fields = to_mapping(event)
                self._result |= {key: value for key, value in fields.items() if key not in {"type", "done"}}
            case Error(message=message, code=code, hint=hint):
                self._result["error"] = {"message": message, "code": code, "hint": hint}
                print_error(self._err, message, hint)
            case _:
                pass

    def close(self) -> None:
        write_line(self._out, encode(self._result | {"failed": self._failed}))


def summary(done: IngestDone) -> str:
    """Format the summary of an ingest as one line.

    >>> counts = {"added": 2, "changed": 0, "unchanged": 40, "deleted": 1, "skipped": 3, "failed": 0}
    >>> summary(IngestDone(counts=counts, chunks_written=19, chunks=3100, elapsed_ms=1234.5, dry_run=False))
    '2 added, 40 unchanged, 1 deleted, 3 skipped; 3,100 passages in the collection; 1.2 s'
    """
    counted = ", ".join(f"{count:,} {action}" for action, count in done.counts.items() if count) or "nothing to do"
    prefix = "dry run, nothing written: " if done.dry_run else ""
    return f"{prefix}{counted}; {counted_noun(done.chunks, 'passage')} in the collection; {duration(done.elapsed_ms)}"


def ingest_renderer(
    *,
    json: bool,
    jsonl: bool,
    quiet: bool,
    plain: bool,
    verbose: bool,
    out: TextIO,
    err: TextIO,
    next_command: str = "",
) -> IngestView | IngestObject | IngestLines:
    """Return the renderer for `ingest`'s output flags."""
    if jsonl:
        return IngestLines(out, err)
    if json:
        return IngestObject(out, err)
    view = IngestView(err, quiet=quiet, plain=plain, verbose=verbose, next_command=next_command)
    view.begin()
    return view
