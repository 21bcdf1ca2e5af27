"""PDF text is put into reading order, on synthetic pages and on pages written by real programs."""

import random
import re
from itertools import chain, zip_longest
from pathlib import Path

import pytest

from tests.support.loading import loaded
from tests.support.pdf_bytes import placed_pdf

SAMPLES = Path(__file__).parent / "samples"
Texts = list[tuple[float, float, str]]

LEFT = [
    "The winch of the ferry is greased",
    "on the first day of each month by",
    "the mate, who signs the log and",
    "hands it to the master.",
]
MIDDLE = [
    "Passengers board at the aft gate",
    "ten minutes before the ferry is to",
    "leave. Bicycles go first, cars are",
    "last to board the ferry.",
]
RIGHT = [
    "A lamp that fails is replaced at",
    "once from the store in the bow,",
    "where eleven lamps are kept in a",
    "box with a red lid.",
]


def column(x: float, lines: list[str], *, top: float = 600, pitch: float = 12) -> Texts:
    return [(x, top - pitch * number, line) for number, line in enumerate(lines)]


def row_by_row(*columns: Texts) -> Texts:
    return [text for row in zip_longest(*columns) for text in row if text is not None]


def text_of(*pages: Texts, size: float = 10) -> str:
    return loaded("a.pdf", placed_pdf(pages, size=size)).text


@pytest.mark.fault("pdf-layout")
@pytest.mark.parametrize("shift", [0, 5], ids=["on the same lines", "on separate lines"])
def test_columns_drawn_row_by_row_are_read_one_after_the_other(shift: float) -> None:
    left, right = column(60, LEFT), column(310, RIGHT, top=600 - shift)

    assert text_of(row_by_row(left, right)) == "\n".join([*LEFT, *RIGHT]) + "\n\n"


def test_three_columns_are_read_one_after_the_other() -> None:
    columns = [column(x, lines) for x, lines in ((50, LEFT), (222, MIDDLE), (394, RIGHT))]

    assert text_of(row_by_row(*columns)) == "\n".join([*LEFT, *MIDDLE, *RIGHT]) + "\n\n"


def test_a_headline_across_all_columns_separates_the_columns_above_and_below() -> None:
    headline = "Rules for the crew and for all passengers of the ferry, as they were agreed upon in May"
    above = row_by_row(column(60, LEFT, top=700), column(310, MIDDLE, top=700))
    below = row_by_row(column(60, RIGHT, top=600), column(310, LEFT, top=600))

    assert text_of([*above, (60, 630, headline), *below]) == (
        "\n".join([*LEFT, *MIDDLE, headline, *RIGHT, *LEFT]) + "\n\n"
    )


def test_lines_drawn_in_random_order_are_put_into_reading_order() -> None:
    texts = row_by_row(column(60, LEFT), column(310, RIGHT))
    random.Random(3).shuffle(texts)

    assert text_of(texts) == "\n".join([*LEFT, *RIGHT]) + "\n\n"


def test_a_sidebar_is_read_separately_from_the_text() -> None:
    sidebar = ["Lost property is", "kept for a year", "at the terminal."]
    page = row_by_row(column(60, LEFT + MIDDLE), column(450, sidebar, top=580))

    assert text_of(page) == "\n".join([*LEFT, *MIDDLE, *sidebar]) + "\n\n"


def test_a_table_is_read_row_by_row() -> None:
    rows = [("Part", "Price", "Kept in"), ("cleat", "4.20", "bow"), ("rope, 20 m", "31.00", "stern locker")]
    rows.append(("lamp", "9.90", "bow"))
    columns = [column(x, [row[number] for row in rows], pitch=16) for number, x in enumerate((60, 200, 300))]

    assert text_of(row_by_row(*columns)) == "\n".join(" ".join(row) for row in rows) + "\n\n"
    assert text_of(list(chain.from_iterable(columns))) == "\n".join(" ".join(row) for row in rows) + "\n\n"


def test_a_wrapped_table_cell_stays_in_its_row() -> None:
    cells = [("Winch", LEFT), ("Boarding", MIDDLE), ("Lamps", RIGHT)]
    texts: Texts = []
    top = 700.0
    for name, lines in cells:
        texts += [(60, top, name), *column(160, lines, top=top)]
        top -= 12 * len(lines) + 8

    assert text_of(texts) == "\n".join(" ".join([name, *lines]) for name, lines in cells) + "\n\n"


