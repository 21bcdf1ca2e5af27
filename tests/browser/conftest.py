"""Fixtures with one browser for all tests, and with a small collection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.support.chromium import Browser, running_browser
from tests.support.collection import DOCUMENTS, make_collection
from tests.support.hostile_content import HOSTILE_DOCUMENTS
from tests.support.openai_replies import MODEL
from tests.support.openai_server import OpenAIServer, Script
from tests.support.running_server import running_server
from tests.support.visit import Visit, Visiting

FREE = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A collection of harmless and hostile documents in which every question has hits."""
    documents = {**DOCUMENTS, **HOSTILE_DOCUMENTS}
    return replace(make_collection(tmp_path_factory.mktemp("library"), documents), min_score=0.0)


@pytest.fixture
def visiting(browser: Browser, library: Settings) -> Visiting:
    """Open the page on a server whose model follows a script; `look` are options such as `dark` and `phone`."""

    @contextmanager
    def visit(script: Script, *, server_settings: ServerSettings = FREE, **look: Any) -> Iterator[Visit]:
        with OpenAIServer(chat=script) as model:
            settings = replace(library, base_url=model.base_url, model=MODEL, api_key="key")
            with running_server(settings, server_settings) as server, browser.page(**look) as page:
                page.goto(server.url)
                yield Visit(page=page, url=server.url, model=model)

    return visit
