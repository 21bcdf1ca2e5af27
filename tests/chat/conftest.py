"""A user with a small collection, and an engine that all chats in a test session share."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.collection import make_collection
from tests.support.command_line import CommandLine
from tests.support.engines import start_engine
from tests.support.warm_command_line import warm


@pytest.fixture(scope="session")
def _user_with_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    home = tmp_path_factory.mktemp("chat")
    settings = make_collection(home)
    with TemporaryDirectory(prefix="rt-", dir="/tmp") as runtime:  # socket paths must be short
        variables = {
            "XDG_RUNTIME_DIR": runtime,
            "STREAMRAG_ENGINE": "on",
            "STREAMRAG_STORE": str(settings.store),
            "STREAMRAG_LOG_QUESTIONS": "off",
        }
        with warm(CommandLine(home=home, directory=home, variables=variables)) as user:
            start_engine(user)
            yield user
            user.run("engine", "stop")


@pytest.fixture
def user(_user_with_engine: CommandLine, tmp_path: Path) -> CommandLine:
    """A user with a home and a working directory of their own, whose questions are not logged."""
    return replace(_user_with_engine, home=tmp_path, directory=tmp_path)
