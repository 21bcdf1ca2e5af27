"""A user with a small collection of their own, for tests in which something goes wrong."""

from collections.abc import Iterator

import pytest

from tests.cli.command_line import CommandLine
from tests.library import DOCUMENTS
from tests.warm_command_line import WarmCommandLine, warm


@pytest.fixture(scope="session")
def resident(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A user whose store holds a few documents. To be read only."""
    user = CommandLine(home=tmp_path_factory.mktemp("resident"), directory=tmp_path_factory.mktemp("work"))
    write_documents(user)
    with warm(user) as soon:
        ingested = soon.run("ingest", "docs")
    assert ingested.code == 0, ingested
    return user


@pytest.fixture(scope="session")
def warm_resident(resident: CommandLine) -> Iterator[WarmCommandLine]:
    with warm(resident) as it:
        yield it


def write_documents(user: CommandLine) -> None:
    for name, text in DOCUMENTS.items():
        path = user.directory / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
