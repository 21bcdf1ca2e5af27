"""Addresses of stores: a directory of this machine, or a URL."""

from pathlib import Path
from typing import ClassVar, TypeAlias


class StoreUrl:
    """An address with a scheme. Hashable; `str` and `repr` mask its password."""

    __slots__ = ()
    scheme: ClassVar[str]
    """The key of its kind in the registry."""

    def absolute(self) -> "StoreUrl":
        """Itself: it does not depend on the working directory."""
        return self


StoreAddress: TypeAlias = Path | StoreUrl
