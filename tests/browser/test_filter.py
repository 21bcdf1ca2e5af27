"""The fields on the web page that restrict a question to some documents."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from streamrag_cli.settings import Settings
from tests.support.chromium import Browser, Page
from tests.support.collection import make_collection
from tests.support.running_server import running_server

PUMP = "What is the bilge pump rated for?"
DOCUMENTS = {
    "boats/pump.md": "---\ntags: [spares]\n---\n# The pump\n\nThe bilge pump is rated for 40 litres a minute.\n",
    "cars/pump.txt": "The bilge pump of the amphibious car is rated for nine litres a minute, at most.\n",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings: Settings = make_collection(tmp_path_factory.mktemp("filters"), DOCUMENTS)
    with running_server(replace(settings, min_score=0.0)) as server:
        yield server.url


def test_a_question_with_a_wrong_filter_can_be_repeated_with_a_corrected_one(browser: Browser, url: str) -> None:
    with browser.page() as page:
        page.goto(url)
        page.call("click", "#filter summary")
        page.call("fill", '#filter input[name="in"]', "nowhere")
        page.call("fill", "#question", PUMP)
        page.press("Enter")
        page.wait_until("document.getElementById('status').textContent === 'No answer.'")
        problem = page.texts(".problem p")
        page.call("fill", '#filter input[name="in"]', "docs/cars")
        page.call("click", ".again")
        page.wait_until("document.getElementById('status').textContent === 'Answered.'")
        sources = page.texts(".source .document")
        scope = page.text(".scope")

    assert problem == ["no document matches the filter", "change or clear the filter, and ask again"]
    assert (scope, sources) == ("Restricted to: docs/cars", ["docs/cars/pump.txt"])


def sources_of_answer(page: Page) -> set[str]:
    page.call("fill", "#question", PUMP)
    page.press("Enter")
    page.wait_until("document.getElementById('status').textContent === 'Answered.'")
    return set(page.texts(".turn:last-child .source .document"))


def test_a_filter_restricts_the_next_questions_until_it_is_cleared(browser: Browser, url: str) -> None:
    with browser.page() as page:
        page.goto(url)
        page.call("click", "#filter summary")
        page.call("fill", '#filter input[name="in"]', "docs/boats, nowhere")
        page.call("fill", '#filter input[name="tag"]', "spares")
        restricted = sources_of_answer(page)
        scope = page.text(".turn:last-child .scope")
        page.call("reload")
        page.wait_until("document.querySelector('.turn .source')")
        values = page.value("[...document.querySelectorAll('#filter input')].map((each) => each.value)")
        state = page.text("#filter-state")
        page.call("click", "#filter summary")
        page.call("fill", '#filter input[name="in"]', "")
        page.call("fill", '#filter input[name="tag"]', "")
        page.call("fill", '#filter input[name="format"]', "txt")
        other = sources_of_answer(page)

    assert restricted == {"docs/boats/pump.md"}
    assert scope == "Restricted to: docs/boats, nowhere, tag spares"
    assert (values, state) == (["docs/boats, nowhere", "", "spares", ""], ": on")
    assert other == {"docs/cars/pump.txt"}
