"""A command line with a small collection, for tests of faults."""

from collections.abc import Iterator

import pytest

from tests.support.collection import DOCUMENTS
from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine, warm


@pytest.fixture(scope="session")
def cold_cli_with_store(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line whose store has a few documents. Tests must not change the store."""
    user = CommandLine(home=tmp_path_factory.mktemp("cli"), directory=tmp_path_factory.mktemp("work"))
    write_files(user.directory / "docs", DOCUMENTS)
    with warm(user) as machine:
        ingested = machine.run("ingest", "docs")
    assert ingested.code == 0, ingested
    return user


@pytest.fixture(scope="session")
def cli_with_store(cold_cli_with_store: CommandLine) -> Iterator[WarmCommandLine]:
    with warm(cold_cli_with_store) as machine:
        yield machine
