"""Choosing a collection on the web page."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from streamrag_cli.events import IngestDone
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.chromium import Browser, Page
from tests.support.collection import make_collection
from tests.support.files import write_files
from tests.support.running_server import running_server

PUMP = "What is the bilge pump rated for?"
TEXT = "# The pump\n\nThe bilge pump is rated for 40 litres a minute.\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with the collections `default`, `manuals` and `private`, in which every question has hits."""
    folder = tmp_path_factory.mktemp("collections")
    settings = replace(make_collection(folder), min_score=0.0)
    for name in ("manuals", "private"):
        write_files(folder / name, {"pump.md": TEXT})
        request = IngestRequest(paths=(folder / name,), working_directory=folder)
        *_, end = ingest(request, replace(settings, collection=name))
        assert isinstance(end, IngestDone)
    return settings


@pytest.fixture(scope="module")
def url(store: Settings) -> Iterator[str]:
    server_settings = ServerSettings(rate_limit="1000000/minute", grace_s=3.0, collections=("default", "manuals"))
    with running_server(store, server_settings) as server:
        yield server.url


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    wait_for_choice(page)


def wait_for_choice(page: Page) -> None:
    page.wait_until("!document.getElementById('collection-choice').hidden")


def state(page: Page) -> tuple[str, str]:
    """The chosen collection, and the query in the address."""
    chosen, query = page.value("[document.querySelector('#collection').value, location.search]")
    return chosen, query


def sources_of_answer(page: Page) -> list[str]:
    page.call("fill", "#question", PUMP)
    page.press("Enter")
    page.wait_until("document.getElementById('status').textContent === 'Answered.'")
    return page.texts(".turn:last-child .source .document")


def test_the_selected_collection_is_searched_and_kept_in_the_url(browser: Browser, url: str) -> None:
    with browser.page() as page:
        open_page(page, url)
        assert page.texts("#collection option") == ["default", "manuals"]
        assert state(page) == ("default", "")

        page.call("selectOption", "#collection", "manuals")
        assert state(page) == ("manuals", "?collection=manuals")
        assert sources_of_answer(page) == ["manuals/pump.md"]
        page.call("click", ".source .open")
        page.wait_until("document.querySelector('.passage .text')")
        assert page.text(".passage .text") == TEXT.strip()

        page.call("reload")
        wait_for_choice(page)
        assert state(page) == ("manuals", "?collection=manuals")
        page.call("goBack")
        assert state(page) == ("default", "")
        page.call("goForward")
        assert state(page) == ("manuals", "?collection=manuals")
        page.call("selectOption", "#collection", "default")
        assert state(page) == ("default", "")


def test_a_link_with_a_collection_selects_that_collection(browser: Browser, url: str) -> None:
    with browser.page() as page:
        open_page(page, f"{url}/?collection=manuals")

        assert state(page) == ("manuals", "?collection=manuals")
        assert sources_of_answer(page) == ["manuals/pump.md"]
        other = page.new_tab()
        open_page(other, url)
        assert state(other) == ("default", "")
        page.goto("about:blank")
        open_page(page, url)  # the tab still has its conversation
        assert state(page) == ("manuals", "?collection=manuals")


@pytest.mark.parametrize("name", ["private", "<b>nowhere</b>"])
def test_a_link_to_an_unserved_collection_is_reported_and_the_default_used(
    name: str, browser: Browser, url: str
) -> None:
    with browser.page() as page:
        open_page(page, f"{url}/?collection={name}")
        page.wait_until("!document.getElementById('collection-problem').hidden")

        assert page.text("#collection-problem") == (
            f"This server has no collection “{name}”. Questions are answered from “default”."
        )
        assert state(page) == ("default", "")
        assert sources_of_answer(page)[0].startswith("docs/")
        page.call("selectOption", "#collection", "manuals")
        assert page.value("document.getElementById('collection-problem').hidden")


def test_a_server_with_one_collection_offers_no_choice(browser: Browser, store: Settings) -> None:
    with running_server(store) as server, browser.page() as page:
        page.goto(f"{server.url}/?collection=manuals")
        page.wait_until("!document.getElementById('collection-problem').hidden")

        assert page.value("document.getElementById('collection-choice').hidden")
        assert page.value("location.search") == ""
