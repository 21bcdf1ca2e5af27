"""The command `streamrag search`."""

import time
from typing import Annotated

import typer

from streamrag_cli.cli import completion, filter_flags, options
from streamrag_cli.cli.ask import read_question, service_for
from streamrag_cli.cli.process import Process
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY]...",
            help="The query. If it is missing or -, it is read from stdin.",
            autocompletion=completion.nothing,
        ),
    ] = None,
    settings: Settings,
    in_: filter_flags.In = None,
    since: filter_flags.Since = None,
    format_: filter_flags.Format = None,
    tag: filter_flags.Tag = None,
    json: options.Json = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object per source.")] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Print hits as tab-separated lines, and suppress notes.")
    ] = False,
    plain: options.Plain = False,
    full: Annotated[bool, typer.Option("--full", help="Print whole passages instead of excerpts.")] = False,
    max_chars: Annotated[
        int | None, typer.Option("--max-chars", metavar="N", min=1, help="Print at most N characters of each passage.")
    ] = None,
) -> int:
    """Show the passages that match a query, without using a model."""
    scope = filter_flags.filter_from(process, in_, since, format_, tag)
    text, _ = read_question(query or (), process, stdin=False, command="search")
    question = Question(text=text, accepted_at=time.perf_counter(), filter=scope)
    events = service_for(process, settings).search(question, settings)

    # This import is late because the engine already searches in the meantime.
    from streamrag_cli.cli.run import run
    from streamrag_cli.cli.source_names import with_shown_names
    from streamrag_cli.render.hits import Hits

    renderer = Hits(
        process.out,
        process.err,
        query=text,
        json=json,
        jsonl=jsonl,
        quiet=quiet,
        plain=plain,
        full=full,
        max_chars=max_chars,
        editor_uri=settings.editor_uri,
    )
    if process.out.isatty() and not (json or jsonl or quiet or plain):  # otherwise no numbers are shown
        from streamrag_cli.cli.conversation import remembering_sources

        events = remembering_sources(events, settings, process)
    return run(with_shown_names(events, process.display_names), renderer, process)
