"""Which kinds of store there are: the one place that knows.

A kind is a package whose `Store` is as `kind.Store` says. It is imported for an address of its own.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from streamrag_cli.store.address import StoreAddress

if TYPE_CHECKING:
    from streamrag_cli.store.kind import Store

_DIRECTORY: Final = ""
KINDS: Final[Mapping[str, str]] = {
    _DIRECTORY: "streamrag_cli.store.local",
    "postgresql": "streamrag_cli.store.postgres",
    "postgres": "streamrag_cli.store.postgres",
}
"""The package of each scheme. What has none of them is a directory."""


def store_address(raw: str) -> StoreAddress:
    """Where a store is, as a person writes it. Raises ValueError."""
    scheme, colon, _ = raw.partition(":")
    return _kind(scheme if colon and scheme in KINDS else _DIRECTORY).address(raw)


def open_store(address: StoreAddress) -> "Store":
    """The store there, whether or not anything was ever ingested into it. Nothing is touched yet."""
    return _kind(_DIRECTORY if isinstance(address, Path) else address.scheme)(address)


def _kind(scheme: str) -> "type[Store]":
    return cast("type[Store]", import_module(KINDS[scheme]).Store)
