"""A store in a directory of this machine: a catalog in SQLite, vectors in Chroma."""

from pathlib import Path
from typing import TYPE_CHECKING

from streamrag_cli.store.local.store import LocalStore

if TYPE_CHECKING:
    from streamrag_cli.store.kind import Store


def address(raw: str) -> Path:
    return Path(raw).expanduser()


def open_store(address: Path) -> "Store":
    return LocalStore(address)
