"""One browser for all tests of a run, and one small library to ask."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.browser.chromium import Browser, Page, running_browser
from tests.browser.hostile import HOSTILE_DOCUMENTS
from tests.library import DOCUMENTS, make_collection
from tests.openai_replies import MODEL
from tests.openai_server import OpenAIServer, Script
from tests.server.running import running_server

FREE = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page that is open, the server that it came from, and the model behind that."""

    page: Page
    url: str
    model: OpenAIServer

    def ask(self, question: str) -> None:
        self.page.call("fill", "#question", question)
        self.page.press("Enter")

    def ask_and_wait(self, question: str, *, status: str = "Answered.") -> None:
        self.ask(question)
        self.wait_for_status(status)

    def wait_for_status(self, status: str) -> None:
        self.page.wait_until(f"document.getElementById('status').textContent.includes({status!r})")

    def wait_for_text(self, text: str) -> None:
        self.page.wait_until(f"document.getElementById('answer').textContent.includes({text!r})")


Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A collection of innocent and hostile documents in which every question finds something."""
    documents = {**DOCUMENTS, **HOSTILE_DOCUMENTS}
    return replace(make_collection(tmp_path_factory.mktemp("library"), documents), min_score=0.0)


@pytest.fixture
def visiting(browser: Browser, library: Settings) -> Visiting:
    """Open the page of a server whose model answers by a script; a look is `dark`, `phone` and the like."""

    @contextmanager
    def visit(script: Script, *, server_settings: ServerSettings = FREE, **look: Any) -> Iterator[Visit]:
        with OpenAIServer(chat=script) as model:
            settings = replace(library, base_url=model.base_url, model=MODEL, api_key="key")
            with running_server(settings, server_settings) as server, browser.page(**look) as page:
                page.goto(server.url)
                yield Visit(page=page, url=server.url, model=model)

    return visit
