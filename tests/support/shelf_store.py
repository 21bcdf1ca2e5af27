"""Registers an additional store backend for tests: a local store with addresses of the form `shelf:PATH`."""

from pathlib import Path

from streamrag_cli.store.address import StoreUrl
from streamrag_cli.store.local.store import LocalStore


class ShelfUrl(StoreUrl):
    scheme = "shelf"

    def __init__(self, raw: str) -> None:
        self.path = Path(raw.removeprefix("shelf:"))

    def __str__(self) -> str:
        return f"shelf:{self.path}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShelfUrl) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)


class Store(LocalStore):
    has_local_files = False  # type: ignore[misc]

    def __init__(self, address: ShelfUrl) -> None:
        super().__init__(address.path)
        self._address = address

    @staticmethod
    def address(raw: str) -> ShelfUrl:  # type: ignore[override]
        return ShelfUrl(raw)

    def __str__(self) -> str:
        return str(self._address)

    def with_secret(self) -> str:
        return str(self._address)

    def display_address(self, raw: str) -> str:
        return str(ShelfUrl(raw))
