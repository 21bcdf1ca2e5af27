from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.model import Document, Section
from tests.support.loading import loaded

PIECES = st.sampled_from(
    ["word ", "word", "\n", "\n\n", " ", "\t", "End. ", "Next? ", "```\n", "\n```\n", "~~~\n", "- item\n", "    code\n",
     "# Heading\n", "。", "\u2028", "\x1c", "\x85", "é", "🧀", "x" * 50, "," * 9, "\n \n", "a,b;c)"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map("".join)
PATHS = st.lists(st.sampled_from("AB"), max_size=3).map(tuple)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(TEXTS)
    inner = st.integers(min_value=1, max_value=max(1, len(text) - 1))
    cuts = sorted({0, len(text), *(cut for cut in draw(st.lists(inner, max_size=6)) if cut < len(text))})
    sections = tuple(
        Section(start=start, end=end, headings=draw(PATHS), page=draw(st.sampled_from([None, None, 1, 2])))
        for start, end in pairwise(cuts)
    )
    lines = draw(st.sampled_from([None, range(1, text.count("\n") + 2)]))
    return Document(path="/a", text=text, title=draw(st.sampled_from(["", "T"])), sections=sections, line_numbers=lines)


@given(documents(), st.integers(min_value=1, max_value=200))
def test_chunks_are_ordered_spans_that_cover_all_text(document: Document, target_chars: int) -> None:
    chunks = list(chunk(document, target_chars=target_chars))

    covered = bytearray(len(document.text))
    for each in chunks:
        assert each.text == document.text[each.char_start : each.char_end]
        assert each.text.strip()
        assert each.text.split("\n")[0].strip()
        assert each.text == each.text.rstrip()
        assert len(each.text) <= int(target_chars * 1.15) + 120
        covered[each.char_start : each.char_end] = b"\1" * len(each.text)
    assert all(covered[at] or character.isspace() for at, character in enumerate(document.text))
    assert [each.ordinal for each in chunks] == list(range(len(chunks)))
    assert all(one.char_start < two.char_start and one.char_end < two.char_end for one, two in pairwise(chunks))
    assert all(one.char_end <= two.char_start for one, two in pairwise(chunks))
    assert len({each.id for each in chunks}) == len(chunks)


@given(documents(), st.integers(min_value=1, max_value=200))
def test_headings_page_and_lines_apply_to_the_whole_chunk(document: Document, target_chars: int) -> None:
    for each in chunk(document, target_chars=target_chars):
        within = [
            section
            for section in document.sections
            if section.start < each.char_end
            and section.end > each.char_start
            and document.text[max(section.start, each.char_start) : min(section.end, each.char_end)].strip()
        ]
        path = each.headings[1:] if document.title else each.headings
        assert {section.page for section in within} == {each.page}
        assert all(path[: len(section.headings)] == section.headings[: len(path)] for section in within)
        if document.line_numbers is None:
            assert (each.line_start, each.line_end) == (None, None)
        else:
            assert each.line_start == document.text.count("\n", 0, each.char_start) + 1
            assert each.line_end == document.text.count("\n", 0, each.char_end) + 1


@given(documents())
def test_chunking_is_deterministic(document: Document) -> None:
    assert list(chunk(document)) == list(chunk(document))


def test_a_chunk_has_its_heading_path_and_position() -> None:
    document = loaded("a.md", "---\ntitle: T\n---\n# A\n\n" + "x " * 200 + "\n\n## B\n\n" + "y " * 200 + "\n")

    one, two = chunk(document)

    assert one.text.startswith("# A\n\nx x")
    assert (one.headings, one.line_start, one.line_end, one.page) == (("T", "A"), 4, 6, None)
    assert (two.headings, two.line_start, two.line_end) == (("T", "A", "B"), 8, 10)
    assert two.text_to_embed.startswith("T > A > B\n## B\n\ny y")


def test_a_title_equal_to_the_first_heading_is_not_repeated() -> None:
    assert [each.headings for each in chunk(loaded("a.md", "# A\n\nText.\n"))] == [("A",)]


def test_a_chunk_id_depends_on_path_headings_page_text_and_earlier_duplicates() -> None:
    def ids(
        *, path: str = "/a", text: str = "same\n\nsame", headings: Sequence[str] = (), page: int | None = 1
    ) -> list[str]:
        half = text.index("\n\n") + 2
        sections = (
            Section(start=0, end=half, headings=tuple(headings), page=page),
            Section(start=half, end=len(text), headings=tuple(headings), page=page),
        )
        document = Document(path=path, text=text, title="", sections=sections, line_numbers=None)
        return [each.id for each in chunk(document, target_chars=4)]

    variants = [
        ids(),
        ids(path="/b"),
        ids(headings=("h",)),
        ids(headings=("h", "i")),
        ids(headings=("h > i",)),
        ids(page=2),
    ]

    assert len({each for variant in variants for each in variant}) == 12
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids())
    assert ids(text="same\n\nsame\n\nsame")[:2] == ids()


def test_whole_paragraphs_are_merged_up_to_the_target_length() -> None:
    paragraphs = [f"{number} " + "x" * 300 for number in range(7)]

    assert texts("a.txt", "\n\n".join(paragraphs)) == [
        "\n\n".join(paragraphs[:3]),
        "\n\n".join(paragraphs[3:6]),
        paragraphs[6],
    ]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentences = [f"Sentence number {number:03} says e.g. this much." for number in range(60)]

    chunks = texts("a.txt", " ".join(sentences))

    assert " ".join(chunks) == " ".join(sentences)
    assert all(each.endswith("much.") and 900 < len(each) <= 1150 for each in chunks[:-1])


def test_a_long_list_is_cut_between_items_and_code_between_lines() -> None:
    items = "".join(f"- item {number} which goes on for a while\n  and on a second line\n" for number in range(60))
    code = "".join(f"    call(argument_{number})\n" for number in range(100))

    assert all(each.startswith("- item") for each in texts("a.md", items))
    assert all(each.startswith("    call(") for each in texts("a.js", code))


def test_fenced_code_stays_whole_if_it_fits() -> None:
    code = "```py\n" + "a = 1\n\n" * 100 + "```"
    before = "Before. " * 60

    assert texts("a.md", f"{before}\n\n{code}\n\nAfter.\n") == [before.strip(), code + "\n\nAfter."]


def test_long_fenced_code_is_cut_at_block_boundaries() -> None:
    function = "def f():\n" + "    pass\n" * 50
    chunks = texts("a.md", "```py\n" + f"{function}\n" * 5 + "```\n")

    assert all(each.startswith(("```py\ndef f", "def f")) for each in chunks)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["x", "x ", "x\n", "x\n\n", "```\n", ". ", " ", "\n", "a,"])
