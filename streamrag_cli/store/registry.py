"""The registry of backends. Outside the backends, no other module depends on a specific backend.

A backend is a package whose `Store` implements `backend.Store`. It is imported when one of its addresses is used.
"""

import re
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
"""The package that implements each scheme. An address without a scheme is a directory."""
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_URL: Final = re.compile(r"\s*[A-Za-z0-9+.:-]+://")
_KEYWORDS: Final = re.compile(r"\s*(?:dbname|host|hostaddr|passfile|password|port|service|sslmode|user)\s*=")
"""The beginning of a connection string of libpq that is not a URL."""


def store_address(raw: str) -> StoreAddress:
    """Parse an address as the user typed it. Raises ValueError."""
    match = _SCHEME.match(raw)
    scheme = match[1].lower() if match else _DIRECTORY
    if scheme in BACKENDS and match:
        return _backend(scheme).address(raw.strip())
    if match and _URL.match(raw):  # its password would become the name of a directory
        raise ValueError(
            f"the scheme {match[1]}: is unknown; use postgresql://, or write ./ before the name of a directory"
        )
    if _KEYWORDS.match(raw):
        raise ValueError("the address of a database must be a URL: postgresql://USER@HOST/DATABASE")
    return _backend(_DIRECTORY).address(raw)


def open_store(address: StoreAddress) -> "Store":
    """The store at the address, whether or not it exists yet. Opens nothing."""
    return _backend(_DIRECTORY if isinstance(address, Path) else address.scheme)(address)


def _backend(scheme: str) -> "type[Store]":
    return cast("type[Store]", import_module(BACKENDS[scheme]).Store)
