"""A command line with a small collection and its own engines, which are stopped after the test."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.command_line import CommandLine
from tests.support.warm_command_line import WarmCommandLine, warm


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def user(settings: Settings, tmp_path: Path) -> Iterator[WarmCommandLine]:
    """A command line with its own engines, which reuses loaded imports; `cold` does not."""
    work = tmp_path / "work"
    work.mkdir()
    with TemporaryDirectory(prefix="rt-", dir="/tmp") as runtime:  # socket paths must be short
        variables = {"XDG_RUNTIME_DIR": runtime, "STREAMRAG_ENGINE": "on", "STREAMRAG_STORE": str(settings.store)}
        with warm(CommandLine(home=tmp_path, directory=work, variables=variables)) as user:
            yield user
            user.run("engine", "stop")