def test_five_megabytes_are_chunked_within_the_time_limit(unit: str) -> None:
    text = unit * (5_000_000 // len(unit))

    lengths = [len(each) for each in texts("a.txt", text)]

    assert max(lengths, default=0) <= 1150
    assert len(lengths) < 25_000


def test_small_adjacent_sections_are_merged_under_their_shared_headings() -> None:
    small = "# Doc\n\nIntro.\n\n" + "".join(f"## S{number}\n\nA few words.\n\n" for number in range(3))
    large = "## Large\n\n" + "word " * 150 + "\n\n## Last\n\nA few words.\n"

    assert [(each.headings, each.text[:8], each.text[-12:]) for each in chunk(loaded("a.md", small + large))] == [
        (("Doc",), "# Doc\n\nI", "A few words."),
        (("Doc", "Large"), "## Large", "rd word word"),
        (("Doc", "Last"), "## Last\n", "A few words."),
    ]


def test_a_heading_without_text_is_merged_into_its_subsection() -> None:
    text = "# Doc\n\n## API\n\n### Errors\n\n" + "word " * 300

    first, *_ = chunk(loaded("a.md", text))

    assert first.headings == ("Doc", "API", "Errors")
    assert first.text.startswith("# Doc\n\n## API\n\n### Errors\n\nword")


def test_chunks_never_cross_a_page_boundary() -> None:
    sections = (Section(start=0, end=3, page=1), Section(start=3, end=6, page=2))
    document = Document(path="/a", text="x\n\ny\n\n", title="", sections=sections, line_numbers=None)

    assert [(each.text, each.page) for each in chunk(document)] == [("x", 1), ("y", 2)]


def test_a_section_that_is_marked_as_whole_is_exactly_one_chunk() -> None:
    sections = (
        Section(start=0, end=4, is_whole=True),
        Section(start=4, end=7),
        Section(start=7, end=3000, is_whole=True),
    )
    document = Document(path="/a", text="a. \nb. " + "c. " * 997 + "c.", title="", sections=sections, line_numbers=None)

    assert [len(each.text) for each in chunk(document)] == [2, 2, 2993]


def texts(name: str, text: str) -> list[str]:
    return [each.text for each in chunk(loaded(name, text))]
