"""Where a store is: a directory of this machine, or what the address of another kind of store leads to."""

from pathlib import Path
from typing import ClassVar, TypeAlias


class StoreUrl:
    """An address with a scheme; `str` and `repr` show it without its password. Equal ones lead to one store."""

    __slots__ = ()
    scheme: ClassVar[str]
    """Its kind in the registry."""

    def absolute(self) -> "StoreUrl":
        """Itself: it does not depend on the working directory."""
        return self


StoreAddress: TypeAlias = Path | StoreUrl
