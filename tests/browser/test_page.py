"""The web page in Chromium, against a real server."""

import re
import threading
from dataclasses import replace

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.support.chromium import Browser, Page
from tests.support.openai_replies import Cut, Hold, answer, failure, stream, token
from tests.support.running_server import running_server
from tests.support.visit import Visit, Visiting

BERTH = ("A berth is let", " for **24 hours**", " [1].", " The fee", " is unknown [42].")


@pytest.fixture
def release() -> threading.Event:
    return threading.Event()


def test_a_question_is_answered_with_sources_citations_and_times(visiting: Visiting) -> None:
    with visiting(answer(*BERTH)) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        page = visit.page

        assert page.text(".asked") == "What is the fee for a berth?"
        assert page.value("document.querySelector('.answer').innerHTML") == (
            "<p>A berth is let for <strong>24 hours</strong>&nbsp;"
            '<a class="citation" href="#turn-1-source-1" aria-label="Source 1, docs/harbour.md" '
            'title="docs/harbour.md">[1]</a>. '
            'The fee is unknown&nbsp;<span class="citation unknown" title="No source has this number">[42?]'
            '<span class="spoken"> no such source</span></span>.</p>\n'
        )
        assert page.texts(".source .document")[0] == "docs/harbour.md"
        assert page.texts(".source .place")[0] == "lines 5–9"
        assert page.texts(".source.cited .number") == ["1"]
        assert page.texts(".afterword li") == [
            "The answer cites [42], but there is no such source. Do not rely on sentences with such citations."
        ]
        assert "First words after" in page.text(".timings")
        assert "in total · test-model" in page.text(".timings")
        assert_clean(visit)


def test_text_is_shown_while_the_model_is_still_writing(visiting: Visiting, release: threading.Event) -> None:
    with visiting(answer("The first words", " and the last.", between=[Hold(release)])) as visit:
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("The first words")

        assert visit.page.text(".answer") == "The first words"
        assert "sources found. Writing the answer…" in visit.page.text("#status")
        assert len(visit.page.texts(".source")) == 5
        assert visit.page.value("document.querySelector('.exchange').ariaBusy") == "true"

        release.set()
        visit.wait_for_status("Answered.")
        assert visit.page.text(".answer") == "The first words and the last."
        assert visit.page.value("document.querySelector('.exchange').ariaBusy") is None


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_stopping_closes_the_connection_to_the_model(by: str, visiting: Visiting, release: threading.Event) -> None:
    with visiting(answer("The first words", " and the last.", between=[Hold(release)])) as visit:
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("The first words")
        visit.page.call("click", "#stop") if by == "button" else visit.page.press(by)

        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)
        assert visit.page.text("#status") == "Stopped."
        assert visit.page.text(".answer") == "The first words"
        assert visit.page.focused() == "question"
        assert visit.page.value("document.querySelector('#stop').hidden")
        assert_clean(visit)


def test_leaving_the_page_closes_the_connection_to_the_model(visiting: Visiting, release: threading.Event) -> None:
    with visiting(answer("The first words", " and the last.", between=[Hold(release)])) as visit:
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("The first words")
        visit.page.goto("about:blank")

        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)


def test_a_new_question_stops_the_previous_answer(visiting: Visiting, release: threading.Event) -> None:
    first = answer("Of the first question", ".", between=[Hold(release)])
    with visiting([first, answer("Of the second.")]) as visit:
        visit.ask("What is the fee for a berth?")
        visit.wait_for_text("Of the first question")
        visit.ask_and_wait("When was the lighthouse built?")

        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)
        assert visit.page.texts(".asked") == ["What is the fee for a berth?", "When was the lighthouse built?"]
        assert [text.strip() for text in visit.page.texts(".answer")] == ["Of the first question", "Of the second."]
        assert visit.page.texts(".timings")[0].startswith("Stopped. The answer is incomplete.")


def test_pressing_enter_twice_asks_once(visiting: Visiting, release: threading.Event) -> None:
    with visiting(answer("The first words", " and the last.", between=[Hold(release)])) as visit:
        visit.ask("What is the fee for a berth?")
        visit.page.press("Enter")
        visit.wait_for_text("The first words")
        release.set()
        visit.wait_for_status("Answered.")

        assert len(visit.model.requests) == 1


def test_a_cut_off_answer_stays_visible_with_an_error_and_a_hint(visiting: Visiting) -> None:
    with visiting(stream(token("Half an answer"), Cut(reset=True))) as visit:
        visit.ask_and_wait("What is the fee for a berth?", status="The answer was cut off.")

        assert visit.page.text(".answer") == "Half an answer"
        assert "ended the answer before it was complete" in visit.page.text(".problem")
        assert visit.page.text(".problem .hint") == "Ask again"
        assert visit.page.value("document.querySelector('#stop').hidden")


def test_after_a_failure_the_next_question_is_answered(visiting: Visiting) -> None:
    with visiting([stream(token("Half"), Cut(reset=True)), answer("Whole.")]) as visit:
        visit.ask_and_wait("What is the fee for a berth?", status="The answer was cut off.")
        visit.ask_and_wait("What is the fee for a berth?")

        assert [answer.strip() for answer in visit.page.texts(".answer")] == ["Half", "Whole."]
        assert visit.page.texts(".turn:last-child .problem") == [""]


