"""Output of `ingest` on stderr: a progress bar, one line per failed file, and a summary; or JSON on stdout."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TextIO

from streamrag_cli.codec import encode, to_mapping
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
from streamrag_cli.render.consoles import console_for, print_line
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.machine import JsonLines, write_line
from streamrag_cli.render.remaining import RemainingTime
from streamrag_cli.render.timings import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SUFFIXES_SHOWN: Final = 8
_NAME_SHOWN: Final = 20
SAY_EVERY_S: Final = 5.0
"""The interval between progress lines if stderr is not a terminal."""
_SKIPPED: Final = {
    "secret": "possible secret",
    "gitignored": "ignored by git",
    "streamragignored": "ignored by .streamragignore",
    "generated": "generated or vendored",
    "unsupported": "unsupported format",
    "binary": "binary",
    "duplicate": "linked twice",
    "outside_root": "link that leads outside the folder",
    "broken_link": "broken link",
    "not_a_regular_file": "not a regular file",
}
_ALWAYS_SHOWN = frozenset({"failed"})


class IngestView:
    """Shows an ingest to users: progress, notes, failed files and a summary."""

    def __init__(
        self, err: TextIO, *, quiet: bool, plain: bool, verbose: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._err = err
        self._quiet = quiet
        self._verbose = verbose
        self._console = console_for(err, plain=plain)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._moves = err.isatty() and not (plain or quiet)
        self._clock = clock
        self._last_line_at = clock()
        self._finished = 0
        self._remaining = RemainingTime(clock)

    def handle(self, event: IngestEvent) -> None:
        match event:
            case IngestStarted(documents=documents) if self._moves:
                self._start_bar(documents)
            case DocumentSeen():
                self._document(event)
            case FileProgress() if not self._quiet:
                self._progress(event)
            case Notice(message=message) if not self._quiet:
                self._line(f"note: {message}")
            case IngestDone():
                self._stop_bar()
                if not self._quiet:
                    for line in (secrets_line(event), skipped_line(event), summary(event)):
                        if line:
                            self._line(line)
            case Error(message=message, hint=hint):
                self._stop_bar()
                print_error(self._err, message, hint)
            case _:
                pass

    def close(self) -> None:
        self._stop_bar()

    def _document(self, event: DocumentSeen) -> None:
        if self._bar is not None and self._task is not None and event.action not in {"skipped", "deleted"}:
            self._finished += 1
            speed = self._bar.tasks[0].speed
            self._move_bar(self._finished, f"{speed:.1f} files/s" if speed else "")
        if self._verbose or event.action in _ALWAYS_SHOWN or (event.reason and event.action in {"added", "changed"}):
            reason = f": {event.reason}" if event.reason else ""
            self._line(f"{event.action:9} {event.source}{reason}")

    def _progress(self, event: FileProgress) -> None:
        """Show progress within a file: on the bar, or as a line every `SAY_EVERY_S` seconds."""
        if self._bar is not None and self._task is not None:
            share = event.embedded / event.chunks if event.chunks else 0.0
            name = event.source.rpartition("/")[2]
            name = name if len(name) <= _NAME_SHOWN else f"{name[: _NAME_SHOWN - 1]}…"
            rate = f"{event.embedded:,}/{event.chunks:,} of {name}" if event.chunks else f"reading {name}"
            self._move_bar(self._finished + share, rate)
        elif self._clock() - self._last_line_at >= SAY_EVERY_S:
            self._line(progress_line(event))

    def _move_bar(self, completed: float, rate: str) -> None:
        if self._bar is None or self._task is None:
            return
        total = self._bar.tasks[0].total or 0.0
        self._bar.update(self._task, completed=completed, rate=rate, left=self._remaining.after(completed, total))

    def _line(self, text: str) -> None:
        self._last_line_at = self._clock()
        print_line(self._bar.console if self._bar else self._console, text)

    def _start_bar(self, documents: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("ingesting"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("ingesting", total=documents, rate="", left="")
        self._remaining = RemainingTime(self._clock)
        self._bar.start()

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def progress_line(event: FileProgress) -> str:
    """The progress of a large file as one line.

    >>> progress_line(FileProgress(source="big.csv", embedded=1200, chunks=3000))
    '... 1,200 of 3,000 passages of big.csv'
    """
    if not event.chunks:
        return f"... reading {event.source}"
    return f"... {event.embedded:,} of {event.chunks:,} passages of {event.source}"


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
    """The summary of an ingest as one line.

    >>> counts = {"added": 2, "changed": 0, "unchanged": 40, "deleted": 1, "skipped": 3, "failed": 0}
    >>> summary(IngestDone(counts=counts, chunks_written=19, chunks=310, elapsed_ms=1234.5, dry_run=False))
    '2 added, 40 unchanged, 1 deleted, 3 skipped; 310 chunks in the collection; 1.2 s'
    """
    counted = ", ".join(f"{count} {action}" for action, count in done.counts.items() if count) or "nothing to do"
    prefix = "dry run, nothing written: " if done.dry_run else ""
    chunks = "1 chunk" if done.chunks == 1 else f"{done.chunks} chunks"
    return f"{prefix}{counted}; {chunks} in the collection; {duration(done.elapsed_ms)}"


def skipped_line(done: IngestDone) -> str:
    """The number of skipped files for each reason, as one line; "" if no file was skipped.

    >>> done = IngestDone(counts={"skipped": 4}, chunks_written=0, chunks=0, elapsed_ms=1.0, dry_run=False,
    ...     skipped={"unsupported": 3, "hidden": 1}, unsupported={".xlsx": 2, ".pptx": 1})
    >>> skipped_line(done)
    '4 skipped: 3 unsupported format (.xlsx 2, .pptx 1), 1 hidden'
    """
    by_count = sorted(done.skipped.items(), key=lambda item: -item[1])
    several = len(by_count) > 1
    reasons = [
        (f"{count} " if several else "") + _SKIPPED.get(code, code.replace("_", " ")) + _suffixes(code, done)
        for code, count in by_count
    ]
    return f"{sum(done.skipped.values())} skipped: {', '.join(reasons)}" if reasons else ""


def _suffixes(code: str, done: IngestDone) -> str:
    if code != "unsupported" or not done.unsupported:
        return ""
    by_count = sorted(done.unsupported.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{suffix or 'no suffix'} {count}" for suffix, count in by_count[:_SUFFIXES_SHOWN]]
    more = sum(count for _, count in by_count[_SUFFIXES_SHOWN:])
    return f" ({', '.join([*shown, *([f'others {more}'] if more else [])])})"


def secrets_line(done: IngestDone) -> str:
    """A note about withheld files; "" if there are none."""
    count = done.skipped.get("secret", 0)
    if not count:
        return ""
    withheld = "file was withheld as a possible secret" if count == 1 else "files were withheld as possible secrets"
    return f"note: {count} {withheld}; list them with -v, or ingest one by naming it: streamrag ingest FILE"


def ingest_renderer(
    *, json: bool, jsonl: bool, quiet: bool, plain: bool, verbose: bool, out: TextIO, err: TextIO
) -> IngestView | IngestObject | IngestLines:
    """The renderer for the output flags of `ingest`."""
    if jsonl:
        return IngestLines(out, err)
    if json:
        return IngestObject(out, err)
    return IngestView(err, quiet=quiet, plain=plain, verbose=verbose)
