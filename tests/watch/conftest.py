"""Fixtures for watchers with their own home, store and folder of documents."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.warm_command_line import warm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "rent.md").write_text("# Rent\n\nThe rent is 700 euros a month.\n", encoding="utf-8")
    return folder


@pytest.fixture
def cli(tmp_path: Path, folder: Path) -> Iterator[CommandLine]:
    """A command line whose working directory contains `docs`."""
    home = tmp_path / "home"
    home.mkdir()
    with warm(CommandLine(home=home, directory=folder.parent)) as user:
        yield user


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
