"""The final screen and scrollback equal what Rich prints for the whole text, cell by cell."""

import random

import pytest

from streamrag_cli.render.markdown.parsing import Html
from tests.support.markdown_documents import HOW_TO_GET_IT, installed_documents, specification_examples
from tests.support.rendering_exceptions import NUMBERS, UNKNOWN, exception
from tests.support.terminal_emulator import difference, rendered_whole, streamed

HEIGHTS = (8, 15, 24, 40)
WIDTHS = (40, 80, 100)
EXAMPLES = specification_examples()
HTML: tuple[Html, ...] = ("dropped", "shown")
SAMPLED_DOCUMENTS = 24
SAMPLED_CHARS = 6_000


@pytest.mark.skipif(not EXAMPLES, reason=HOW_TO_GET_IT)
def test_the_specification_has_652_examples() -> None:
    assert len(EXAMPLES) == 652


@pytest.mark.parametrize("html", HTML)
@pytest.mark.parametrize("part", range(4))
@pytest.mark.skipif(not EXAMPLES, reason=HOW_TO_GET_IT)
def test_commonmark_examples_look_as_if_printed_by_rich(part: int, html: Html) -> None:
    chance = random.Random(part)
    different = []
    for number, example in list(enumerate(EXAMPLES, 1))[part :: 4 if html == "dropped" else 12]:
        columns, lines = chance.choice(WIDTHS), chance.choice(HEIGHTS)
        shown = streamed(example, columns=columns, lines=lines, seed=number, pieces=12, html=html)
        if difference(shown, rendered_whole(example, columns=columns, lines=lines, html=html)):
            different.append((number, columns, lines))

    assert different == []


@pytest.mark.parametrize("html", HTML)
@pytest.mark.parametrize("part", range(4))
def test_real_documents_look_as_if_printed_by_rich_except_in_known_cases(part: int, html: Html) -> None:
    chance = random.Random(f"documents {part}")
    documents = installed_documents()
    different = []
    for name in chance.sample(sorted(documents), SAMPLED_DOCUMENTS // 8):
        text, columns, lines = documents[name][:SAMPLED_CHARS], chance.choice(WIDTHS), chance.choice(HEIGHTS)
        if exception(text, columns=columns, lines=lines, seed=part, html=html) == UNKNOWN:
            different.append((name, columns, lines))

    assert different == []


CORNERS = {
    "nothing": "",
    "only blank lines": "\n \n\n",
    "an unclosed fence": "text\n\n```python\ndef f():\n\n",
    "an empty fence": "```\n```\nafter\n",
    "a fence of blank lines": "```\n\n\n```\n\nafter",
    "a fence after blank lines": "a\n\n\n\n```sh\nls\n```\n\n\nb",
    "an indented fence with tabs": "  ```\n\tone\n   two\n  ```\nthree",
    "a longer fence around a fence": "````md\n```\nx\n```\n````\n",
    "a fence in a list in a quote": "> - a\n>   ```\n>   code\n>   ```\n> - b\n\nend\n",
    "a heading by underline": "One\nTwo\n===\nThree\n---\n",
    "a table after a paragraph": "a\nb | c\n--|--\n1 | 2\n\nd\n",
    "a table with a missing cell": "| a | b |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |\n",
    "a list that changes its bullet": "- a\n- b\n* c\n* d\n",
    "a list with paragraphs": "- a\n\n  more\n\n- b\n\n  - c\n\n    d\n\nend\n",
    "numbers that grow": "8. a\n9. b\n10. c\n\ntext\n\n98. x\n1. y\n1. z\n",
    "a hundred numbers": "".join(f"{n}. item {n}\n" for n in range(1, 130)),
    "a quote that ends in a rule": "a\n\n> b\n> ***\n\nc\n",
    "a quote with lazy continuation": "> a\nb\n> c\n>\n> d\ne\n",
    "rules and headings": "***\n# a\n***\n***\n## b\nc\n",
    "indented code with gaps": "    a\n\n\n    b\n\nc\n",
    "a definition after its use": "see [the book][1] and [2]\n\n[1]: https://a.example\n[2]: <b c> 'title'\n",
    "a definition before its use": "[1]: https://a.example\n\nsee [the book][1]\n",
    "html": "<div>\n\n*a*\n\n</div>\nline<br>break <b>bold</b> </kbd> <!-- note -->\n",
    "images": "- a ![one](x.png) b\n- c\n\n![two](y/z.png) and ![](w.png)\n",
    "links": "<https://a.example> [words](https://b.example) <me@c.example> [![img](i.png)](https://d.example)\n",
    "markup of Rich": "[bold]not[/bold] [/b] [link=x]y[/link] :smile:\n\n- [red]a\n\n| [b] |\n|---|\n| [/b] |\n",
    "wide and joined letters": "漢字 👨\u200d👩\u200d👧 ❤\ufe0f é e\u0301 עברית ",
    "tabs": "a\tb\n\n-\tc\n\n\t- d\n\n| e\tf |\n|---|\n| g\th |\n",
    "entities of control characters": "&#27;[31m &#x202e;abc&#x2028;d `&#27;`\n",
    "carriage returns": "a\r\nb\r\n\r\n```\r\nc\r\n```\r\n",
}


@pytest.mark.parametrize(
    ("name", "html"), [(name, html) for name, text in CORNERS.items() for html in (HTML if "<" in text else HTML[:1])]
)
def test_corner_cases_look_as_if_printed_by_rich(name: str, html: Html) -> None:
    text = CORNERS[name]
    known = {NUMBERS} if name == "a hundred numbers" else {""}
    for seed in range(3):
        pieces = (1, 20, len(text) + 1)[seed]
        assert exception(text, columns=40, lines=24, seed=seed, pieces=pieces, html=html) in known
        assert exception(text, columns=40, lines=3, seed=seed, pieces=pieces, html=html) != UNKNOWN


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("paragraph", "many **words** of `text` and [more] " * 120),
        ("lines", "many **words** of\n`text` and [more]\n" * 80),
        ("table", "| a | b |\n|---|--:|\n" + "".join(f"| row {n} | {'word ' * (n % 9)} |\n" for n in range(80))),
        ("list", "".join(f"- item {n} {'word ' * (n % 30)}\n" for n in range(80))),
        ("item", "- one\n" + "".join(f"  - nested **{n}** {'word ' * (n % 12)}\n" for n in range(80))),
        ("quote", "".join(f"> line {n} {'word ' * (n % 9)}\n" for n in range(80))),
        ("fence", "```python\n" + "".join(f"x_{n} = '''{n}\n" for n in range(80))),
        ("code", "".join(f"    line {n}\n" for n in range(80))),
    ],
)  # fmt: skip
def test_blocks_taller_than_the_screen_look_as_if_printed_by_rich(name: str, text: str) -> None:
    shown = streamed(text, columns=50, lines=12, seed=1, pieces=300)

    assert difference(shown, rendered_whole(text, columns=50, lines=12)) == ""
