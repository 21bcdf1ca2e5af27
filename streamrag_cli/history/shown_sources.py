"""The sources that a search last numbered in each terminal, so that `show N` finds the one that the user sees.

$XDG_STATE_HOME/streamrag/shown.json     their places, but neither the query nor any text (0600)
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.history.location import LogError, log_file, make_private_directory
from streamrag_cli.model import Source
from streamrag_cli.regular_files import replacing

_TERMINALS: Final = 50
_KEYS: Final = ("n", "chunk_id", "path", "line_start", "page", "collection")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSources:
    """The sources that a search last showed in one terminal.

    `at` is the time of the search in ISO 8601 (UTC). `sources` have the keys `_KEYS`; `store` contains no password.
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
        listed = [{key: getattr(source, key) for key in _KEYS} for source in sources]
        entries = _read(file)
        entries.pop(terminal, None)
        entries[terminal] = {"at": at, "collection": collection, "store": store, "sources": listed}
        make_private_directory(file.parent)
        newest = dict(list(entries.items())[-_TERMINALS:])
        with replacing(file) as opened:
            opened.write(json.dumps(newest).encode())


def recall(environment: Mapping[str, str], terminal: str) -> ShownSources | None:
    """The sources that were last numbered in the terminal, or None if no sources are stored for it."""
    with suppress(OSError, LogError, TypeError):
        entry = _read(_file(environment)).get(terminal)
        return ShownSources(**entry) if entry else None
    return None


def forget(log: Path) -> None:
    """Delete the record of shown sources, which is in the same folder as `log`."""
    log.with_name("shown.json").unlink(missing_ok=True)


def _file(environment: Mapping[str, str]) -> Path:
    return log_file(environment).with_name("shown.json")


def _read(file: Path) -> dict[str, Any]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
