"""Output of `bench`: a progress bar, then the measured times."""

from typing import Final, TextIO

from streamrag_cli.bench import BenchEvent, BenchProgress, Report, Spread
from streamrag_cli.codec import encode, public
from streamrag_cli.events import Error
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import AskingBar, console_for, print_line
from streamrag_cli.render.error_output import print_error
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.timings import duration
from streamrag_cli.text import sanitise_line

_QUOTES: Final = (
    "no model is connected, so these are the times for quotes, which are not streamed; to measure a model:"
    " streamrag bench --base-url URL QUESTION"
)


class BenchView:
    """Shows progress on stderr if it is a terminal, and the results on stdout."""

    def __init__(self, out: TextIO, err: TextIO, *, question: str, json: bool, quiet: bool, plain: bool) -> None:
        self._out = out
        self._err = err
        self._question = question
        self._json = json
        self._plain = plain
        self._bar = AskingBar(err, moves=err.isatty() and not (quiet or plain))

    def handle(self, event: BenchEvent) -> None:
        match event:
            case BenchProgress(answers=answers, total=total):
                self._bar.move(answers, total)
            case Report():
                self.close()
                show_bench(event, question=self._question, out=self._out, json=self._json, plain=self._plain)
            case Error(message=message, hint=hint):
                self.close()
                print_error(self._err, message, hint)

    def close(self) -> None:
        self._bar.close()


def show_bench(report: Report, *, question: str, out: TextIO, json: bool, plain: bool) -> None:
    """Print the results as one JSON object, as a table on a terminal, or as lines elsewhere."""
    if json:
        write_line(out, encode(_as_mapping(report, question)))
        return
    console = console_for(out, plain=plain)
    rows = {
        "not streamed: complete answer": report.whole,
        "streamed: first token": report.streamed,
        "retrieval": report.retrieval,
        "streamed: complete answer": report.total,
    }
    if out.isatty() and not plain:
        _print_table(report, rows, out)
    else:
        for name, spread in rows.items():
            print_line(console, f"{name:<31}p50 {duration(spread.p50_ms)}, p95 {duration(spread.p95_ms)}")
    print_line(console, _QUOTES if report.quotes else _summary(report))


def _print_table(report: Report, rows: dict[str, Spread], out: TextIO) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("p50", justify="right", no_wrap=True)
    table.add_column("p95", justify="right", no_wrap=True)
    for name, spread in rows.items():
        style = "bold" if spread is report.streamed else ""
        table.add_row(Text(name, style), Text(duration(spread.p50_ms), style), Text(duration(spread.p95_ms), style))
    console_for(out, plain=False).print(table)


def _summary(report: Report) -> str:
    whole, streamed = duration(report.whole.p50_ms), duration(report.streamed.p50_ms)
    model = sanitise_line(report.model)
    runs = "1 run" if report.runs == 1 else f"{report.runs} runs"
    saved = f"{report.saved_percent:.1f} % less"
    return f"{model}, {runs} per mode: first output after {streamed}, not {whole} ({saved})"


def _as_mapping(report: Report, question: str) -> dict[str, object]:
    spreads = {name: public(getattr(report, name)) for name in ("whole", "streamed", "retrieval", "total")}
    return {
        "version": FORMAT_VERSION,
        "question": question,
        "model": report.model,
        "quotes": report.quotes,
        "runs": report.runs,
        **spreads,
        "saved_percent": round(report.saved_percent, 1),
    }
