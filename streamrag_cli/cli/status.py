"""`streamrag status`"""

import shlex
import sys

from streamrag_cli.cli import options
from streamrag_cli.cli.process import display_names, settings_from, with_target_flags
from streamrag_cli.errors import aimed
from streamrag_cli.gone import gone_files


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
    from streamrag_cli.store.kind import status_of
    from streamrag_cli.store.registry import open_store

    there = open_store(settings.store)
    found = status_of(there, only=collection and settings.collection)
    roots = [root for each in found for root in each.roots]
    gone = gone_files(roots) if there.has_local_files else frozenset()

    def removal(collection: str, root: str) -> str:
        command = f"streamrag ingest --remove {shlex.quote(display_names().typed(root))}"
        return with_target_flags(aimed(command, collection="" if collection == settings.collection else collection))

    show_status(str(there), found, gone=gone, removal=removal, out=sys.stdout, json=json, plain=plain)
    return 0
