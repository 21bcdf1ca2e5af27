"""Removes running headers, running footers and page numbers: text at the same position on several pages.

A line is repeated if a nearby page has the same line at the same distance from the edge. The page numbers in it may
differ. In a document with one or two pages, only plain page numbers are removed.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from streamrag_cli.documents.loaders.pdf_rows import rows_of
from streamrag_cli.documents.loaders.pdf_text import Page, Run

_MARGIN: Final = 0.15
"""The share of a page's height, at the top and at the bottom, in which headers and footers are searched for."""

_ROWS: Final = 3
_SAME_PLACE: Final = 3.0
_NEARBY_PAGES: Final = 2
_MANY_PAGES: Final = 8
_LARGE: Final = 1.2
"""How many times as large as body text a heading is. Such lines are not running headers."""

_NUMBER: Final = re.compile(r"\d+")
_ROMAN: Final = re.compile(r"[ivxlc]{1,7}", re.IGNORECASE)
_PAGE_NUMBER: Final = re.compile(
    r"[-–—|\[(\s]*(?:p(?:age|\.)?|seite|s\.|página|pagina|pág\.|стр\.?|страница|strana|sida)?\s*"
    r"(?P<number>\d{1,4}|[ivxlc]{1,7})(?:\s*(?:of|/|von|de|di|из|av|\|)\s*\d{1,4})?[-–—|\])\s]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Row:
    page: int
    runs: list[Run]
    text: str
    distance: float
    """The distance from the top edge of the page or, if it is negative, from the bottom edge."""

    @property
    def numbers(self) -> list[int]:
        return [int(number[:9]) for number in _NUMBER.findall(self.text)]


def without_margins(pages: Sequence[Page]) -> list[list[Run]]:
    """Return the runs on each page, except running headers, running footers and page numbers.

    A page that has no other text keeps them, unless it is a picture.
    """
    rows = [list(_outer_rows(number, page)) for number, page in enumerate(pages)]
    dropped = _plain_numbers(rows, pages) if len(pages) < 3 else _repeated(rows, pages)
    remaining = [[run for run in page.runs if (number, run) not in dropped] for number, page in enumerate(pages)]
    return [runs if runs or page.is_picture else list(page.runs) for runs, page in zip(remaining, pages, strict=True)]


def _outer_rows(number: int, page: Page) -> Iterator[_Row]:
    """Yield the first and last rows of a page that are within the margins."""
    reach = _MARGIN * (page.top - page.bottom)
    above = [run for run in page.runs if run.bottom > page.top - reach]
    below = [run for run in page.runs if run.top < page.bottom + reach]
    for row in rows_of(above)[:_ROWS]:
        yield _Row(number, row, _text(row), page.top - row[0].bottom)
    for row in rows_of(below)[-_ROWS:]:
        yield _Row(number, row, _text(row), page.bottom - row[0].bottom)


def _text(row: Sequence[Run]) -> str:
    return " ".join(" ".join(run.text.split()) for run in row).casefold()


def _repeated(rows: Sequence[Sequence[_Row]], pages: Sequence[Page]) -> set[tuple[int, Run]]:
    by_key: dict[str, list[_Row]] = defaultdict(list)
    for each in rows:
        for row in each:
            key = "#" if _ROMAN.fullmatch(row.text) else _NUMBER.sub("#", row.text)
            by_key[key].append(row)
    dropped: set[tuple[int, Run]] = set()
    min_pages = 2 if len(pages) < _MANY_PAGES else 3
    for group in by_key.values():
        if len({row.page for row in group}) < min_pages:
            continue
        is_label = _PAGE_NUMBER.fullmatch(group[0].text) is not None
        for index, row in enumerate(group):
            if not is_label and (_is_heading(row, pages[row.page]) or _is_above_cells(row, pages[row.page])):
                continue
            near = group[max(0, index - 2 * _ROWS) : index + 2 * _ROWS + 1]
            if any(_is_repetition(row, other, is_label=is_label) for other in near):
                dropped.update((row.page, run) for run in row.runs)
    return dropped


def _is_repetition(row: _Row, other: _Row, *, is_label: bool) -> bool:
    distance = other.page - row.page
    if not 0 < abs(distance) <= _NEARBY_PAGES or abs(row.distance - other.distance) > _SAME_PLACE:
        return False
    if row.text == other.text or is_label:
        return True
    differences = [other_number - number for number, other_number in zip(row.numbers, other.numbers, strict=False)]
    counts_pages = [each for each in differences if each] in ([distance], [distance, distance])
    return counts_pages and (len(row.runs) > 1 or len(row.text.split()) > 2)


def _is_heading(row: _Row, page: Page) -> bool:
    heights = sorted(run.height for run in page.runs for _ in range(1 + len(run.text) // 20))
    return max(run.height for run in row.runs) > _LARGE * heights[len(heights) // 2]


def _is_above_cells(row: _Row, page: Page) -> bool:
    """Whether the text directly below is aligned with this row's columns, as under a table header."""
    lowest, height = min(run.bottom for run in row.runs), row.runs[0].height
    below = [run for run in page.runs if lowest - height < run.top < lowest + height / 2 and run not in row.runs]
    shared = sum(any(abs(run.x0 - other.x0) < height / 4 for other in below) for run in row.runs)
    return len(row.runs) > 1 and shared > 1


def _plain_numbers(rows: Sequence[Sequence[_Row]], pages: Sequence[Page]) -> set[tuple[int, Run]]:
    """Find page numbers that are separate from the text and equal to the page's position in the document."""
    dropped: set[tuple[int, Run]] = set()
    for each in rows:
        for row in each:
            label = _PAGE_NUMBER.fullmatch(row.text)
            if label and label["number"] == str(row.page + 1) and _is_isolated(row, pages[row.page]):
                dropped.update((row.page, run) for run in row.runs)
    return dropped


def _is_isolated(row: _Row, page: Page) -> bool:
    bottom, top = min(run.bottom for run in row.runs), max(run.top for run in row.runs)
    gap = 0.8 * (top - bottom)
    return not any(
        run not in row.runs and run.top > bottom - gap and run.bottom < top + gap for run in page.runs
    ) and len(page.runs) > len(row.runs)
