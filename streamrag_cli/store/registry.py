"""The registry of backends. Outside the backends, no other module depends on a specific backend.

A backend is a package whose `Store` implements `backend.Store`. It is imported when one of its addresses is used.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from streamrag_cli.store.address import StoreAddress

if TYPE_CHECKING:
    from streamrag_cli.store.backend import Store

_DIRECTORY: Final = ""
BACKENDS: Final[Mapping[str, str]] = {
    _DIRECTORY: "streamrag_cli.store.local",
    "postgresql": "streamrag_cli.store.postgres",
    "postgres": "streamrag_cli.store.postgres",
}
"""The package that implements each scheme. An address without one of these schemes is a directory."""


def store_address(raw: str) -> StoreAddress:
    """Parse an address as the user typed it. Raises ValueError."""
    scheme, colon, _ = raw.partition(":")
    return _backend(scheme if colon and scheme in BACKENDS else _DIRECTORY).address(raw)


def open_store(address: StoreAddress) -> "Store":
    """The store at the address, whether or not it exists yet. Opens nothing."""
    return _backend(_DIRECTORY if isinstance(address, Path) else address.scheme)(address)


def _backend(scheme: str) -> "type[Store]":
    return cast("type[Store]", import_module(BACKENDS[scheme]).Store)
