"""Text from documents, file names and models is never interpreted as HTML."""

from html import unescape

import pytest

from tests.support.hostile_content import ATTACKER, HOSTILE_ANSWER, HOSTILE_HTML
from tests.support.openai_replies import Reply, answer
from tests.support.visit import Visiting

LINKS = "[...document.querySelectorAll('main a:not(.citation)')].map(a => a.href)"
ELEMENTS = "[...new Set([...document.querySelectorAll('.answer *')].map(each => each.tagName))].sort()"


@pytest.mark.fault("active-content")
@pytest.mark.parametrize("pieces", ["in one piece", "a character at a time"])
def test_a_hostile_answer_is_inert(pieces: str, visiting: Visiting) -> None:
    reply: Reply = answer(HOSTILE_ANSWER) if pieces == "in one piece" else answer(*HOSTILE_ANSWER)
    with visiting(reply) as visit:
        visit.ask_and_wait("What does the pirate say?")
        page = visit.page
        shown = page.text(".answer")
        seen = page.seen()

        assert [markup for markup in HOSTILE_HTML if unescape(markup) not in shown] == []
        assert "The end of the hostile answer" in shown
        assert set(page.value(ELEMENTS)) <= {
            *(
                "A",
                "BUTTON",
                "CODE",
                "DIV",
                "EM",
                "H3",
                "P",
                "PRE",
                "SPAN",
                "STRONG",
                "TABLE",
                "TBODY",
                "TD",
                "TH",
                "THEAD",
                "TR",
            )
        }
        assert {link.partition(":")[0] for link in page.value(LINKS)} == {"http"}
        assert "(attacker.example)" in shown
        assert "(xn--bnk-6cd.attacker.example)" in shown
        assert [character for character in "\u202e\u202c\u200b\x1b\U000e0041" if character in shown] == []
        assert [request for request in seen.requests if not request.startswith(visit.url)] == []
        assert (seen.dialogs, seen.errors, seen.violations, seen.console) == ([], [], [], [])


@pytest.mark.fault("active-content")
def test_hostile_documents_and_names_are_shown_as_text(visiting: Visiting) -> None:
    with visiting(answer("The pirate says so [1] [2].")) as visit:
        visit.ask_and_wait("What is it that the pirate says, and what is the pirate's name?")
        page = visit.page
        seen = page.seen()
        names = page.texts(".source .document")

        assert "docs/<img src=x onerror=alert(1)>.md" in names
        assert "docs/pirategnp.md" in names
        excerpt_text = f"![x](http://{ATTACKER}/?leak), <img src=x onerror=alert(2)> and x"
        assert any(excerpt_text in excerpt.replace("`", "") for excerpt in page.texts(".source .excerpt"))
        assert page.value("document.querySelectorAll('#conversation :is(img, script, svg, iframe, b)').length") == 0
        assert [request for request in seen.requests if not request.startswith(visit.url)] == []
        assert (seen.dialogs, seen.errors, seen.violations, seen.console) == ([], [], [], [])


def test_a_hostile_question_is_shown_as_text(visiting: Visiting) -> None:
    question = "<img src=x onerror=alert(1)> the pirate"
    with visiting(answer("Yes.")) as visit:
        visit.ask_and_wait(question)

        assert visit.page.text(".asked") == question
        assert visit.page.seen().dialogs == []


@pytest.mark.fault("active-content")
def test_the_content_security_policy_blocks_html_and_scripts(visiting: Visiting) -> None:
    with visiting(answer("Yes.")) as visit:
        blocked = visit.page.value(
            """(() => {
              const blocked = [];
              for (const attempt of [
                () => { document.body.innerHTML = "<b>x</b>"; },
                () => { document.createElement("script").text = "1"; },
              ]) {
                try { attempt(); blocked.push(false); } catch { blocked.push(true); }
              }
              return blocked;
            })()"""
        )

        assert blocked == [True, True]