def test_list_markers_before_a_gap_stay_with_their_items() -> None:
    items = [
        (float(x), 600.0 - 12 * number, text) for number, item in enumerate(LEFT) for x, text in ((60, "•"), (90, item))
    ]

    assert text_of(items) == "\n".join(f"• {item}" for item in LEFT) + "\n\n"


def test_rotated_pages_are_read_upright() -> None:
    texts = row_by_row(column(60, LEFT, top=400), column(400, RIGHT, top=400))

    assert loaded("a.pdf", placed_pdf([texts], turned=True)).text == "\n".join([*LEFT, *RIGHT]) + "\n\n"


@pytest.mark.fault("pdf-layout")
def test_running_headers_and_page_numbers_are_dropped() -> None:
    pages = []
    for number in range(5):
        is_left = number % 2 == 0
        head = (60.0, 760.0, "Ferry handbook") if is_left else (450.0, 760.0, "Chapter 2: Crew")
        foot = (60.0 if is_left else 540.0, 30.0, f"Page {number + 11} of 40")
        pages.append([head, *column(60, [f"Rule {number} says: {line}" for line in LEFT]), foot])

    text = text_of(*pages)

    assert re.findall("handbook|Chapter|Page", text) == []
    assert text.count("Rule") == 20


def test_numbered_headings_are_not_running_headers() -> None:
    pages = [[(60.0, 740.0, f"Day {number}"), *column(60, LEFT)] for number in range(1, 5)]

    assert re.findall(r"Day \d", text_of(*pages)) == ["Day 1", "Day 2", "Day 3", "Day 4"]


def test_table_headers_repeated_on_each_page_are_kept() -> None:
    def page(number: int) -> Texts:
        rows = [("Part", "Price"), *((f"cleat {number}{row}", f"{row}.50") for row in range(3))]
        return [(x, 740.0 - 12 * n, cell) for n, row in enumerate(rows) for x, cell in zip((60, 200), row, strict=True)]

    assert text_of(*map(page, range(4))).count("Part Price") == 4


def test_short_documents_lose_only_page_numbers() -> None:
    pages = [
        [(60.0, 750.0, "Ferry handbook"), *column(60, lines), (300.0, 30.0, str(number))]
        for number, lines in ((1, LEFT), (2, RIGHT))
    ]

    assert text_of(*pages) == "\n\n".join("\n".join(["Ferry handbook", *lines]) for lines in (LEFT, RIGHT)) + "\n\n"


@pytest.mark.fault("pdf-layout")
def test_a_sentence_that_continues_on_the_next_page_stays_on_its_first_page() -> None:
    first = [(60.0, 760.0, "Handbook"), *column(60, LEFT[:2], top=90)]
    second = [(60.0, 760.0, "Handbook"), *column(60, ["the mate. Lamps are red.", *RIGHT], top=700)]
    third = [(60.0, 760.0, "Handbook"), *column(60, MIDDLE, top=700)]

    document = loaded("a.pdf", placed_pdf([first, second, third]))

    assert [(section.page, document.text[section.start : section.end]) for section in document.sections[:2]] == [
        (1, "\n".join([*LEFT[:2], "the mate."]) + "\n\n"),
        (2, "\n".join(["Lamps are red.", *RIGHT]) + "\n\n"),
    ]


def test_a_heading_is_not_mistaken_for_the_rest_of_a_sentence() -> None:
    first = column(60, [*LEFT[:3], "signs"], top=90)
    second = column(60, ["Lamps", *RIGHT], top=700)

    assert text_of(first, second).split("\n\n")[1].startswith("Lamps\n")


@pytest.mark.fault("pdf-pictures")
def test_pages_without_text_are_counted_in_a_note() -> None:
    texts = column(60, LEFT)

    assert loaded("a.pdf", placed_pdf([[], texts])).notes == ("1 of 2 pages has no text (possibly scanned)",)
    assert loaded("a.pdf", placed_pdf([[], texts, []])).notes == ("2 of 3 pages have no text (possibly scanned)",)


@pytest.mark.parametrize("name", ["columns-chromium.pdf", "columns-groff.pdf"])
def test_columns_of_real_pdfs_are_read_as_whole_sentences(name: str) -> None:
    text = " ".join(loaded(name, (SAMPLES / name).read_bytes()).text.split())
    numbers = re.findall(r"Sentence (\d+) says (?:(?!Sentence)[a-z ])+, and that was (\d+)\.", text)

    assert len(numbers) > 40
    assert numbers == [(str(number), str(number)) for number in range(1, len(numbers) + 1)]
    assert "Ferry handbook" not in text
