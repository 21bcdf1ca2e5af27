"""The command `streamrag bench`."""

from typing import Annotated, Final

import typer

from streamrag_cli.cli import completion, options
from streamrag_cli.cli.ask import read_question
from streamrag_cli.cli.process import Process
from streamrag_cli.settings import Settings

_RUNS: Final = 5


def command(
    process: Process,
    *,
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION", help="The question, or - to read it from stdin.", autocompletion=completion.nothing
        ),
    ],
    runs: Annotated[int, typer.Option("-n", "--runs", min=1, max=1000, metavar="N", help="Runs per mode.")] = _RUNS,
    settings: Settings,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress the progress bar.")] = False,
    plain: options.Plain = False,
) -> int:
    """Measure the time until an answer appears.

    Compares streamed answers with answers that are shown when they are complete, using your documents and your model.
    Asks the question without the background engine: one warm-up run, then N runs in each of the two modes, alternating.
    """
    text, _ = read_question([question], process, stdin=False, command="bench")

    from streamrag_cli.bench import measure
    from streamrag_cli.cli.run import run
    from streamrag_cli.render.bench import BenchView

    view = BenchView(process.out, process.err, question=text, json=json, quiet=quiet, plain=plain)
    return run(measure(text, settings, runs=runs), view, process)
