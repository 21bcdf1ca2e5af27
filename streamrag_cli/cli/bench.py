"""`streamrag bench QUESTION`"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.ask import read_question
from streamrag_cli.cli.interruption import Interrupted, on_signal, received
from streamrag_cli.cli.process import settings_from
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import Error
from streamrag_cli.render.complaint import complain

if TYPE_CHECKING:
    from streamrag_cli.bench import Report

_RUNS: Final = 5


def command(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; - reads it from stdin.")],
    runs: Annotated[int, typer.Option("-n", "--runs", min=1, max=1000, metavar="N", help="Runs each way.")] = _RUNS,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    collection: options.Collection = None,
    store: options.Store = None,
    embedding: options.Embedding = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    debug: options.Debug = False,  # noqa: ARG001 - read before any command runs
) -> int:
    """Measure the wait for an answer, streamed and not, with your documents and your model.

    The question is asked 2 N + 1 times in this process: N times each way in turn, and once before, uncounted.
    """
    settings = settings_from(
        {
            "model": model,
            "base_url": base_url,
            "top_k": top_k,
            "min_score": min_score,
            "collection": collection,
            "store": store,
            "embedding": embedding,
        }
    )
    text, _ = read_question(question, stdin=False)

    from streamrag_cli.bench import measure
    from streamrag_cli.render.bench import BenchView, show_bench

    view = BenchView(sys.stderr, quiet=quiet, plain=plain)
    try:
        report = asyncio.run(_interruptible(measure(text, settings, runs=runs, on_answer=view.on_answer)))
    finally:
        view.close()
    if isinstance(report, Error):
        complain(sys.stderr, report.message, report.hint)
        return report.exit_code
    show_bench(report, question=text, out=sys.stdout, json=json, plain=plain)
    return 0


async def _interruptible(measuring: "Coroutine[Any, Any, Report | Error]") -> "Report | Error":
    """The result. A signal cancels the work, which closes the connection to the model, and raises Interrupted."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(measuring)

    def end(_: ExitCode) -> None:
        loop.call_soon_threadsafe(task.cancel)

    with on_signal(end):
        try:
            return await task
        except asyncio.CancelledError:
            raise Interrupted(received() or ExitCode.INTERRUPTED) from None
