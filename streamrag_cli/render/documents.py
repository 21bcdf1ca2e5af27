"""Output of `ls`: one row per document, or JSON."""

from collections.abc import Sequence
from typing import Final, TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.model import DocumentEntry
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.tables import local_time, print_rows, write_tabbed
from streamrag_cli.service.document_names import not_ingested
from streamrag_cli.text import sanitise_line

_SHOWN_UNREAD: Final = 5


def show_documents(
    entries: Sequence[DocumentEntry],
    out: TextIO,
    err: TextIO,
    *,
    collection: str,
    names: DisplayNames,
    only_unread: bool,
    json: bool,
    plain: bool,
    unread: Sequence[DocumentEntry] = (),
    hint: str = "",
) -> None:
    """Print a row per document, starting with its path. In a pipe, the path can be used as an argument.

    If there is no document, `unread` is printed: the matching files that were not ingested. `hint` is a command that
    lists or ingests what matches.
    """
    if json:
        documents = [public(each, paths=True) for each in entries]
        write_line(out, encode({"version": FORMAT_VERSION, "collection": collection, "documents": documents}))
        return
    if not entries:
        what = "no file failed or was skipped" if only_unread else "no document matches"
        err.write(f"{what} in the collection {collection!r}\n")
        err.writelines(f"{not_ingested(each.path, each.reason, names)}\n" for each in unread[:_SHOWN_UNREAD])
        if unread:
            more = len(unread) - _SHOWN_UNREAD
            err.write(f"and {more:,} more\n" if more > 0 else "")
        if hint:
            err.write(f"hint: {hint}\n")
        return
    if not out.isatty() or plain:
        write_tabbed(out, [_tabbed(each, names, only_unread=only_unread) for each in entries])
    elif only_unread:
        rows = [[sanitise_line(names.of(each.path)), each.state, each.reason] for each in entries]
        print_rows(out, ("path", "state", "reason"), rows, styles={"failed": "red"})
    else:
        heads = ["path", "passages", "size", "modified", "ingested", "tags"]
        rows = [_cells(each, names) for each in entries]
        if not any(each.tags for each in entries):
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        print_rows(out, heads, rows, right=(1, 2), styles={"failed": "red"})


def _cells(entry: DocumentEntry, names: DisplayNames) -> list[str]:
    return [
        sanitise_line(names.of(entry.path)),
        f"{entry.chunks:,}",
        _size(entry.size_bytes or 0),
        local_time(entry.modified_at or ""),
        "failed" if entry.state == "failed" else local_time(entry.ingested_at or ""),
        ", ".join(entry.tags),
    ]


def _tabbed(entry: DocumentEntry, names: DisplayNames, *, only_unread: bool) -> list[str]:
    path = names.typed(entry.path)
    if only_unread:
        return [path, entry.state, entry.reason]
    times = [entry.modified_at or "", entry.ingested_at or ""]
    return [
        path,
        str(entry.chunks),
        str(entry.size_bytes or 0),
        *times,
        *([", ".join(entry.tags)] if entry.tags else []),
    ]


def _size(size_bytes: int) -> str:
    """Format a size in bytes with decimal units.

    >>> _size(12), _size(4_700), _size(1_250_000)
    ('12 B', '5 kB', '1.2 MB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:,.0f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1_000_000:,.1f} MB"
