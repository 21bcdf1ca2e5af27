"""`streamrag serve`"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.library_logs import tame_libraries
from streamrag_cli.cli.process import Process, server_settings_from, settings_from
from streamrag_cli.settings import Settings, defaults

_DEFAULTS = defaults()


def command(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help=f"Address to listen on. [default: {_DEFAULTS['host']}]"),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option("--port", metavar="N", help=f"Port; 0 takes a free one. [default: {_DEFAULTS['port']}]"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Name that clients may know the server by; may be repeated."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option("--cors-origin", metavar="ORIGIN", help="Origin whose pages may ask; may be repeated."),
    ] = None,
    allow_model: Annotated[
        list[str] | None,
        typer.Option("--allow-model", metavar="MODEL", help="Model that clients may choose; may be repeated."),
    ] = None,
    allow_user: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-user", metavar="NAME", help="User of this machine to answer without a key; may be repeated."
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy", metavar="ADDRESS", help="Proxy whose X-Forwarded-For is believed; may be repeated."
        ),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            "--rate-limit",
            metavar="N/PERIOD",
            help=f"Questions for each key or address. [default: {_DEFAULTS['rate_limit']}]",
        ),
    ] = None,
    max_streams: Annotated[
        str | None,
        typer.Option("--max-streams", metavar="N", help=f"Answers at once. [default: {_DEFAULTS['max_streams']}]"),
    ] = None,
    grace_s: Annotated[
        str | None,
        typer.Option(
            "--grace", metavar="S", help=f"Seconds to end in when told to stop. [default: {_DEFAULTS['grace_s']:g}]"
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="N", help="Processes that answer. [default: one for each core, at most 4]"),
    ] = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    top_k: Annotated[
        str | None,
        typer.Option(
            "-k",
            "--top-k",
            metavar="N",
            help=f"How many sources, 1 to 100; clients may ask for fewer. [default: {_DEFAULTS['top_k']}]",
        ),
    ] = None,
    min_score: Annotated[
        str | None,
        typer.Option(
            "--min-score",
            metavar="S",
            help="Drop sources that score lower, 0 to 1; clients may ask for more."
            f" [default: {_DEFAULTS['min_score']}]",
        ),
    ] = None,
    max_answer_tokens: options.MaxAnswerTokens = None,
    max_answer_s: options.MaxAnswer = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--collection",
            metavar="NAME",
            help="Collection to answer from, no other; may be repeated, the first is the default. [default: default]",
        ),
    ] = None,
    all_collections: Annotated[
        bool, typer.Option("--all-collections", help="Answer from every collection of the store.")
    ] = False,
    store: options.Store = None,
    embedding: options.Embedding = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Log failures only.")] = False,
) -> int:
    """Serve answers over HTTP: a web page, server-sent events, and an API that OpenAI's clients speak.

    Without a key, STREAMRAG_SERVER_KEY, it answers only the user who started it, on this machine. Each question and
    each refusal is a line on stderr, without its text.
    """
    process: Process = context.obj
    settings = settings_from(process, context.params | {"collection": collection[0] if collection else None})
    server = server_settings_from(
        process,
        context.params
        | {
            "collections": collection,
            "all_collections": "on" if all_collections else None,
            "log": "errors" if quiet else None,
        },
    )
    if server.collections:
        settings = replace(settings, collection=server.collections[0])

    from streamrag_cli.cli.server_log import start_log  # FastAPI and uvicorn with what follows, 0.4 s
    from streamrag_cli.server.peers import known
    from streamrag_cli.server.run import serve

    note = "" if quiet else _models_here(settings)  # before it listens itself

    def announce(address: str) -> None:
        if quiet:
            return
        names = "every collection" if server.all_collections else _listed(server.collections or (settings.collection,))
        lines = [f"streamrag serves {names} at {address} (Ctrl-C stops)"]
        if server.server_key is None and not known():
            lines.append("every user of this machine may ask: this system does not say who does; a key keeps them out")
        process.err.write("".join(f"{line}\n" for line in lines) + note)
        process.err.flush()

    log = start_log(server.log, process)
    try:
        serve(settings, server, announce=announce, prepare_worker=partial(_prepare_worker, server.log))
    finally:
        log.flush()
    return 0


def _models_here(settings: Settings) -> str:
    """A line for the operator if answers will be quotes though a model runs here; a visitor is never shown it."""
    if settings.model or settings.base_url or settings.api_key:
        return ""
    from streamrag_cli.answer.model_choice import find_local_servers, to_connect_one

    found = [each for each in find_local_servers() if each.models]
    connect = to_connect_one(found, "streamrag serve")
    return f"note: no model is connected, so answers are quotes; {connect}\n" if found else ""


def _prepare_worker(log: str) -> None:
    from streamrag_cli.cli.server_log import start_log  # with the server, which is imported by then

    process = Process.of_this(time.perf_counter())
    tame_libraries(process)
    start_log(log, process)


def _listed(collections: Sequence[str]) -> str:
    return ", ".join(map(repr, collections))
