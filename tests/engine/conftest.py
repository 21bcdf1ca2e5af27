"""A user with a small collection and engines of their own, which are gone after the test."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.settings import Settings
from tests.cli.command_line import CommandLine
from tests.library import make_collection


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_collection(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def user(settings: Settings, tmp_path: Path) -> Iterator[CommandLine]:
    runtime = Path("/tmp") / f"rt-{tmp_path.name[:20]}-{tmp_path.parent.name[-4:]}"  # a socket's path must be short
    runtime.mkdir(mode=0o700, exist_ok=True)
    work = tmp_path / "work"
    work.mkdir()
    variables = {"XDG_RUNTIME_DIR": str(runtime), "STREAMRAG_ENGINE": "on", "STREAMRAG_STORE": str(settings.store)}
    user = CommandLine(home=tmp_path, directory=work, variables=variables)
    yield user
    user.run("engine", "stop")
    for left in (runtime / "streamrag").glob("*"):
        left.unlink()
    (runtime / "streamrag").rmdir()
    runtime.rmdir()


def engines(user: CommandLine) -> list[dict[str, Any]]:
    """What the user's engines say about themselves."""
    listed: list[dict[str, Any]] = json.loads(user.run("engine", "status", "--json").stdout)
    return listed


def without_engine(user: CommandLine) -> CommandLine:
    return replace(user, variables={**user.variables, "STREAMRAG_ENGINE": "off"})
