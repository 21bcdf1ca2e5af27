"""What `eval` shows: a bar for the ingest, a bar for the questions, then the figures."""

from typing import TYPE_CHECKING, TextIO

from streamrag_cli.codec import encode
from streamrag_cli.evaluation import Report
from streamrag_cli.events import IngestDone, IngestEvent
from streamrag_cli.render.consoles import console_for
from streamrag_cli.render.ingest import IngestView
from streamrag_cli.render.machine import write_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class EvaluationView:
    """Progress on stderr."""

    def __init__(self, err: TextIO, *, quiet: bool, plain: bool) -> None:
        self._ingest = IngestView(err, quiet=quiet, plain=plain, verbose=False)
        self._moves = err.isatty() and not (quiet or plain)
        self._console = console_for(err, plain=plain)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_ingest(self, event: IngestEvent) -> None:
        self._ingest.handle(event)
        if isinstance(event, IngestDone):
            self._ingest.close()

    def on_question(self, done: int, total: int) -> None:
        if not self._moves:
            return
        if self._bar is None:
            from rich.progress import Progress

            self._bar = Progress(console=self._console, transient=True)
            self._task = self._bar.add_task("asking", total=total)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done)

    def close(self) -> None:
        self._ingest.close()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def show_report(report: Report, *, out: TextIO, json: bool, plain: bool) -> None:
    """Print the figures as lines, or as one JSON object with exactly these names."""
    figures = report.as_mapping()
    if json:
        write_line(out, encode(figures))
        return
    from rich.text import Text

    console = console_for(out, plain=plain)
    for name, value in figures.items():
        console.print(Text(f"{name:<14}{'unknown' if value is None else value}"), soft_wrap=True)
