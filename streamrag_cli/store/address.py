"""Addresses of stores: a local directory, or a URL."""

from pathlib import Path
from typing import ClassVar, TypeAlias


class StoreUrl:
    """An address with a scheme. Hashable; `str` and `repr` mask its password."""

    __slots__ = ()
    scheme: ClassVar[str]
    """The key of the backend in the registry."""

    def absolute(self) -> "StoreUrl":
        """Return itself: a URL does not depend on the working directory."""
        return self


StoreAddress: TypeAlias = Path | StoreUrl
