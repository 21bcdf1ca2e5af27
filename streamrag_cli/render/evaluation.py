"""Output of `eval`: progress bars for the ingest and for the questions, then the results."""

from typing import TextIO

from streamrag_cli.codec import encode
from streamrag_cli.evaluation import Report
from streamrag_cli.events import IngestDone, IngestEvent
from streamrag_cli.render.consoles import AskingBar, console_for, print_line
from streamrag_cli.render.ingest import IngestView
from streamrag_cli.render.machine import write_line


class EvaluationView:
    """Shows progress on stderr."""

    def __init__(self, err: TextIO, *, quiet: bool, plain: bool) -> None:
        self._ingest = IngestView(err, quiet=quiet, plain=plain, verbose=False)
        self._bar = AskingBar(err, moves=err.isatty() and not (quiet or plain))
        self.on_question = self._bar.move

    def on_ingest(self, event: IngestEvent) -> None:
        self._ingest.handle(event)
        if isinstance(event, IngestDone):
            self._ingest.close()

    def close(self) -> None:
        self._ingest.close()
        self._bar.close()


def show_report(report: Report, *, out: TextIO, json: bool, plain: bool) -> None:
    """Print the results as lines, or as one JSON object, in which passages are called `chunks`."""
    figures = report.as_mapping()
    if json:
        write_line(out, encode(figures))
        return
    console = console_for(out, plain=plain)
    for name, value in figures.items():
        label = "passages" if name == "chunks" else name
        print_line(console, f"{label:<14}{'unknown' if value is None else value}")
