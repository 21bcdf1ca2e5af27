"""The web page reports connections that are busy, lost or refused."""

import threading
from dataclasses import replace

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.support.chromium import Browser, Page
from tests.support.openai_replies import MODEL, Hold, Stall, answer, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server
from tests.support.visit import Visit, Visiting

LIGHTHOUSE = "Who built the lighthouse?"
CONNECTIONS = 6
"""The maximum number of connections that a browser opens to a server over HTTP/1.1."""


@pytest.mark.fault("browser-connections")
def test_a_seventh_tab_reports_the_wait_and_gets_the_first_free_connection(visiting: Visiting) -> None:
    releases = [threading.Event() for _ in range(CONNECTIONS)]
    slow_replies = [answer("Begun", " and ended.", between=[Hold(release)]) for release in releases]
    with visiting([*slow_replies, answer("The seventh.")]) as visit:
        tabs = [visit, *(replace(visit, page=visit.page.new_tab()) for _ in range(CONNECTIONS))]
        for tab in tabs[1:]:
            tab.page.goto(visit.url)
        *answered, seventh = tabs
        for tab in answered:
            tab.ask(LIGHTHOUSE)
            tab.wait_for_text("Begun")
        seventh.ask(LIGHTHOUSE)
        seventh.wait_for_status(
            "Waiting for one of the 6 answers in other tabs: a browser opens at most 6 connections to a server."
        )
        seventh.page.press("Escape")
        seventh.wait_for_status("Stopped.")
        assert seventh.page.texts(".timings") == ["Stopped before the answer began. "]

        seventh.page.call("click", ".again")
        seventh.wait_for_status("Waiting for one of the 6 answers")
        assert len(visit.model.requests) == CONNECTIONS
        releases[0].set()
        seventh.wait_for_status("Answered.")
        assert seventh.page.text(".answer") == "The seventh."
        for tab, release in zip(answered, releases, strict=True):
            release.set()
            tab.wait_for_status("Answered.")


def test_an_answer_that_stalls_is_reported(visiting: Visiting) -> None:
    with visiting(stream(token("Begun"), Stall())) as visit:
        visit.page.call("clock.install")
        visit.page.call("reload")
        visit.ask(LIGHTHOUSE)
        visit.page.wait_until("document.querySelector('.timings')?.textContent !== ''")
        visit.page.call("clock.runFor", 10_500)

        visit.wait_for_status("Still writing, but the model has sent nothing for a while…")


@pytest.mark.fault("page-connection")
def test_a_question_can_be_repeated_after_a_server_restart(browser: Browser, library: Settings) -> None:
    release = threading.Event()
    with OpenAIServer(chat=[answer("Half", " more.", between=[Hold(release)]), answer("Whole [1].")]) as model:
        settings = replace(library, base_url=model.base_url, model=MODEL, api_key="key")
        with browser.page() as page:
            with running_server(settings) as server:
                page.goto(server.url)
                visit = Visit(page=page, url=server.url, model=model)
                visit.ask(LIGHTHOUSE)
                visit.wait_for_text("Half")
            visit.wait_for_status("The answer was cut off.")
            assert page.texts(".problem p") == ["the server is shutting down", "ask again in a moment"]
            page.call("click", ".again")
            visit.wait_for_status("No answer.")
            assert page.texts(".turn:last-child .problem p") == [
                "the server cannot be reached",
                "check that it is running, and ask again",
            ]
            page.call("click", ".source .open")
            page.wait_until("document.querySelector('.passage .failure')")
            assert page.text(".passage .failure") == "The server cannot be reached."
            assert page.text(".source.opened .excerpt").startswith("The lighthouse was built")

            with running_server(settings, port=server.port):
                page.call("click", ".turn:last-child .again")
                visit.wait_for_status("Answered.")
                page.value("document.querySelectorAll('.source .open').forEach((each) => each.click())")
                page.wait_until("document.querySelector('.turn:last-child .passage .text')")
                assert [text.strip() for text in page.texts(".answer")] == ["Half", "Whole\u00a0[1]."]
        release.set()


@pytest.mark.fault("page-connection")
def test_a_device_without_a_network_is_reported(visiting: Visiting) -> None:
    with visiting(answer("Ada Brandt.")) as visit:
        visit.page.set_offline(True)
        visit.ask_and_wait(LIGHTHOUSE, status="No answer.")
        assert visit.page.texts(".problem p") == [
            "the server cannot be reached",
            "this device is offline; ask again when it is connected",
        ]

        visit.page.set_offline(False)
        visit.page.call("click", ".again")
        visit.wait_for_status("Answered.")
        assert visit.page.text(".answer") == "Ada Brandt."


@pytest.mark.fault("page-connection")
def test_a_changed_key_is_reported_with_a_remedy(browser: Browser, library: Settings) -> None:
    credentials = {"username": "anyone", "password": "first-harbour-key"}
    with browser.page(httpCredentials=credentials) as page:
        with running_server(library, keyed("first-harbour-key")) as server:
            page.goto(server.url)
        with running_server(library, keyed("second-harbour-key"), port=server.port):
            ask(page)
            page.wait_until("document.getElementById('status').textContent === 'No answer.'")

            assert page.texts(".problem p") == [
                "the key is wrong",
                "reload the page, and enter the server’s key as the password",
            ]


def keyed(key: str) -> ServerSettings:
    return ServerSettings(rate_limit="1000000/minute", grace_s=3.0, server_key=key)


def ask(page: Page) -> None:
    page.call("fill", "#question", LIGHTHOUSE)
    page.press("Enter")
