"""Fixtures with a command line: one with a store, one without."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import ROOT, CommandLine
from tests.support.warm_command_line import WarmCommandLine, warm

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
def cold_cli_with_store(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A user with the sample documents and a handbook in the store. Tests must not change the store."""
    home = tmp_path_factory.mktemp("cli")
    work = home / "work"
    shutil.copytree(ROOT / "sample_docs", work / "sample_docs")
    (work / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    (work / "evil").mkdir()
    (work / "evil" / EVIL_NAME).write_text(EVIL_TEXT, encoding="utf-8")
    user = CommandLine(home=home, directory=work)
    with warm(user) as warm_user:
        for arguments in (("sample_docs", "handbook.md"), ("evil", "-c", "evil")):
            ingested = warm_user.run("ingest", *arguments)
            assert ingested.code == 0, ingested
    return user


@pytest.fixture(scope="session")
def cli_with_store(cold_cli_with_store: CommandLine) -> Iterator[WarmCommandLine]:
    """Like `cold_cli_with_store`, with processes forked from a warm server. Not for tests of the process start."""
    with warm(cold_cli_with_store) as user:
        yield user


@pytest.fixture
def cold_cli(tmp_path: Path) -> CommandLine:
    """A user without a store, in an empty directory."""
    work = tmp_path / "work"
    work.mkdir()
    return CommandLine(home=tmp_path, directory=work)


@pytest.fixture
def cli(cold_cli: CommandLine) -> Iterator[WarmCommandLine]:
    """Like `cold_cli`, with processes forked from a warm server. Not for tests of the process start."""
    with warm(cold_cli) as user:
        yield user
