"""Users for the tests of the command line: one who has ingested documents, one who has nothing yet."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import ROOT, CommandLine
from tests.warm_command_line import WarmCommandLine, warm

QUESTION = "Why is a token flushed at once into a pipe?"
EVIL_NAME = "\x1b[31mred[bold][link=http:evil]\nname\u202e.md"
EVIL_TEXT = """# \x1b]52;c;aGVsbG8=\x07Heading [/b] [bold]

The zebra \x1b[31mcrossing [/red] is painted [link=x]white[/link].
"""
HANDBOOK = """# Handbook

## Opening hours

The library opens at nine in the morning and closes at six in the evening.

## Lending

A book may be kept for four weeks. Whoever returns it late pays twenty cents for each day.
"""


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A user whose store holds the sample documents and a handbook. To be read only."""
    home = tmp_path_factory.mktemp("reader")
    work = home / "work"
    shutil.copytree(ROOT / "sample_docs", work / "sample_docs")
    (work / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    (work / "evil").mkdir()
    (work / "evil" / EVIL_NAME).write_text(EVIL_TEXT, encoding="utf-8")
    user = CommandLine(home=home, directory=work)
    with warm(user) as soon:
        for arguments in (("sample_docs", "handbook.md"), ("evil", "-c", "evil")):
            ingested = soon.run("ingest", *arguments)
            assert ingested.code == 0, ingested
    return user


@pytest.fixture(scope="session")
def warm_reader(reader: CommandLine) -> Iterator[WarmCommandLine]:
    """The same user, for what does not depend on how a process starts."""
    with warm(reader) as user:
        yield user


@pytest.fixture
def cold_newcomer(tmp_path: Path) -> CommandLine:
    """A user without a store, in an empty directory."""
    work = tmp_path / "work"
    work.mkdir()
    return CommandLine(home=tmp_path, directory=work)


@pytest.fixture
def newcomer(cold_newcomer: CommandLine) -> Iterator[WarmCommandLine]:
    """The same user, for what does not depend on how a process starts."""
    with warm(cold_newcomer) as user:
        yield user
