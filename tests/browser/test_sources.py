"""Sources on the web page: excerpts, footnotes, marks on citations, and whole passages."""

import json

import pytest

from tests.browser.test_modules import node
from tests.support.collection import DOCUMENTS
from tests.support.openai_replies import answer
from tests.support.visit import Visiting

BERTH = "What is the fee for a berth?"


def test_the_words_of_the_question_are_bold_in_excerpts(visiting: Visiting) -> None:
    with visiting(answer("18 euros [1].")) as visit:
        visit.ask_and_wait("Which fees has a berth?")

        assert visit.page.value("document.querySelector('.source .excerpt').innerHTML") == (
            "A <mark>berth</mark> is let for 24 hours. The <mark>fee</mark> is 18 euros a night, electricity included. "
            "The fuel dock opens at seven. Filling jerry cans on a pontoon is..."
        )
        assert visit.page.value("getComputedStyle(document.querySelector('.excerpt mark')).fontWeight") == "650"


def test_positions_of_matches_are_counted_in_characters(visiting: Visiting) -> None:
    with visiting(answer("Yes.")) as visit:
        source = {"n": 1, "source": "a", "page": None, "line_start": None, "line_end": None, "title": "", "score": 0.5}
        source |= {"content": "\U0001f30a\U0001f30a high tide", "chunk_id": "x", "matches": [[8, 12]]}
        marked = visit.page.value(
            f"""(async () => {{
              const {{ showSources }} = await import("/static/page/source-list.js");
              const list = document.createElement("ol");
              showSources(list, [{json.dumps(source)}], {{ prefix: "x", collection: "" }});
              return list.querySelector(".excerpt mark").textContent;
            }})()"""
        )

        assert marked == "tide"


def test_footnotes_list_the_cited_sources_and_lead_to_them(visiting: Visiting) -> None:
    with visiting(answer("Here [3], [1] and [3], but not [8].")) as visit:
        visit.ask_and_wait(BERTH)
        page = visit.page
        names = page.texts(".source .document")
        footnotes = page.texts(".footnote")

        assert [each.split()[:2] for each in footnotes] == [["[1]", names[0].split()[0]], ["[3]", names[2].split()[0]]]
        assert "lines 5–9" in footnotes[0]
        page.call("click", ".footnote:last-child a")
        assert (page.focused(), page.texts(".source.reached .number")) == ("turn-1-source-3", ["3"])
        page.call("click", ".source.reached .back")
        assert page.value("document.activeElement.matches('.footnote:last-child a')")
        page.call("reload")
        assert page.texts(".footnote") == footnotes


def test_an_answer_without_citations_has_no_footnotes(visiting: Visiting) -> None:
    with visiting(answer("It is closed.")) as visit:
        visit.ask_and_wait(BERTH)

        assert visit.page.value("document.querySelector('.footnotes').hidden")


UNSUPPORTED = """(async () => {
  const { Turn } = await import("/static/page/turn.js");
  const turn = new Turn("q", "");
  const source = { page: null, line_start: 1, line_end: 1, title: "", content: "x", score: 0.5, chunk_id: "x" };
  turn.show({ type: "sources", sources: [1, 2].map((n) => ({ ...source, n, source: `${n}.md` })) });
  turn.show({ type: "token", token: "Eight [1] of nine [2], or [1]." });
  turn.show({ type: "citations", citations: [{ n: 1 }, { n: 2 }], unknown: [], unsupported: [1] });
  turn.end("done");
  document.getElementById("conversation").append(turn.element);
  return 0;
})()"""


def test_an_unsupported_citation_is_marked(visiting: Visiting) -> None:
    with visiting(answer("Yes.")) as visit:
        page = visit.page
        page.value(UNSUPPORTED)

        assert page.text(".answer") == "Eight\u00a0[1?] of nine\u00a0[2], or\u00a0[1?]."
        assert page.texts(".citation.unsupported") == ["[1?]", "[1?]"]
        assert page.value("document.querySelector('.citation').getAttribute('aria-label')") == (
            "Source 1, 1.md, the passage may not support the sentence"
        )
        assert page.texts(".source.unsupported .number") == ["1?"]
        assert page.texts(".afterword li") == ["Source [1] may not support a sentence that cites it. Check it."]
        page.call("click", ".citation.unsupported")
        assert len(page.texts(".source.reached")) == 1


