"""One collection for all tests of the server; each test starts the server it needs."""

from pathlib import Path

import pytest

from streamrag_cli.settings import Settings
from tests.support.collection import make_collection


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(Path(tmp_path_factory.mktemp("served")))
