"""Users with small and large stores to check."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.doctor import ANSWER
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import warm

_FILLING = (
    "The keeper noted ships, whales and the weather of the day in a steady hand, and slept well afterwards. " * 14
)


@pytest.fixture(scope="session")
def server() -> Iterator[OpenAIServer]:
    """A model server that answers questions and computes embeddings from words."""
    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user with three chunks and the built-in embedder. Tests must use a copy."""
    with warm(_user(tmp_path_factory.mktemp("small"))) as user:
        assert user.run("ingest", "library").code == 0
        yield user


@pytest.fixture(scope="session")
def large(small: CommandLine, tmp_path_factory: pytest.TempPathFactory, server: OpenAIServer) -> CommandLine:
    """A user with more than 1,000 chunks, the size at which Chroma saves its index. Tests must use a copy."""
    cold = _user(tmp_path_factory.mktemp("large"))
    user = replace(small, home=cold.home, directory=cold.directory).having(
        STREAMRAG_BASE_URL=server.base_url, STREAMRAG_EMBEDDING="openai:words"
    )
    log = "".join(f"## Day {day}\n\nOn day {day} there were {day * 7} ships. {_FILLING}\n\n" for day in range(560))
    (user.directory / "library" / "log.md").write_text(f"# Log\n\n{log}", encoding="utf-8")
    assert user.run("ingest", "library").code == 0
    return user


def _user(home: Path) -> CommandLine:
    library = home / "library"
    library.mkdir()
    (library / "hours.txt").write_text(ANSWER + "\n", encoding="utf-8")
    (library / "lending.md").write_text("# Lending\n\nA book may be kept for four weeks.\n", encoding="utf-8")
    (library / "garden.md").write_text("# Garden\n\nTomatoes are watered at dawn.\n", encoding="utf-8")
    return CommandLine(home=home, directory=home, variables={"STREAMRAG_ENGINE": "off"})
