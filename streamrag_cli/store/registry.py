"""The kinds of store: the only module that knows them.

A kind is a package whose `Store` implements `kind.Store`. It is imported when an address of that kind is used.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from streamrag_cli.store.address import StoreAddress

if TYPE_CHECKING:
    from streamrag_cli.store.backend import Store

_DIRECTORY: Final = ""
KINDS: Final[Mapping[str, str]] = {
    _DIRECTORY: "streamrag_cli.store.local",
    "postgresql": "streamrag_cli.store.postgres",
    "postgres": "streamrag_cli.store.postgres",
}
"""The package for each scheme; an address without one of these schemes is a directory."""


def store_address(raw: str) -> StoreAddress:
    """Parse an address as a person writes it. Raises ValueError."""
    scheme, colon, _ = raw.partition(":")
    return _kind(scheme if colon and scheme in KINDS else _DIRECTORY).address(raw)


def open_store(address: StoreAddress) -> "Store":
    """The store at the address, whether or not it exists yet. Opens nothing."""
    return _kind(_DIRECTORY if isinstance(address, Path) else address.scheme)(address)


def _kind(scheme: str) -> "type[Store]":
    return cast("type[Store]", import_module(KINDS[scheme]).Store)
