"""One collection for all server tests; each test starts its own server."""

from pathlib import Path

import pytest

from streamrag_cli.settings import Settings
from tests.support.collection import make_collection


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(Path(tmp_path_factory.mktemp("served")))
