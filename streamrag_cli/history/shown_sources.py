"""Stores the sources of the last search in each terminal, so that `show N` finds the source that the user sees.

$XDG_STATE_HOME/streamrag/shown.json     their places, but neither the query nor any text (0600)
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from streamrag_cli.history.location import LogError, log_file, make_private_directory
from streamrag_cli.model import Source
from streamrag_cli.regular_files import read_regular_file, replacing

_TERMINALS: Final = 50
_TYPES: Final[Mapping[str, Any]] = {
    "n": int, "chunk_id": str, "path": str, "line_start": int | None, "page": int | None,
    "collection": str | None,
}  # fmt: skip
_MAX_BYTES: Final = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSources:
    """The sources that a search last showed in one terminal.

    `at` is the time of the search in ISO 8601 (UTC). `sources` have the keys of `_TYPES`; `store` contains no password.
    """

    at: str
    collection: str
    store: str
    sources: Sequence[Mapping[str, Any]]


def remember(
    environment: Mapping[str, str], terminal: str, sources: Sequence[Source], *, at: str, collection: str, store: str
) -> None:
    """Replace the sources that are stored for the terminal. Does nothing if the file cannot be written."""
    with suppress(OSError, LogError):
        file = _file(environment)
        listed = [{key: getattr(source, key) for key in _TYPES} for source in sources]
        entries = _read(file)
        entries.pop(terminal, None)
        entries[terminal] = {"at": at, "collection": collection, "store": store, "sources": listed}
        make_private_directory(file.parent)
        newest = dict(list(entries.items())[-_TERMINALS:])
        with replacing(file) as opened:
            opened.write(json.dumps(newest).encode())


def recall(environment: Mapping[str, str], terminal: str) -> ShownSources | None:
    """The sources of the last search in the terminal, or None if no sources are stored for it."""
    with suppress(LogError):
        entry = _read(_file(environment)).get(terminal)
        return ShownSources(**entry) if _is_valid(entry) else None
    return None


def forget(log: Path) -> None:
    """Delete the record of shown sources, which is in the same folder as `log`."""
    log.with_name("shown.json").unlink(missing_ok=True)


def _file(environment: Mapping[str, str]) -> Path:
    return log_file(environment).with_name("shown.json")


def _is_valid(entry: object) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"at", "collection", "store", "sources"}
        and all(isinstance(entry[key], str) for key in ("at", "collection", "store"))
        and isinstance(entry["sources"], list)
        and all(isinstance(each, dict) and each.keys() == _TYPES.keys() for each in entry["sources"])
        and all(isinstance(value, _TYPES[key]) for each in entry["sources"] for key, value in each.items())
    )


def _read(file: Path) -> dict[str, Any]:
    """The entries of the file; empty if it is missing, damaged or not a regular file (reading a FIFO would block)."""
    try:
        entries = json.loads(read_regular_file(file, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}
