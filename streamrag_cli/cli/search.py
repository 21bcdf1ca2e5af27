"""`streamrag search QUERY`"""

import time
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.ask import read_question, service_of
from streamrag_cli.cli.process import Process
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for; - reads it from stdin.")],
    settings: Settings,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
) -> int:
    """Show the passages that bear on a query, with scores and `path:line`. No model is called."""
    text, _ = read_question(query, process, stdin=False, command="search")
    events = service_of(process, settings).search(Question(text=text, accepted_at=time.perf_counter()), settings)

    # The engine is at work by now: what shows its hits is imported beside that.
    from streamrag_cli.cli.run import run
    from streamrag_cli.cli.source_names import with_shown_names
    from streamrag_cli.render.hits import Hits

    renderer = Hits(process.out, process.err, query=text, json=json, jsonl=jsonl, quiet=quiet, plain=plain)
    return run(with_shown_names(events, process.display_names), renderer, process)
