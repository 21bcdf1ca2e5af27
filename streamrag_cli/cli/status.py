"""The command `streamrag status`."""

import shlex
import time

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import with_target_flags
from streamrag_cli.missing_files import find_missing_files
from streamrag_cli.settings import Settings


def command(
    process: Process,
    *,
    settings: Settings,
    json: options.Json = False,
    plain: options.Plain = False,
) -> int:
    """Show the collections in a store: their size, age and origin."""
    from streamrag_cli.render.status import show_status
    from streamrag_cli.store.backend import status_of
    from streamrag_cli.store.registry import open_store

    store = open_store(settings.store)
    collections = status_of(store, only=settings.collection if process.hint_command.flags["-c"] else None)
    roots = [root for each in collections for root in each.roots]
    missing = find_missing_files(roots) if store.has_local_files else frozenset()
    now_s = time.time()
    watchers = {each.collection: store.watchers(each.collection) for each in collections}

    def complete(collection: str, text: str) -> str:
        return process.with_target_flags(
            with_target_flags(text, collection="" if collection == settings.collection else collection)
        )

    def removal(collection: str, root: str) -> str:
        return complete(collection, f"streamrag ingest --remove {shlex.quote(process.display_names.typed(root))}")

    show_status(
        str(store),
        collections,
        missing=missing,
        watchers={name: [each for each in of if not each.is_forgotten(now_s)] for name, of in watchers.items()},
        now_s=now_s,
        removal=removal,
        complete=complete,
        shown_name=process.display_names.of,
        home=str(process.home or ""),
        out=process.out,
        json=json,
        plain=plain,
    )
    return 0
