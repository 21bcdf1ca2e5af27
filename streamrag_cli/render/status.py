"""What `status` prints."""

from collections.abc import Callable, Collection, Sequence
from typing import TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line
from streamrag_cli.render.machine import write_line
from streamrag_cli.store.backend import CollectionStatus
from streamrag_cli.text import sanitise_line


def show_status(
    store: str,
    collections: Sequence[CollectionStatus],
    *,
    gone: Collection[str],
    removal: Callable[[str, str], str],
    out: TextIO,
    json: bool,
    plain: bool,
) -> None:
    """Print the store's collections, as text or as one JSON object.

    `gone` are roots that no longer exist; `removal` gives the command that removes one from a collection.
    """
    if json:
        found = [public(each) | _gone_roots(each.roots, gone) for each in collections]
        write_line(out, encode({"version": FORMAT_VERSION, "store": store, "collections": found}))
        return
    console = console_for(out, plain=plain)
    print_line(console, sanitise_line(f"store       {store}"))
    for each in collections:
        lines = {
            "collection": each.collection,
            "documents": f"{each.documents:,}",
            "chunks": f"{each.chunks:,}",
            "embedding": f"{each.embedding}, {each.dimension} dimensions" if each.dimension else each.embedding,
            "size": f"{each.size_bytes / 1e6:,.1f} MB",
            "last ingest": each.last_ingest or "never finished",
            "from": ", ".join(each.roots) or "nothing",
        }
        console.print()
        for name, value in lines.items():
            print_line(console, sanitise_line(f"{name:<12}{value}"))
        for root in each.roots:
            if root in gone:
                said = f"note: {root} is gone; to remove what the store has from there: "
                print_line(console, sanitise_line(said + removal(each.collection, root)))


def _gone_roots(roots: Sequence[str], gone: Collection[str]) -> dict[str, list[str]]:
    """The additional key of a collection, if any of its roots is gone."""
    found = [root for root in roots if root in gone]
    return {"gone_roots": found} if found else {}
