"""The React hook under StrictMode, on a page from another origin: the example and a probe."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.support.chromium import Browser
from tests.support.openai_replies import MODEL, Cut, Hold, answer, stream, token
from tests.support.openai_server import OpenAIServer, Script
from tests.support.react_bundle import bundle
from tests.support.running_server import running_server
from tests.support.static_site import static_site
from tests.support.visit import Visit

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "react" / "main.jsx"
PROBE = Path(__file__).with_name("hook_probe.jsx")
QUESTION = "What is the fee for a berth?"

Opening = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture
def opening(browser: Browser, library: Settings, tmp_path: Path) -> Opening:
    """Open a page built from an entry file, and a server that allows its origin."""

    @contextmanager
    def open_page(entry: Path, script: Script) -> Iterator[Visit]:
        bundle(entry, tmp_path)
        with static_site(tmp_path) as site, OpenAIServer(chat=script) as model, browser.page() as page:
            settings = replace(library, base_url=model.base_url, model=MODEL, api_key="key")
            origin = site.rstrip("/")
            with running_server(settings, ServerSettings(cors_origin=(origin,))) as server:
                page.goto(f"{site}?server={server.url}")
                yield Visit(page=page, url=server.url, model=model)

    return open_page


@contextmanager
def probing(opening: Opening, script: Script, component: str = "Probe") -> Iterator[Visit]:
    with opening(PROBE, script) as visit:
        visit.page.wait_until("window.probe")
        visit.page.value(f"probe.mount({component!r})")
        visit.page.wait_until("probe.rag")
        yield visit


def assert_no_browser_errors(visit: Visit) -> None:
    seen = visit.page.seen()
    messages = [line for line in seen.console if "React DevTools" not in line]
    assert (messages, seen.errors) == ([], [])


def test_the_react_example_shows_text_while_the_model_is_writing(opening: Opening) -> None:
    release = threading.Event()
    with opening(EXAMPLE, answer("The first words", " and the last.", between=[Hold(release)])) as visit:
        page = visit.page
        page.call("fill", "input", QUESTION)
        page.press("Enter")
        visit.wait_for_text("The first words")
        assert page.text("[role=status]") == "generating"
        assert len(page.texts("li")) == 5

        release.set()
        page.wait_until("document.querySelector('[role=status]').textContent === 'done'")
        assert page.text("#answer") == "The first words and the last."
        assert len(visit.model.requests) == 1
        assert_no_browser_errors(visit)


def test_unmounting_a_component_closes_the_connection_to_the_model(opening: Opening) -> None:
    with opening(EXAMPLE, answer("The first words", ".", between=[Hold(threading.Event())])) as visit:
        visit.page.call("fill", "input", QUESTION)
        visit.page.press("Enter")
        visit.wait_for_text("The first words")
        visit.page.call("click", "text=Close")

        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)
        visit.page.call("click", "text=Open")
        assert visit.page.text("[role=status]") == "idle"
        assert_no_browser_errors(visit)


def test_an_effect_in_strict_mode_asks_only_once(opening: Opening) -> None:
    with probing(opening, answer("Eighteen", " euros."), "ParentOfOneThatAsks") as visit:
        visit.page.wait_until("probe.rag.status === 'done'")

        assert visit.page.value("probe.rag.answer") == "Eighteen euros."
        assert len(visit.model.requests) == 1
        assert_no_browser_errors(visit)


def test_all_events_of_the_stream_update_the_state(opening: Opening) -> None:
    with probing(opening, answer("It is 18 euros [1], or not [42].", finish_reason="length")) as visit:
        page = visit.page
        page.value(f"probe.rag.ask({QUESTION!r}, {{ k: 2 }})")
        page.wait_until("probe.rag.status === 'done'")
        state = page.value("JSON.parse(JSON.stringify(probe.rag))")

        assert {
            key: state[key] for key in ("question", "answer", "unknownCitations", "model", "error", "isStreaming")
        } == {
            "question": QUESTION,
            "answer": "It is 18 euros [1], or not [42].",
            "unknownCitations": [42],
            "model": MODEL,
            "error": None,
            "isStreaming": False,
        }
        assert [source["n"] for source in state["sources"]] == [1, 2]
        assert [citation["n"] for citation in state["citations"]] == [1]
        assert [notice["code"] for notice in state["notices"]] == ["finish_length"]
        assert state["timings"]["total_ms"] > 0


def test_a_thousand_tokens_do_not_cause_a_thousand_renders(opening: Opening) -> None:
    with probing(opening, answer(*["word "] * 1000)) as visit:
        visit.page.value(f"probe.rag.ask({QUESTION!r})")
        visit.page.wait_until("probe.rag.status === 'done'")

        assert visit.page.value("probe.rag.answer") == "word " * 1000
        assert visit.page.value("probe.renders") < 500  # StrictMode renders twice
        assert visit.page.value("probe.asks.size") == 1


def test_stop_keeps_the_partial_answer_and_reset_clears_it(opening: Opening) -> None:
    with probing(opening, answer("The first words", ".", between=[Hold(threading.Event())])) as visit:
        page = visit.page
        page.value(f"void probe.rag.ask({QUESTION!r})")
        page.wait_until("probe.rag.answer === 'The first words'")
        page.value("probe.rag.stop()")
        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)
        page.wait_until("!probe.rag.isStreaming")
        assert page.value("[probe.rag.status, probe.rag.answer]") == ["stopped", "The first words"]

        page.value("probe.rag.reset()")
        page.wait_until("probe.rag.status === 'idle'")
        assert page.value("[probe.rag.answer, probe.rag.question, probe.rag.sources.length]") == ["", "", 0]


def test_a_new_question_stops_the_previous_answer(opening: Opening) -> None:
    first = answer("Of the first", ".", between=[Hold(threading.Event())])
    with probing(opening, [first, answer("Of the second.")]) as visit:
        visit.page.value(f"void probe.rag.ask({QUESTION!r})")
        visit.page.wait_until("probe.rag.answer === 'Of the first'")
        visit.page.value("void probe.rag.ask('When was the lighthouse built?')")
        visit.page.wait_until("probe.rag.status === 'done'")

        assert visit.page.value("probe.rag.answer") == "Of the second."
        assert visit.model.requests[0].closed_by_client.wait(timeout=10.0)


def test_a_failure_updates_the_state_and_keeps_the_partial_answer(opening: Opening) -> None:
    with probing(opening, stream(token("Half an answer"), Cut(reset=True))) as visit:
        visit.page.value(f"probe.rag.ask({QUESTION!r})")
        visit.page.wait_until("probe.rag.status === 'error'")

        assert visit.page.value("[probe.rag.answer, probe.rag.error.code, probe.rag.isStreaming]") == [
            "Half an answer",
            "cut_off",
            False,
        ]


def test_asking_after_unmount_sends_nothing(opening: Opening) -> None:
    with probing(opening, answer("Never.")) as visit:
        visit.page.value("probe.unmount()")
        visit.page.value(f"probe.rag.ask({QUESTION!r})")

        assert visit.model.requests == []
        assert_no_browser_errors(visit)
