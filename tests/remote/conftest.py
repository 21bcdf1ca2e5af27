"""Fixtures with a git server, web sites, and ingests that keep copies in a state directory."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamrag_cli.settings import Settings
from tests.support.command_line import CommandLine
from tests.support.crawls import PARSER
from tests.support.git_server import GitServer, git_server
from tests.support.ingests import Ingests
from tests.support.warm_command_line import WarmCommandLine, warm
from tests.support.web_site import Page, Site, web_site


@pytest.fixture
def ingests(tmp_path: Path) -> Ingests:
    home = tmp_path / "home"
    home.mkdir()
    settings = Settings(store=tmp_path / "store", state_directory=str(tmp_path / "state"))
    return Ingests(home=home, settings=settings, environment={"PATH": os.environ["PATH"], "HOME": str(home)})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "repositories") as server:
        yield server


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[WarmCommandLine]:
    """A user without a store, in an empty directory."""
    work = tmp_path / "work"
    work.mkdir()
    with warm(CommandLine(home=tmp_path, directory=work)) as user:
        yield user


@pytest.fixture(scope="session", autouse=True)
def _stop_parser() -> Iterator[None]:
    yield
    PARSER.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Serves the pages until the test ends."""
    with ExitStack() as stack:

        def serve(pages: Mapping[str, Page], host: str = "127.0.0.1") -> Site:
            return stack.enter_context(web_site(pages, host))

        yield serve
