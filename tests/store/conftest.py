"""The stores that are held to the contract: one of each kind that is registered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.store.registry import BACKENDS
from tests.support.stores import LocalStore, Store, empty_store


@pytest.fixture(params=dict.fromkeys(BACKENDS.values()), ids=lambda package: package.rpartition(".")[2])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind, in which nothing is yet."""
    with empty_store(request.param, tmp_path) as store:
        yield store


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    """A directory, in which nothing is yet."""
    return LocalStore(tmp_path / "store")
