"""`streamrag search QUERY`"""

import sys
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import settings_from


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
    debug: options.Debug = False,  # noqa: ARG001 - read before any command runs
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
        }
    )

    from streamrag_cli.answer.pipeline import find_sources
    from streamrag_cli.cli.ask import read_question
    from streamrag_cli.render.hits import show_hits
    from streamrag_cli.retrieval.retriever import Retriever

    text, _ = read_question(query, stdin=False)
    found = find_sources(text, settings, Retriever.open(settings))
    show_hits(found, query=text, out=sys.stdout, json=json, jsonl=jsonl, plain=plain or quiet)
    return 0
