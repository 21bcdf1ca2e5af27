"""`streamrag serve`"""

import sys
from functools import partial
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import server_settings_from, settings_from, tame_libraries
from streamrag_cli.settings import Settings, defaults

_DEFAULTS = defaults()


def command(
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
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace", metavar="S", help=f"Seconds to end in when told to stop. [default: {_DEFAULTS['grace_s']:g}]"
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="N", help=f"Processes that answer. [default: {_DEFAULTS['workers']}]"),
    ] = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    max_answer_tokens: options.MaxAnswerTokens = None,
    max_answer: options.MaxAnswer = None,
    collection: options.Collection = None,
    store: options.Store = None,
    embedding: options.Embedding = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Serve answers over HTTP: a web page, server-sent events, and an API that OpenAI's clients speak.

    Beyond this machine it serves only with a key: STREAMRAG_SERVER_KEY.
    """
    settings = settings_from(
        {
            "model": model,
            "base_url": base_url,
            "top_k": top_k,
            "min_score": min_score,
            "max_answer_tokens": max_answer_tokens,
            "max_answer_s": max_answer,
            "collection": collection,
            "store": store,
            "embedding": embedding,
        }
    )
    server = server_settings_from(
        {
            "host": host,
            "port": port,
            "allow_host": _joined(allow_host),
            "cors_origin": _joined(cors_origin),
            "rate_limit": rate_limit,
            "max_streams": max_streams,
            "grace_s": grace,
            "workers": workers,
        }
    )

    from streamrag_cli.server.run import serve  # FastAPI and uvicorn, 0.4 s

    note = "" if quiet else _models_here(settings)  # before it listens itself

    def announce(address: str) -> None:
        if not quiet:
            sys.stderr.write(f"streamrag serves {settings.collection!r} at {address} (Ctrl-C stops)\n{note}")
            sys.stderr.flush()

    serve(settings, server, announce=announce, prepare_worker=partial(tame_libraries, debug=debug))
    return 0


def _models_here(settings: Settings) -> str:
    """A line for the operator if answers will be quotes though a model runs here; a visitor is never shown it."""
    if settings.model or settings.base_url or settings.api_key:
        return ""
    from streamrag_cli.answer.model_choice import find_local_servers, to_connect_one

    found = [each for each in find_local_servers() if each.models]
    connect = to_connect_one(found, "streamrag serve")
    return f"note: no model is connected, so answers are quotes; {connect}\n" if found else ""


def _joined(given: list[str] | None) -> str | None:
    return ",".join(given) if given else None
