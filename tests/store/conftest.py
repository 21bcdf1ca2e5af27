"""Fixtures with an empty store for every registered backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.store.registry import BACKENDS
from tests.support.stores import LocalStore, Store, empty_store


@pytest.fixture(params=dict.fromkeys(BACKENDS.values()), ids=lambda package: package.rpartition(".")[2])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store for each backend."""
    with empty_store(request.param, tmp_path) as store:
        yield store


@pytest.fixture
def local_store(tmp_path: Path) -> LocalStore:
    """An empty local store."""
    return LocalStore(tmp_path / "store")
