"""The stores that are held to the contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_server import fresh_schema
from tests.store.stores import LocalStore, Store


@pytest.fixture(params=["directory", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of either kind, in which nothing is yet."""
    if request.param == "directory":
        yield LocalStore(tmp_path / "store")
        return
    with fresh_schema() as place:
        yield Store(place)


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    """A directory, in which nothing is yet."""
    return LocalStore(tmp_path / "store")
