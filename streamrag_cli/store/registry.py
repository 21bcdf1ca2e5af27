"""The registry of backends. No other module outside the backends depends on a specific backend.

A backend is a package with a class `Store` that implements `backend.Store`. It is imported when it is first used.
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
"""The backend's package for each scheme. An address without a scheme is a directory."""
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_URL: Final = re.compile(r"\s*[A-Za-z0-9+.:-]+://")
_KEYWORDS: Final = re.compile(r"\s*(?:dbname|host|hostaddr|passfile|password|port|service|sslmode|user)\s*=")
"""The beginning of a libpq connection string that is not a URL."""


def store_address(raw: str) -> StoreAddress:
    """Parse an address as the user typed it. Raises ValueError."""
    match = _SCHEME.match(raw)
    scheme = match[1].lower() if match else _DIRECTORY
    if scheme in BACKENDS and match:
        return _backend(scheme).address(raw.strip())
    if match and _URL.match(raw):  # otherwise its password would become part of a directory's name
        raise ValueError(
            f"the scheme {match[1]}:// is unknown; use postgresql://, or write ./ before the name of a directory"
        )
    if _KEYWORDS.match(raw):
        raise ValueError("a database address must be a URL: postgresql://USER@HOST/DATABASE")
    return _backend(_DIRECTORY).address(raw)


def open_store(address: StoreAddress) -> "Store":
    """Return the store at this address, which does not have to exist yet. No file or connection is opened."""
    return _backend(_DIRECTORY if isinstance(address, Path) else address.scheme)(address)


def _backend(scheme: str) -> "type[Store]":
    return cast("type[Store]", import_module(BACKENDS[scheme]).Store)
