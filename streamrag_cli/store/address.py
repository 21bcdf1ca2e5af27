"""Addresses of stores: a local directory, or a URL."""

import re
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

_COLLECTION_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def is_collection_name(name: str) -> bool:
    """Whether a collection can have this name. It is then also safe as a file name.

    This is Chroma's rule, except for its minimum of 3 characters.
    """
    return _COLLECTION_NAME.fullmatch(name) is not None and ".." not in name


class StoreUrl:
    """An address with a scheme. Hashable; `str` and `repr` mask its password."""

    __slots__ = ()
    scheme: ClassVar[str]
    """The key of the backend in the registry."""

    def absolute(self) -> "StoreUrl":
        """Return itself: a URL does not depend on the working directory."""
        return self


StoreAddress: TypeAlias = Path | StoreUrl
