"""Output of `status`: the collections in a store as rows or as one JSON object."""

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line, size_of, with_tilde
from streamrag_cli.render.machine import write_line
from streamrag_cli.render.table import Column, table_rows
from streamrag_cli.store.backend import CollectionStatus
from streamrag_cli.store.watchers import WatcherState
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from rich.console import Console

_NOTE: Final = "note: "


def show_status(
    store: str,
    collections: Sequence[CollectionStatus],
    *,
    missing: Collection[str],
    watchers: Mapping[str, Sequence[WatcherState]],
    now_s: float,
    removal: Callable[[str, str], str],
    complete: Callable[[str, str], str],
    shown_name: Callable[[str], str],
    home: str,
    out: TextIO,
    json: bool,
    plain: bool,
) -> None:
    """Print the collections in the store as text or as one JSON object.

    `missing` are the roots that no longer exist, and `watchers` the recorded watchers by collection.
    `removal(collection, root)` returns the command that removes a root's documents, and `shown_name(root)` returns
    the name of a root for users. `complete(collection, text)` adds the collection's flags to the command at the
    end of a text. The text shows the directory `home` as `~`.
    """
    if json:
        objects = [
            public(each) | _gone_roots(each.roots, missing) | _watchers(watchers.get(each.collection, ()), now_s)
            for each in collections
        ]
        write_line(out, encode({"version": FORMAT_VERSION, "store": store, "collections": objects}))
        return
    console = console_for(out, plain=plain)
    width = size_of(out)[0] - 1 if out.isatty() else None
    print_line(console, sanitise_line(f"store: {with_tilde(store, home)}"))
    print_line(console, "")
    title, *rows = table_rows(_columns(collections, shown_name), width)
    print_line(console, title, style="bold")
    for row in rows:
        print_line(console, row)
    for each in collections:
        for watcher in watchers.get(each.collection, ()):
            _print_line(console, complete(each.collection, _watched(watcher, shown_name, now_s)))
        for root in each.roots:
            if root in missing:
                note = f"{_NOTE}{root} no longer exists; to remove its documents: "
                _print_line(console, note + removal(each.collection, root))


def _print_line(console: "Console", text: str) -> None:
    """Print a line; the label of a note is bold."""
    label = _NOTE if text.startswith(_NOTE) else ""
    print_line(console, sanitise_line(text.removeprefix(label)), label=label)


def _columns(collections: Sequence[CollectionStatus], shown_name: Callable[[str], str]) -> list[Column]:
    return [
        Column(title="collection", cells=[each.collection for each in collections]),
        Column(title="documents", cells=[f"{each.documents:,}" for each in collections], is_number=True),
        Column(title="passages", cells=[f"{each.chunks:,}" for each in collections], is_number=True, drop_order=1),
        Column(
            title="size",
            cells=[f"{each.size_bytes / 1e6:,.1f} MB" for each in collections],
            is_number=True,
            drop_order=4,
        ),
        Column(title="last ingest", cells=[_local_time(each.last_ingest) for each in collections], drop_order=2),
        Column(title="embedder", cells=[_embedder(each) for each in collections], drop_order=5),
        Column(
            title="from",
            cells=[", ".join(map(shown_name, each.roots)) or "nothing" for each in collections],
            drop_order=3,
        ),
    ]


def _watched(watcher: WatcherState, shown_name: Callable[[str], str], now_s: float) -> str:
    roots = ", ".join(map(shown_name, watcher.roots))
    one = len(watcher.roots) == 1
    if silence := watcher.silence(now_s):
        command = f"streamrag ingest --watch {shlex.join(watcher.roots)}"
        who = f"process {watcher.pid} on {watcher.host}, which {silence}"
        return f"{_NOTE}{roots} {'was' if one else 'were'} watched by {who}; to watch again: {command}"
    last_event, last_sweep = (
        _local_time(moment) if moment else "none" for moment in (watcher.last_event_at, watcher.last_sweep_at)
    )
    problem = f"; {watcher.problem}" if watcher.problem else ""
    verb = "is" if one else "are"
    times = f"last event {last_event}, last full comparison {last_sweep}"
    return f"{roots} {verb} watched ({watcher.method}); {times}{problem}"


def _watchers(watchers: Sequence[WatcherState], now_s: float) -> dict[str, list[dict[str, object]]]:
    """Return the JSON key `watchers` if the collection has watchers; otherwise no key."""
    objects = [public(each) | {"silence": each.silence(now_s)} for each in watchers]
    return {"watchers": objects} if objects else {}


def _size(collection: CollectionStatus) -> str:
    return f"{collection.size_bytes / 1e6:,.1f} MB"


def _embedder(collection: CollectionStatus) -> str:
    """Return the name with which `--embedding` selects the embedder."""
    kind, _, model = collection.embedding.partition(":")
    return collection.embedding if kind == "openai" else kind or model


def _local_time(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else "never completed"


def _gone_roots(roots: Sequence[str], missing: Collection[str]) -> dict[str, list[str]]:
    """Return the JSON key `gone_roots` if a root of the collection is missing; otherwise no key."""
    missing_roots = [root for root in roots if root in missing]
    return {"gone_roots": missing_roots} if missing_roots else {}
