"""Output of `collections`: one row per collection, or JSON."""

from collections.abc import Mapping
from typing import TextIO

from streamrag_cli.codec import encode
from streamrag_cli.errors import StoreError
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.error_output import print_notes
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.tables import local_time, print_rows, write_tabbed
from streamrag_cli.store.backend import CollectionStatus

_KEYS = ("documents", "chunks", "embedding", "last_ingest")


def show_collections(
    overview: Mapping[str, CollectionStatus | StoreError],
    out: TextIO,
    err: TextIO,
    *,
    store: str,
    json: bool,
    plain: bool,
) -> None:
    """Print a row per collection, including damaged ones, and a note on `err` for each damaged collection."""
    if json:
        collections = [_object(name, each) for name, each in overview.items()]
        write_line(out, encode({"version": FORMAT_VERSION, "store": store, "collections": collections}))
        return
    rows = [_cells(name, each, is_aligned=out.isatty() and not plain) for name, each in overview.items()]
    if out.isatty() and not plain:
        print_rows(out, ("collection", "documents", "passages", "embedder", "last ingest"), rows, right=(1, 2))
    else:
        write_tabbed(out, rows)
    print_notes(err, [each.message for each in overview.values() if isinstance(each, StoreError)])


def _object(name: str, status: CollectionStatus | StoreError) -> dict[str, object]:
    if isinstance(status, StoreError):
        return {"collection": name, **dict.fromkeys(_KEYS), "error": {"message": status.message, "code": status.code}}
    return {"collection": name, **{key: getattr(status, key) for key in _KEYS}, "error": None}


def _cells(name: str, status: CollectionStatus | StoreError, *, is_aligned: bool) -> list[str]:
    if isinstance(status, StoreError):
        return [name, "", "", "damaged" if status.code == "store_damaged" else "unreadable", ""]
    last = status.last_ingest or ""
    if is_aligned:
        return [
            name,
            f"{status.documents:,}",
            f"{status.chunks:,}",
            status.embedding,
            local_time(last) if last else "never completed",
        ]
    return [name, str(status.documents), str(status.chunks), status.embedding, last]
