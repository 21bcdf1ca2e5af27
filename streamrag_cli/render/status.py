"""Output of `status`: the collections of a store, as text or as one JSON object."""

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
    missing: Collection[str],
    removal: Callable[[str, str], str],
    out: TextIO,
    json: bool,
    plain: bool,
) -> None:
    """Print the collections of the store, as text or as one JSON object.

    `missing` are roots that no longer exist. `removal(collection, root)` returns the command that removes the
    documents of a root.
    """
    if json:
        objects = [public(each) | _gone_roots(each.roots, missing) for each in collections]
        write_line(out, encode({"version": FORMAT_VERSION, "store": store, "collections": objects}))
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
            "last ingest": each.last_ingest or "never completed",
            "from": ", ".join(each.roots) or "nothing",
        }
        console.print()
        for name, value in lines.items():
            print_line(console, sanitise_line(f"{name:<12}{value}"))
        for root in each.roots:
            if root in missing:
                note = f"note: {root} no longer exists; to remove its documents: "
                print_line(console, sanitise_line(note + removal(each.collection, root)))


def _gone_roots(roots: Sequence[str], missing: Collection[str]) -> dict[str, list[str]]:
    """The JSON key `gone_roots`, if any root of the collection is missing."""
    missing_roots = [root for root in roots if root in missing]
    return {"gone_roots": missing_roots} if missing_roots else {}
