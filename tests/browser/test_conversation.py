"""A conversation on the web page in Chromium: follow-up questions, reload, "New" and failures."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape

import pytest

from streamrag_cli.settings import Settings
from tests.support.chromium import Browser, Page
from tests.support.hostile_content import HOSTILE_ANSWER, HOSTILE_HTML
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import MODEL, Cut, Hold, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import running_server
from tests.support.static_site import static_site
from tests.support.visit import Visit, Visiting

LIGHTHOUSE = "Who built the lighthouse?"
LAMP = "And when was its lamp changed?"
BERTH = "What is the fee for a berth?"
IN_VIEW = """(() => {
  const { top, bottom } = document.querySelector('%s').getBoundingClientRect();
  return Math.round(top) >= 0 && bottom <= innerHeight;
})()"""


def questions(page: Page) -> list[str]:
    return page.texts(".asked")


def answers(page: Page) -> list[str]:
    return [text.strip() for text in page.texts(".answer")]


def first_sources(page: Page) -> list[str]:
    return page.texts(".source:first-child .document")


def earlier_messages(request: LoggedRequest) -> list[str]:
    """The messages that were sent to the model between the instructions and the question."""
    return [message["content"] for message in request.json["messages"][1:-1]]


def test_follow_up_questions_get_sources_and_earlier_turns_stay_visible(visiting: Visiting) -> None:
    with visiting([answer("Ada Brandt."), answer("In 1921."), answer("18 euros.")]) as visit:
        for question in (LIGHTHOUSE, LAMP, BERTH):
            visit.ask_and_wait(question)
            assert visit.page.value("[question.value, document.activeElement.id]") == ["", "question"]
        page = visit.page

        assert questions(page) == [LIGHTHOUSE, LAMP, BERTH]
        assert answers(page) == ["Ada Brandt.", "In 1921.", "18 euros."]
        assert first_sources(page) == ["docs/lighthouse.md", "docs/lighthouse.md", "docs/harbour.md"]
        assert [earlier_messages(request) for request in visit.model.requests] == [
            [],
            [LIGHTHOUSE, "Ada Brandt."],
            [LIGHTHOUSE, "Ada Brandt.", LAMP, "In 1921."],
        ]
        typed, follow_up, _ = page.texts(".searched")
        assert (typed, LIGHTHOUSE in follow_up) == ("", True)
        assert page.seen().console == []


def test_a_rewritten_question_is_shown_below_the_typed_one(browser: Browser, library: Settings) -> None:
    rewritten = "When was the lamp of the lighthouse changed?"
    with OpenAIServer(chat=[answer("Ada Brandt."), answer(rewritten), answer("In 1921.")]) as model:
        settings = replace(library, base_url=model.base_url, model=MODEL, api_key="key", rewrite="model")
        with running_server(settings) as server, browser.page() as page:
            page.goto(server.url)
            visit = Visit(page=page, url=server.url, model=model)
            visit.ask_and_wait(LIGHTHOUSE)
            visit.ask_and_wait("And when was\nits lamp changed?")

            assert page.texts(".searched") == ["", f"Searched for: “{rewritten}”"]
            assert page.value("[...document.querySelectorAll('.searched')].map(line => line.hidden)") == [True, False]
            assert answers(page) == ["Ada Brandt.", "In 1921."]


SEARCHED = """(async () => {
  const { searchedFor } = await import("/static/page/words.js");
  const searches = [["q"], [], ["q", "before"], ["before", "q ", "before"], ["other"]];
  return searches.map((queries) => searchedFor(" q", queries));
})()"""


def test_the_question_itself_is_not_repeated_among_the_queries(module_page: Page) -> None:
    also = "Also searched for: “before”"
    assert module_page.value(SEARCHED) == ["", "", also, also, "Searched for: “other”"]


def test_a_citation_in_an_earlier_turn_leads_to_the_source_of_that_turn(visiting: Visiting) -> None:
    with visiting([answer("First [2]."), answer("Second [2].")]) as visit:
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask_and_wait(BERTH)
        visit.page.call("click", "a.citation")

        assert visit.page.focused() == "turn-1-source-2"
        assert len(visit.page.texts(".source.reached")) == 1


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_new_question_after_a_long_answer_is_in_view(phone: bool, visiting: Visiting) -> None:
    with visiting([answer("Long.\n\n" * 80), answer("Short.")], phone=phone, reducedMotion="reduce") as visit:
        visit.ask_and_wait(LIGHTHOUSE)
        assert visit.page.value("[scrollY, %s]" % (IN_VIEW % ".box")) == [0, True]
        visit.ask_and_wait(BERTH)

        for element in (".turn:last-child .asked", ".turn:last-child .answer", ".box"):
            visit.page.wait_until(IN_VIEW % element)


def test_the_new_button_starts_an_empty_conversation(visiting: Visiting) -> None:
    release = threading.Event()
    replies = [answer("Ada Brandt."), answer("Half", " and more.", between=[Hold(release)]), answer("18 euros.")]
    with visiting(replies) as visit:
        page = visit.page
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask(LAMP)
        visit.wait_for_text("Half")
        page.call("click", "#new")

        assert visit.model.requests[1].closed_by_client.wait(timeout=10.0)
        assert (questions(page), page.focused(), page.text("#status")) == ([], "question", "New conversation.")
        assert page.value("[sessionStorage.length, localStorage.length]") == [0, 0]
        assert not page.value("document.querySelector('#welcome').hidden")

        visit.ask_and_wait(BERTH)
        assert (questions(page), earlier_messages(visit.model.requests[2])) == ([BERTH], [])
        page.call("reload")
        assert questions(page) == [BERTH]


def test_a_reload_keeps_the_conversation(visiting: Visiting) -> None:
    replies = [answer("Ada **Brandt** [1] [77]."), stream(token("In 1921"), Cut(reset=True)), answer("18 euros.")]
    with visiting(replies) as visit:
        page = visit.page
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask_and_wait(LAMP, status="cut off")
        live = (' aria-live="polite"', ' role="alert"')
        conversation = str(page.value("document.querySelector('#conversation').innerHTML"))
        for attribute in live:
            conversation = conversation.replace(attribute, "")  # restored turns are not announced
        page.call("reload")

        assert page.value("document.querySelector('#conversation').innerHTML") == conversation
        assert page.focused() == "question"
        visit.ask_and_wait(BERTH)
        assert earlier_messages(visit.model.requests[2])[::2] == [LIGHTHOUSE, LAMP]
        assert page.seen().errors == []


def test_going_back_to_the_page_keeps_the_partial_answer(visiting: Visiting) -> None:
    replies = [answer("Ada Brandt."), answer("In 1921", ".", between=[Hold(threading.Event())])]
    with visiting(replies) as visit:
        page = visit.page
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask(LAMP)
        visit.wait_for_text("In 1921")
        page.goto("about:blank")
        page.call("goBack")

        page.wait_until("document.querySelectorAll('.turn').length === 2")
        assert (questions(page), answers(page)) == ([LIGHTHOUSE, LAMP], ["Ada Brandt.", "In 1921"])
        assert page.texts(".timings")[1].startswith("Stopped. The answer is incomplete.")
        page.goto("about:blank")
        page.goto(visit.url)
        assert questions(page) == [LIGHTHOUSE, LAMP]
        page.value("sessionStorage.clear(), dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        assert questions(page) == []  # as when the browser shows a page that it kept in memory


def test_a_stopped_answer_is_kept_and_its_question_can_be_asked_again(visiting: Visiting) -> None:
    replies = [answer("Half", " and more.", between=[Hold(threading.Event())]), answer("Whole.")]
    with visiting(replies) as visit:
        page = visit.page
        visit.ask(LIGHTHOUSE)
        visit.wait_for_text("Half")
        page.call("click", "#stop")
        assert page.texts(".timings")[0].startswith("Stopped. The answer is incomplete.")
        page.call("reload")
        page.call("click", ".again")
        visit.wait_for_status("Answered.")

        assert (questions(page), answers(page)) == ([LIGHTHOUSE] * 2, ["Half", "Whole."])
        assert page.value("[...document.querySelectorAll('.again')].map(each => each.hidden)") == [True, True]
        assert earlier_messages(visit.model.requests[1]) == []


def test_a_question_without_an_answer_is_replaced_when_it_is_asked_again(visiting: Visiting) -> None:
    with visiting([answer("Ada Brandt."), failure(401, "no"), answer("In 1921.")]) as visit:
        page = visit.page
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask_and_wait(LAMP, status="No answer.")
        assert page.texts(".problem")[1] != ""
        page.call("click", ".turn:last-child .again")
        visit.wait_for_status("Answered.")

        assert (questions(page), answers(page)) == ([LIGHTHOUSE, LAMP], ["Ada Brandt.", "In 1921."])
        assert (page.texts(".problem"), page.focused()) == (["", ""], "question")
        assert earlier_messages(visit.model.requests[2]) == [LIGHTHOUSE, "Ada Brandt."]


def test_two_tabs_have_their_own_conversations(visiting: Visiting) -> None:
    with visiting([answer("Ada Brandt."), answer("18 euros."), answer("In 1921.")]) as visit:
        other = replace(visit, page=visit.page.new_tab())
        other.page.goto(visit.url)
        visit.ask_and_wait(LIGHTHOUSE)
        other.ask_and_wait(BERTH)
        visit.ask_and_wait(LAMP)
        for tab in (visit, other):
            tab.page.call("reload")

        assert (questions(visit.page), questions(other.page)) == ([LIGHTHOUSE, LAMP], [BERTH])
        assert earlier_messages(visit.model.requests[2]) == [LIGHTHOUSE, "Ada Brandt."]


THINKING = """(async () => {
  const { Turn } = await import("/static/page/turn.js");
  const turn = new Turn("q", "");
  turn.show({ type: "token", token: "Hm, **who**?" });
  turn.show({ type: "notice", message: "x", code: "thinking_shown" });
  turn.show({ type: "token", token: "Ada Brandt." });
  turn.end("done");
  const texts = [".thinking p", ".answer", ".afterword"].map((name) => turn.element.querySelector(name).textContent);
  return [...texts.map((text) => text.trim()), turn.element.querySelector(".thinking").open, turn.answer];
})()"""


def test_thinking_is_collapsed_and_not_part_of_the_answer(visiting: Visiting) -> None:
    with visiting(answer("Yes.")) as visit:
        assert visit.page.value(THINKING) == ["Hm, who?", "Ada Brandt.", "", False, "Ada Brandt."]


@pytest.mark.fault("active-content")
def test_hostile_texts_are_inert_after_a_reload(visiting: Visiting) -> None:
    question = "<img src=x onerror=alert(1)> What is it that the pirate says, and what is the pirate's name?"
    with visiting(answer(HOSTILE_ANSWER)) as visit:
        visit.ask_and_wait(question)
        page = visit.page
        page.call("reload")

        assert questions(page) == [question]
        assert [markup for markup in HOSTILE_HTML if unescape(markup) not in page.text(".answer")] == []
        assert "docs/<img src=x onerror=alert(1)>.md" in page.texts(".source .document")
        assert_inert(visit)


HOSTILE_SOURCE = {
    "n": '1"><img src=x onerror=alert(1)>',
    "source": "<img src=x onerror=alert(2)>",
    "page": None,
    "line_start": "<b>1</b>",
    "line_end": None,
    "title": "<script>alert(3)</script>",
    "content": "<b>x</b>",
    "score": 0.5,
    "chunk_id": "x",
}
HOSTILE_TURN = {
    "question": "<b>kept</b>",
    "events": [
        {"type": "question", "searched_for": ["<img src=x onerror=alert(4)>"]},
        {"type": "sources", "sources": [HOSTILE_SOURCE]},
        {"type": "token", "token": "<img src=x onerror=alert(5)> [link](javascript:alert(6)) [1]"},
        {"type": "notice", "message": "<b>x</b>"},
        {"type": "error", "error": "<b>x</b>", "hint": "<b>x</b>", "code": "x"},
        {"type": "later", "value": 1},
    ],
    "outcome": "error",
}


def test_stored_texts_are_shown_as_text(visiting: Visiting) -> None:
    with visiting(answer("18 euros.")) as visit:
        with_stored(visit.page, json.dumps({"collection": "<b>", "turns": [HOSTILE_TURN]}))

        assert questions(visit.page) == ["<b>kept</b>"]
        assert visit.page.texts(".searched") == ["Searched for: “<img src=x onerror=alert(4)>”"]
        assert_inert(visit)
        visit.ask_and_wait(BERTH)


BROKEN_TURNS: Sequence[object] = (
    *(None, 7, "x", {}, {"question": "no events"}, {"question": "no token", "events": [{"type": "token"}]}),
    {"question": "no number", "events": [{"type": "sources", "sources": [{"n": 1, "score": "high"}]}]},
)


def test_unreadable_stored_conversations_are_ignored(visiting: Visiting) -> None:
    turns = json.dumps({"turns": [*BROKEN_TURNS, {"question": "kept", "events": [], "outcome": "running"}]})
    with visiting(answer("18 euros.")) as visit:
        page = visit.page
        restored = {}
        for stored in ("not JSON", "null", '{"turns": 7}', "[]", turns):
            with_stored(page, stored)
            restored[stored] = questions(page)
        visit.ask_and_wait(BERTH)

        assert restored == {"not JSON": [], "null": [], '{"turns": 7}': [], "[]": [], turns: ["kept"]}
        assert questions(page) == ["kept", BERTH]
        assert page.seen().errors == []


FULL = """(() => {
  for (let size = 2 ** 23; size >= 1; size /= 2) {
    try { sessionStorage.setItem(`other ${size}`, "x".repeat(size)); } catch { /* try less */ }
  }
})()"""
DENIED = """Object.defineProperty(window, "sessionStorage", {
  get() { throw new DOMException("denied", "SecurityError"); },
});"""


@pytest.mark.parametrize("storage", [FULL, DENIED], ids=["full", "denied"])
def test_the_page_works_without_storage(storage: str, visiting: Visiting) -> None:
    with visiting([answer("Ada Brandt."), answer("In 1921.")]) as visit:
        visit.page.call("addInitScript", {"content": storage})
        visit.page.call("reload")
        visit.ask_and_wait(LIGHTHOUSE)
        visit.ask_and_wait(LAMP)

        assert answers(visit.page) == ["Ada Brandt.", "In 1921."]
        assert earlier_messages(visit.model.requests[1]) == [LIGHTHOUSE, "Ada Brandt."]
        visit.page.call("click", "#new")
        assert (questions(visit.page), visit.page.seen().errors) == ([], [])


HISTORY = """(async () => {
  const { Conversation } = await import("/static/page/conversation.js");
  const conversation = new Conversation(document.createElement("div"), "");
  for (const [question, answer] of %s) {
    conversation.add({ element: document.createElement("p"), question, answer, isPartOfTheConversation: true });
  }
  return conversation.history();
})()"""


@pytest.fixture(scope="module")
def module_page(browser: Browser) -> Iterator[Page]:
    """A page that can import the modules of the web page."""
    with static_site() as url, browser.page() as page:
        page.goto(url)
        yield page


def test_the_history_that_is_sent_is_bounded(module_page: Page) -> None:
    def sent(*turns: tuple[str, str]) -> list[tuple[str, str]]:
        return [(turn["question"], turn["answer"]) for turn in module_page.value(HISTORY % json.dumps(turns))]

    many = [(f"question {n}", f"answer {n}") for n in range(31)]
    assert [sent(*many[:count]) for count in (20, 21, 30, 31)] == [many[:20], many[10:21], many[10:30], many[20:]]
    assert sent(("q", "x" * 7_999 + "\U0001f600" + "y")) == [("q", "x" * 7_999)]
    long = [("q" * 20_000, "\u20ac" * 100_000)] * 9
    assert sent(*long) == [("q" * 20_000, "\u20ac" * 8_000)]


def test_the_stored_conversation_is_bounded(module_page: Page) -> None:
    newest = module_page.value(
        """(async () => {
          const { keep, kept } = await import("/static/page/tab-storage.js");
          const turns = [3, 6, 5, 4].map((size) => ({ text: "x".repeat(size * 100_000) }));
          keep("bounded", { collection: "manuals", turns });
          const { collection, turns: newest } = kept("bounded");
          return [collection, ...newest.map(({ text }) => text.length)];
        })()"""
    )

    assert newest == ["manuals", 500_000, 400_000]


def with_stored(page: Page, stored: str) -> None:
    """Load the page again, with this text as the stored conversation."""
    content = f"sessionStorage.setItem('streamrag conversation 1 /', {json.dumps(stored)})"
    page.call("addInitScript", {"content": content})
    page.call("reload")


def assert_inert(visit: Visit) -> None:
    seen = visit.page.seen()
    assert visit.page.value("document.querySelectorAll('#conversation :is(img, script, svg, iframe, b)').length") == 0
    assert [request for request in seen.requests if not request.startswith(visit.url)] == []
    assert (seen.dialogs, seen.errors, seen.violations, seen.console) == ([], [], [], [])
