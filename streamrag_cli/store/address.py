"""Addresses of stores. An address is the path of a local directory, or a URL."""

import re
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

_COLLECTION_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def is_collection_name(name: str) -> bool:
    """Whether `name` is a valid name for a collection. A valid name is also safe as a file name.

    This is Chroma's rule, except for its minimum of 3 characters.
    """
    return _COLLECTION_NAME.fullmatch(name) is not None and ".." not in name


class StoreUrl:
    """The address of a store, as a URL. It is hashable, and its `str` and `repr` mask the password."""

    __slots__ = ()
    scheme: ClassVar[str]
    """The scheme of the URL, which selects the backend in the registry."""

    def absolute(self) -> "StoreUrl":
        """Return this address unchanged, because a URL does not depend on the working directory."""
        return self


StoreAddress: TypeAlias = Path | StoreUrl
