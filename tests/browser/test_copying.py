"""Copying answers and code blocks with the real clipboard."""

import json

import pytest

from streamrag_cli.model import Source
from streamrag_cli.render.plain import footnote
from streamrag_cli.settings import ServerSettings
from tests.browser.test_modules import node
from tests.support.openai_replies import Cut, answer, stream, token
from tests.support.visit import Visit, Visiting

CODE = "```sh\nmoor --berth 7 \\\n  --nights 2\n```\n"
NAMED = ServerSettings(rate_limit="1000000/minute", grace_s=3.0, allow_host=("harbour.test",))


def pasted(visit: Visit) -> str:
    """The text in the clipboard."""
    visit.page.call("fill", "#question", "")
    visit.page.call("focus", "#question")
    visit.page.press("Control+V")
    return str(visit.page.value("question.value"))


@pytest.mark.parametrize("is_secure", [True, False], ids=["this machine", "plain HTTP"])
def test_the_answer_is_copied_as_markdown_with_the_cited_sources(is_secure: bool, visiting: Visiting) -> None:
    with visiting(
        answer("A berth is let for **24 hours** [1], ", "not [9].\n\n", CODE), server_settings=NAMED
    ) as visit:
        if not is_secure:
            visit.page.goto(visit.url.replace("127.0.0.1", "harbour.test"))
        assert visit.page.value("isSecureContext") is is_secure
        visit.ask_and_wait("What is the fee for a berth?")
        visit.page.call("focus", ".copy-answer")
        visit.page.press("Enter")
        visit.page.wait_until("document.getElementById('announcement').textContent === 'Copied.'")

        assert (visit.page.text(".copy-answer"), visit.page.focused()) == (
            "Copied",
            '<button type="button" class="copy-answer plain" title="As Markdown, with the cited sources"',
        )
        assert pasted(visit) == (
            "A berth is let for **24 hours** [1], not [9].\n\n"
            "```sh\nmoor --berth 7 \\\n  --nights 2\n```\n\n"
            "Sources:\n\n- [1] `docs/harbour.md:5` Harbour rules\n"
        )
        visit.page.wait_until("document.querySelector('.copy-answer').textContent === 'Copy answer'")


def test_a_code_block_is_copied_without_its_last_line_break(visiting: Visiting) -> None:
    with visiting(answer("First:\n\n", *CODE, "\nThen:\n\n    tie --knot bowline\n")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        page = visit.page
        copied = {}
        for number, block in enumerate(("moor", "tie")):
            page.value(f"document.querySelectorAll('.code .copy')[{number}].click()")
            page.wait_until(f"document.querySelectorAll('.code .copy')[{number}].textContent === 'Copied'")
            copied[block] = pasted(visit)

        assert copied == {"moor": "moor --berth 7 \\\n  --nights 2", "tie": "tie --knot bowline"}
        assert page.texts(".code .language") == ["sh", ""]
        assert page.value("document.querySelector('.code .copy').getAttribute('aria-label')") == "Copy the code"


def test_a_partial_answer_can_be_copied(visiting: Visiting) -> None:
    with visiting(stream(token("Half, and\n\n```\ncode"), Cut(reset=True))) as visit:
        visit.ask_and_wait("What is the fee for a berth?", status="cut off")
        visit.page.call("click", ".copy-answer")
        visit.page.wait_until("document.querySelector('.copy-answer').textContent === 'Copied'")

        assert pasted(visit) == "Half, and\n\n```\ncode\n"
        assert len(visit.page.texts(".code .copy")) == 1


def test_an_error_is_reported_if_the_browser_refuses_to_copy(visiting: Visiting) -> None:
    with visiting(answer("Yes.")) as visit:
        visit.ask_and_wait("What is the fee for a berth?")
        visit.page.value("Object.defineProperty(navigator, 'clipboard', {}), (document.execCommand = () => false), 0")
        visit.page.call("click", ".copy-answer")
        visit.page.wait_until("document.getElementById('announcement').textContent !== ''")

        assert visit.page.text(".copy-answer") == "Not copied"
        assert "Select the text" in visit.page.texts("#announcement")[0]


PLACES = [("a.md", None, 7), ("a`b`.md", None, None), ("`edge`", 3, None), ("``two``.pdf", 12, None)]
TITLES = ["", "Use > `x` *now* _and_ [then]", "a < b & c ~ d | e # f \\ g"]


def test_a_copied_source_has_the_format_of_the_command_line() -> None:
    sources = [
        Source(
            n=n, source=name, page=page, line_start=line, line_end=line, title=title, content="", score=1, chunk_id=""
        )
        for n, (name, page, line) in enumerate(PLACES, start=1)
        for title in TITLES
    ]
    fields = [
        {"n": each.n, "source": each.source, "page": each.page, "line_start": each.line_start, "title": each.title}
        for each in sources
    ]
    script = f"""
        import {{ asMarkdown }} from "../../streamrag_cli/server/static/page/footnotes.js";
        console.log(JSON.stringify({json.dumps(fields)}.map(asMarkdown)));"""

    assert json.loads(node("--input-type=module", "--eval", script)) == [footnote(each) for each in sources]
