"""Where the page breaks lines, and the sides of bullets, columns and quotes in text that runs from right to left."""

from tests.support.chromium import Page
from tests.support.openai_replies import answer
from tests.support.visit import Visiting

BERTH = "What is the fee for a berth?"
DAY = "\u064a\u0648\u0645"
MIXED = f"- {DAY} [1].\n- 18\n\n  ```\n  fee = 18\n  ```\n\n| {DAY} | euros |\n|---|---|\n| {DAY} | 18 |\n\n> {DAY}\n"
APART = """(() => {
  const box = (text, start, end) => {
    const range = document.createRange();
    range.setStart(text, start);
    range.setEnd(text, end);
    return range.getBoundingClientRect();
  };
  return [...document.querySelectorAll(".answer .citation")].filter((citation) => {
    const { top, bottom } = citation.getBoundingClientRect();
    const { previousSibling: before, nextSibling: after } = citation;
    const neighbours = [box(before, before.length - 2, before.length), box(after, 0, 1)];
    return neighbours.some((each) => each.bottom < top || each.top > bottom);
  }).length;
})()"""
"""The number of citations that are not on the line of the letter before and of the full stop after them."""


def test_citations_stay_on_the_line_of_their_word_and_full_stop(visiting: Visiting) -> None:
    with visiting(answer("A berth is let for a day [1]. The fee is 18 euros [2]. " * 2), phone=True) as visit:
        visit.ask_and_wait(BERTH)
        apart = {}
        for width in range(300, 400, 10):
            visit.page.call("setViewportSize", {"width": width, "height": 700})
            apart[width] = visit.page.value(APART)

    assert apart == dict.fromkeys(range(300, 400, 10), 0)


def test_a_date_in_a_table_is_not_broken_into_lines(visiting: Visiting) -> None:
    table = f"| {'Day | ' * 9}\n|{'---|' * 9}\n| {'2026-01-31 | ' * 9}\n"
    with visiting(answer(table), phone=True) as visit:
        visit.ask_and_wait(BERTH)
        head, row = visit.page.value("[...document.querySelectorAll('.answer tr')].map((row) => row.offsetHeight)")

    assert head == row


def test_right_to_left_lists_tables_and_quotes_start_on_the_right(visiting: Visiting) -> None:
    with visiting(answer(MIXED)) as visit:
        visit.ask_and_wait(BERTH)
        directions = {part: style(visit.page, part, "direction") for part in ("ul", "table", "blockquote", "pre")}
        alignments = {part: style(visit.page, part, "textAlign") for part in ("li:last-child > p", "td:last-child")}

    assert directions == {"ul": "rtl", "table": "rtl", "blockquote": "rtl", "pre": "ltr"}
    assert alignments == {"li:last-child > p": "right", "td:last-child": "right"}


def style(page: Page, part: str, name: str) -> str:
    """A computed style of the first element of the answer that matches."""
    return str(page.value(f"getComputedStyle(document.querySelector('.answer {part}')).{name}"))
