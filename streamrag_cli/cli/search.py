"""`streamrag search QUERY`"""

import logging
import sys
import time
from dataclasses import replace
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.ask import read_question
from streamrag_cli.cli.engine import connection_to_engine
from streamrag_cli.cli.process import hint_of, settings_from
from streamrag_cli.errors import StreamragError
from streamrag_cli.events import Error, Sources, as_event
from streamrag_cli.model import Question
from streamrag_cli.render.complaint import complain
from streamrag_cli.settings import Settings

_log = logging.getLogger(__name__)


def command(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for; - reads it from stdin.")],
    base_url: options.BaseUrl = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    collection: options.Collection = None,
    store: options.Store = None,
    embedding: options.Embedding = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    no_engine: options.NoEngine = False,
    debug: options.Debug = False,
) -> int:
    """Show the passages that bear on a query, with scores and `path:line`. No model is called."""
    settings = settings_from(
        {
            "base_url": base_url,
            "top_k": top_k,
            "min_score": min_score,
            "collection": collection,
            "store": store,
            "embedding": embedding,
            "engine": "off" if no_engine else None,
        }
    )
    text, _ = read_question(query, stdin=False)
    asked = Question(text=text, accepted_at=time.perf_counter())
    found = _found(asked, settings, debug=debug)

    from streamrag_cli.cli.names import gone_notice, shown_sources
    from streamrag_cli.render.hits import show_hits

    error = replace(found, hint=_hint(found)) if isinstance(found, Error) else None
    sources = shown_sources(found.sources) if isinstance(found, Sources) else ()
    show_hits(sources, query=text, out=sys.stdout, json=json, jsonl=jsonl, plain=plain or quiet, error=error)
    if (notice := gone_notice(sources)) and not quiet:
        sys.stderr.write(f"note: {notice.message}\n")
    if error is not None:
        complain(sys.stderr, error.message, error.hint)
    return error.exit_code if error else 0


def _hint(error: Error) -> str:
    """The hint, with this command in place of `ask`, for which retrieval words it."""
    return hint_of(error).replace("streamrag ask ", "streamrag search ").replace(" QUESTION", " QUERY")


def _found(asked: Question, settings: Settings, *, debug: bool) -> Sources | Error:
    connection = connection_to_engine("search", asked, settings, debug=debug)
    if connection is not None:
        from streamrag_cli.engine.client import NoEngineError, say_without

        try:
            event = connection.only_event()
        except NoEngineError as error:
            say_without(error, debug=debug)
        else:
            if isinstance(event, Sources | Error):
                return event
    from streamrag_cli.answer.pipeline import find_sources, finder_of_gone
    from streamrag_cli.retrieval.retriever import Retriever

    try:
        retriever = Retriever.open(settings)
        return Sources(sources=find_sources(asked.text, settings, retriever, find_gone=finder_of_gone(settings)))
    except StreamragError as error:
        _log.debug("the search failed", exc_info=error)
        return as_event(error)
