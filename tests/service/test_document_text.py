"""The text of a document is restored from its chunks, with the file's line numbers."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.model import Chunk, Document
from streamrag_cli.service.document_text import chunk_at_line, lines_of, selected
from tests.documents.test_chunking import documents


def part(text: str, *, at: int, line: int | None = None, end: int | None = None) -> Chunk:
    """A chunk at offset `at`, on the lines `line` to `end` of the file. Without `end`, no lines are missing."""
    last = None if line is None else end or line + text.count("\n")
    return Chunk(
        id=f"{at:032x}", ordinal=at, text=text, headings=(), page=None,
        line_start=line, line_end=last, char_start=at, char_end=at + len(text),
    )  # fmt: skip


def numbered(*chunks: Chunk) -> list[tuple[int | None, int | None, str]]:
    return [(line.first, line.last, line.text) for line in lines_of(chunks)]


@given(documents(), st.integers(min_value=1, max_value=200))
def test_the_text_is_complete_and_every_line_has_its_number(document: Document, target_chars: int) -> None:
    lines = lines_of(list(chunk(document, target_chars=target_chars)))

    assert "".join("".join(line.text for line in lines).split()) == "".join(document.text.split())
    if document.line_numbers is not None:
        of_file = document.text.split("\n")
        assert [of_file[(line.first or 0) - 1].split() for line in lines] == [line.text.split() for line in lines]
        assert [line.first for line in lines] == [line.last for line in lines]
        assert [line.first for line in lines] == sorted({line.first or 0 for line in lines})


def test_lines_decoded_from_one_line_of_the_file_stay_separate() -> None:
    first = part("# Offer\n\nSee below.", at=0, line=7, end=7)
    second = part("## plan.md", at=21, line=7, end=7)
    third = part("Forge.\nAnvil.", at=32, line=7, end=7)

    assert [line.text for line in lines_of([first, second, third])] == [
        "# Offer", "", "See below.", "", "## plan.md", "Forge.", "Anvil."
    ]  # fmt: skip


def test_text_of_overlapping_chunks_is_not_repeated() -> None:
    text = "one two\nthree four\nfive six\nseven"
    first = part(text[:18], at=0, line=1)
    overlapping = part(text[8:27], at=8, line=2)
    inside = part(text[12:18], at=12, line=2)
    last = part(text[22:], at=22, line=3)

    expected = [(1, 1, "one two"), (2, 2, "three four"), (3, 3, "five six"), (4, 4, "seven")]
    assert numbered(first, overlapping, inside, last) == expected


def test_empty_lines_between_chunks_are_restored() -> None:
    assert numbered(part("a", at=0, line=1), part("b", at=4, line=4)) == [
        (1, 1, "a"),
        (2, 2, ""),
        (3, 3, ""),
        (4, 4, "b"),
    ]
    assert numbered(part("a", at=0, line=1), part("b", at=2, line=1)) == [(1, 1, "a b")]
    assert numbered(part("a", at=0, line=1), part("b", at=2, line=90)) == [(1, 1, "a"), (90, 90, "b")]


def test_a_format_without_line_numbers_keeps_its_paragraphs() -> None:
    assert numbered(part("a\nb", at=0), part("c", at=4), part("d", at=7)) == [
        (None, None, "a"),
        (None, None, "b"),
        (None, None, "c"),
        (None, None, ""),
        (None, None, "d"),
    ]


def test_a_range_includes_every_line_that_may_belong_to_it() -> None:
    with_comment = part("x = 1\ny = 2\nz = 3", at=0, line=10, end=13)
    lines = lines_of([with_comment])

    assert [line.text for line in selected(lines, 11, 11)] == ["y = 2"]
    assert [line.text for line in selected(lines, 12, 12)] == ["y = 2", "z = 3"]
    assert [line.text for line in selected(lines, 14, 20)] == []


def test_the_chunk_at_a_line_contains_or_follows_that_line() -> None:
    one, two = part("a\nb", at=0, line=2), part("c", at=8, line=6)

    assert [chunk_at_line([one, two], line) for line in (1, 3, 4, 6, 7)] == [one, one, two, two, two]


def test_a_document_without_chunks_has_no_lines() -> None:
    assert lines_of([]) == []
    assert lines_of([replace(part("a", at=0), char_end=0)]) == []


def test_the_lines_around_tables_have_exact_numbers() -> None:
    text = "# Winch\n\nIt turns.\n\n- part: drum\n- part: pawl\n\nOil it.\n\n- month: May\n\nEnd."

    assert [number for number, _, _ in numbered(part(text, at=0, line=1, end=16))] == [
        1, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15, 16,
    ]  # fmt: skip