def test_a_whole_passage_opens_below_its_source_with_the_excerpt_marked(visiting: Visiting) -> None:
    with visiting([answer("18 euros [1]."), answer("Yes.")]) as visit:
        visit.ask_and_wait(BERTH)
        page = visit.page
        page.call("focus", ".source .open")
        page.press("Enter")
        page.wait_until("document.querySelector('.passage .text')")

        assert page.value("document.querySelector('.passage .text').textContent") in DOCUMENTS["harbour.md"]
        assert page.texts(".passage mark") == [
            "A berth is let for 24 hours. The fee is 18 euros a night, electricity included."
        ]
        assert page.value("document.querySelector('.source .open').ariaExpanded") == "true"
        assert page.value("document.querySelector('.source .excerpt').checkVisibility()") is False
        page.press("Enter")
        assert page.value("document.querySelector('.passage').hidden")
        page.press("Enter")
        assert len([url for url in page.seen().requests if "/passage?" in url]) == 1

        page.call("reload")
        page.call("click", ".source .open")
        page.wait_until("document.querySelector('.passage .text')")


@pytest.mark.fault("passage-gone")
def test_a_passage_that_no_longer_exists_is_reported(visiting: Visiting) -> None:
    with visiting(answer("18 euros [1].")) as visit:
        page = visit.page
        visit.ask_and_wait(BERTH)
        page.value("document.querySelector('.source .open').click(), 0")
        page.wait_until("document.querySelector('.passage .text')")
        key = "streamrag conversation 1 /"
        page.value(
            f"sessionStorage.setItem({key!r}, sessionStorage.getItem({key!r})"
            '.replaceAll(/"chunk_id":"[^"]*"/g, \'"chunk_id":"gone"\'))'
        )
        page.value("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        page.call("click", ".source .open")
        page.wait_until("document.querySelector('.passage .failure')")

        message = "The document has changed, and this passage no longer exists. Ask again to get the current passage."
        assert page.text(".passage .failure") == message
        page.wait_until(f"document.getElementById('announcement').textContent === {message!r}")


@pytest.mark.fault("active-content")
def test_a_hostile_passage_is_shown_as_text(visiting: Visiting) -> None:
    with visiting(answer("The pirate sings [1].")) as visit:
        visit.ask_and_wait("What is it that the pirate says, and what is the pirate's name?")
        page = visit.page
        page.value("document.querySelectorAll('.open').forEach((each) => each.click())")
        page.wait_until(
            "document.querySelectorAll('.passage .text').length === document.querySelectorAll('.open').length"
        )
        seen = page.seen()

        assert any("<img src=x onerror=alert(2)>" in text for text in page.texts(".passage .text"))
        assert page.value("document.querySelectorAll('#conversation :is(img, script, svg, iframe, b)').length") == 0
        assert [request for request in seen.requests if not request.startswith(visit.url)] == []
        assert (seen.dialogs, seen.errors, seen.violations, seen.console) == ([], [], [], [])


def test_the_excerpt_is_found_in_a_passage_with_markup() -> None:
    passages = {
        "in markup": ("# Fees\n\nThe **fee** is\n`18 euros`. More.", "The fee is 18 euros."),
        "cut": ("A short sentence that continues for long.", "A short sentence that..."),
        "partly": ("one two three four [five](http://x.example) six seven eight", "one two three four five six seven"),
        "not at all": ("something else", "one two three four five"),
        "within a word": ("unfair fair", "fair"),
        "empty": ("text", "..."),
        "other scripts": ("Ceci n'est pas\nune «fée».", "n'est pas une «fée»"),
    }
    script = f"""
        globalThis.document = {{ baseURI: "http://127.0.0.1/" }};
        const {{ findExcerpt }} = await import("../../streamrag_cli/server/static/page/passage.js");
        const found = Object.entries({json.dumps(passages)}).map(([name, [text, excerpt]]) => {{
          const span = findExcerpt(text, excerpt);
          return [name, span && text.slice(...span)];
        }});
        console.log(JSON.stringify(Object.fromEntries(found)));"""

    assert json.loads(node("--input-type=module", "--eval", script)) == {
        "in markup": "The **fee** is\n`18 euros",
        "cut": "A short sentence that",
        "partly": "one two three four [five",
        "not at all": None,
        "within a word": "fair",
        "empty": None,
        "other scripts": "n'est pas\nune «fée",
    }
