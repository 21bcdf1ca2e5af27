"""The stores that are held to the contract."""

from pathlib import Path

import pytest

from tests.store.stores import LocalStore


@pytest.fixture(params=[LocalStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalStore:
    """A store in which nothing is yet."""
    made: LocalStore = request.param(tmp_path / "store")
    return made
