"""Citations `[n]`: a link if the source has an address, a question mark if there is no such source."""

import io
import re

import pytest

from streamrag_cli.render.markdown import MarkdownStream
from tests.support.terminal_emulator import rendered_whole, streamed

BOOK, NOTE = "file:///library/book.md#12", "file:///library/note.md"
REFERENCES = {1: BOOK, 2: NOTE, 3: ""}


def linked(text: str, *, pieces: int = 1) -> list[tuple[str, str]]:
    """The addresses in the committed output of `text`, with their link texts."""
    out = io.StringIO()
    stream = MarkdownStream(out, columns=80, lines=24, references=REFERENCES)
    for at in range(0, len(text), pieces):
        stream.feed(text[at : at + pieces], at * 0.06)
    out.truncate(0)
    stream.resize(79, 24, 1e6)
    stream.finish()
    links = re.findall(r"\x1b\]8;;([^\x1b]+)\x1b\\(.*?)\x1b\]8;;\x1b\\", out.getvalue())
    return [(address, re.sub(r"\x1b\[[0-9;]*m", "", words)) for address, words in links]


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("So it is [1].", [(BOOK, "[1]")]),
        ("So it is [1][2].", [(BOOK, "[1]"), (NOTE, "[2]")]),
        ("So it is [1, 2].", [(BOOK, "[1"), (NOTE, "2]")]),
        ("- **So [2]** it is", [(NOTE, "[2]")]),
        ("| a [1] |\n|---|\n| [2] |", [(BOOK, "[1]"), (NOTE, "[2]")]),
        ("no file [3], no source [4]", []),
        ("`[1]` x[1] \\[1] [1](http://a) [1]: b\n\n    [1]\n\n```\n[1]\n```", []),
    ],
)
def test_citation_markers_are_links_except_in_code(text: str, links: list[tuple[str, str]]) -> None:
    assert linked(text) == links


def test_a_citation_marker_without_a_source_has_a_question_mark() -> None:
    shown = streamed("As [1], [3] and [4] say", columns=40, lines=5, seed=1, references=REFERENCES)

    assert shown.text == ["As [1], [3] and [4?] say"]


@pytest.mark.parametrize("seed", range(4))
def test_a_row_never_begins_with_a_citation(seed: int) -> None:
    text = (
        "The fee is 18 euros [1]. " * 3
        + "It is paid\n[1] by **card** [2][1].\n\n- So it is [1, 2].\n\n> And it is so [4].\n"
    )
    for columns in range(16, 40):
        shown = streamed(text, columns=columns, lines=24, seed=seed, references=REFERENCES, html="shown")
        expected = rendered_whole(text, columns=columns, references=REFERENCES, html="shown")

        assert [row for row in shown.text if row.strip(" ▌•").startswith("[")] == []
        assert shown.cells == expected.cells


def test_a_row_of_many_citations_is_broken_between_them() -> None:
    references = dict.fromkeys(range(1, 10), BOOK)
    text = "The fee is due on Monday " + " ".join(f"[{number}]" for number in references) + "."

    shown = streamed(text, columns=24, lines=5, seed=1, references=references)

    assert shown.text == ["The fee is due on", "Monday [1] [2] [3] [4]", "[5] [6] [7] [8] [9]."]


def test_citation_markers_are_plain_text_if_there_are_no_references() -> None:
    assert streamed("As [1] says", columns=40, lines=5, seed=1).text == ["As [1] says"]


@pytest.mark.parametrize("seed", range(8))
def test_streamed_citations_look_the_same_as_in_a_single_render(seed: int) -> None:
    text = "Both [1] and [12] say [2, 4].\n\n- one [3]\n- two [1][2]\n\n| a [1] |\n|---|\n| `[1]` |\n\n> [1]\n"

    shown = streamed(text, columns=40, lines=8, seed=seed, references=REFERENCES, html="shown")
    expected = rendered_whole(text, columns=40, lines=8, references=REFERENCES, html="shown")
    assert shown.cells == expected.cells
