"""The command `streamrag collections`."""

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    settings: Settings,
    json: options.Json = False,
    plain: options.Plain = False,
) -> int:
    """List the collections in a store.

    On a terminal, the columns are name, documents, passages, embedder and last ingest. In a pipe, they are separated by
    tabs, and times are in UTC.
    """
    from streamrag_cli.render.collections import show_collections
    from streamrag_cli.store.backend import overview_of
    from streamrag_cli.store.registry import open_store

    store = open_store(settings.store)
    show_collections(overview_of(store), process.out, process.err, store=str(store), json=json, plain=plain)
    return 0