def test_a_late_notice_is_shown_below_the_answer(visiting: Visiting) -> None:
    with visiting(answer("Cut", finish_reason="length")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")

        assert visit.page.texts(".afterword li") == ["the model reached its token limit, so the answer is cut off"]


def test_a_repeated_notice_is_shown_once(visiting: Visiting) -> None:
    with visiting([failure(500, "crashed"), failure(500, "crashed"), answer("The third attempt.")]) as visit:
        visit.ask_and_wait("What is the fee for a berth?")

        assert visit.page.texts(".notices li") == ["the model did not answer; trying again"]


def test_a_citation_leads_to_its_source_and_back(visiting: Visiting) -> None:
    with visiting(answer("Long.\n\n" * 60, "Here [3].")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        page = visit.page
        page.call("click", "a.citation")

        assert page.focused() == "turn-1-source-3"
        assert page.texts(".source.reached .number") == ["3"]
        page.wait_until(IN_VIEW % "#turn-1-source-3")

        page.call("click", ".source.reached .back")
        assert page.value("document.activeElement.matches('a.citation')")
        assert page.texts(".source.reached") == []
        page.wait_until(IN_VIEW % "a.citation")


def test_the_page_can_be_used_without_a_mouse(visiting: Visiting) -> None:
    with visiting(answer("See [the rules](https://harbour.example/rules) [2].")) as visit:
        page = visit.page
        assert page.focused() == "question"
        page.call("keyboard.type", "What is the fee")
        page.press("Shift+Enter")
        page.call("keyboard.type", "for a berth?")
        page.press("Tab")
        page.press("Enter")
        visit.wait_for_status("Answered.")

        assert page.text(".asked") == "What is the fee\nfor a berth?"
        shift_tab_to(page, '<a href="https://harbour.example/rules"')
        page.press("Tab")
        page.press("Enter")
        assert page.focused() == "turn-1-source-2"
        page.press("Tab")
        page.press("Enter")
        page.wait_until("document.querySelector('.passage .text')")
        page.press("Tab")
        assert page.value("document.activeElement.matches('.passage .text')")
        page.press("Tab")
        page.press("Enter")
        assert page.value("document.activeElement.matches('a.citation')")


def shift_tab_to(page: Page, start: str) -> None:
    """Press Shift+Tab in the question box until the focused element's start tag begins with `start`."""
    for _ in range(20):
        page.press("Shift+Tab")
        if page.focused().startswith(start):
            return
    raise AssertionError(page.focused())


def test_a_link_opens_a_new_tab_and_shows_its_host(visiting: Visiting) -> None:
    with visiting(answer("See [the rules](https://harbour.example/rules).")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")

        assert visit.page.value("document.querySelector('.answer p').innerHTML") == (
            'See <a href="https://harbour.example/rules" target="_blank" rel="noopener noreferrer nofollow" '
            'title="https://harbour.example/rules">the rules</a>'
            '<span class="address"> (harbour.example)</span>.'
        )


WIDE = (
    f"{'An_unbreakable_word' * 30}\n\n|{' column |' * 30}\n|{'---|' * 30}\n|{' value |' * 30}\n\n"
    f"```\n{'code ' * 200}\n```\n\n[link](https://harbour.example/{'path' * 100}) ![i](https://x.example/{'x' * 300})"
)


@pytest.mark.parametrize("width", [320, 390])
def test_the_page_never_scrolls_sideways_on_a_phone(width: int, visiting: Visiting) -> None:
    with visiting(answer(WIDE), phone=True, viewport={"width": width, "height": 700}) as visit:
        visit.ask_and_wait("What is the fee for a berth? " + "w" * 300)

        assert visit.page.value("[document.documentElement.scrollWidth, innerWidth]") == [width, width]


def test_a_rate_limited_question_shows_the_time_to_wait(visiting: Visiting) -> None:
    with visiting(answer("Once."), server_settings=ServerSettings(rate_limit="1/minute")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        visit.ask_and_wait("And for two nights?", status="No answer.")

        message, hint = visit.page.texts(".turn:last-child .problem p")
        assert message == "the limit of 1 questions per minute is exceeded"
        assert re.fullmatch(r"try again in \d+ s", hint)


def test_the_browser_can_send_the_servers_key(visiting: Visiting) -> None:
    credentials = {"username": "anyone", "password": "correct"}
    server_settings = ServerSettings(server_key="correct")
    with visiting(answer("Yes."), server_settings=server_settings, httpCredentials=credentials) as visit:
        visit.ask_and_wait("What is the fee for a berth?")

        assert visit.page.text(".answer") == "Yes."


def test_without_a_model_the_page_states_that_it_shows_quotes(browser: Browser, library: Settings) -> None:
    with running_server(library) as server, browser.page() as page:
        page.goto(server.url)
        page.call("fill", "#question", "What is the fee for a berth?")
        page.press("Enter")
        page.wait_until("document.getElementById('status').textContent === 'Answered.'")

        assert page.text(".notices li") == "No model is connected, so these are quotes from the documents"
        assert "The fee is 18 euros a night" in page.text(".answer")


def test_an_irrelevant_question_is_not_styled_as_an_error(browser: Browser, library: Settings) -> None:
    with running_server(replace(library, min_score=0.99)) as server, browser.page() as page:
        page.goto(server.url)
        page.call("fill", "#question", "Which programming language has macros?")
        page.press("Enter")
        page.wait_until("document.getElementById('status').textContent === 'No answer.'")

        assert page.texts(".problem p") == [
            "nothing in the documents is relevant to the question",
            "rephrase the question",
        ]
        assert page.value("document.querySelector('.problem').className") == "problem calm"
        assert page.value("document.querySelector('.again').hidden")


IN_VIEW = """(() => {
  const { top, bottom } = document.querySelector('%s').getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
})()"""


def assert_clean(visit: Visit) -> None:
    """Assert that the page contacted only its own server and that the browser reported no errors."""
    seen = visit.page.seen()
    assert [request for request in seen.requests if not request.startswith(visit.url)] == []
    assert (seen.dialogs, seen.console, seen.errors, seen.violations) == ([], [], [], [])
