"""A user with a small collection of their own, for tests in which something goes wrong."""

from collections.abc import Iterator

import pytest

from tests.support.collection import write_documents
from tests.support.command_line import CommandLine
from tests.support.warm_command_line import WarmCommandLine, warm


@pytest.fixture(scope="session")
def cold_cli_with_store(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A user whose store holds a few documents. To be read only."""
    user = CommandLine(home=tmp_path_factory.mktemp("cli"), directory=tmp_path_factory.mktemp("work"))
    write_documents(user)
    with warm(user) as soon:
        ingested = soon.run("ingest", "docs")
    assert ingested.code == 0, ingested
    return user


@pytest.fixture(scope="session")
def cli_with_store(cold_cli_with_store: CommandLine) -> Iterator[WarmCommandLine]:
    with warm(cold_cli_with_store) as it:
        yield it
