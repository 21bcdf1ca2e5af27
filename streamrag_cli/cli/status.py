"""`streamrag status`"""

import sys

from streamrag_cli.cli import options
from streamrag_cli.cli.process import settings_from


def command(
    collection: options.Collection = None,
    store: options.Store = None,
    json: options.Json = False,
    plain: options.Plain = False,
    debug: options.Debug = False,  # noqa: ARG001 - read before any command runs
) -> int:
    """Show what is in the store: documents, chunks, embedding, size, last ingest."""
    settings = settings_from({"collection": collection, "store": store})

    from streamrag_cli.render.status import show_status
    from streamrag_cli.store.status import status_of

    found = status_of(settings.store, only=collection and settings.collection)
    show_status(found, out=sys.stdout, json=json, plain=plain)
    return 0
