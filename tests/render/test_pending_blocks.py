"""Final blocks that later text may change stay live while the screen has room, and nothing is lost afterwards."""

import pytest

from streamrag_cli.render.markdown import MarkdownStream
from tests.support.rendering_exceptions import NUMBERS, exception
from tests.support.terminal_emulator import Emulator, difference, rendered_whole, streamed


def committed(text: str, *, references: dict[int, str] | None = None) -> list[str]:
    """The committed rows of `text` before it is finished."""
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10, references=references)  # type: ignore[arg-type]
    for at in range(0, len(text), 3):
        stream.feed(text[at : at + 3], at * 0.1)
    stream.suspend(1e6)
    return emulator.text


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("One.\n\nTwo.\n\nThr", ["One.", "", "Two."]),
        ("One.\n\n[Two].\n\nThr", ["One."]),
        ("One.\n\n[Two][2].\n\nThree.\n\n", ["One."]),
        ("One `[2]` [x](y) \\[2].\n\nTwo", ["One [2] x (y) [2]."]),
        ("- One\n- Two\n- Thr", []),
        ("- One\n- Two\n\nThree\n\n", ["", " • One", " • Two", "", "Three"]),
        ("> One\n>\n> Two\n", []),
        ("- One\n" * 12, ["", *[" • One"] * 8]),
        ("1. One\n" * 8, []),
        ("1. One\n" * 12, ["", *(f"{n:3} One" for n in range(1, 9))]),
    ],
)
def test_only_blocks_that_may_still_change_stay_live(text: str, final: list[str]) -> None:
    assert committed(text) == final


@pytest.mark.parametrize("text", ["As [1] and [2, 3] say.\n\nTwo", "As [1] says.\n\n[1]: http://a.example\n\nTwo"])
def test_a_citation_does_not_wait_for_a_link_definition(text: str) -> None:
    assert committed(text, references={1: ""})[0].startswith("As [1]")


def test_links_are_resolved_by_a_definition_that_follows_soon() -> None:
    text = "See [the book] and\n[it][b].\n\nMore.\n\n[the book]: http://a.example\n[b]: <http://b.example> 'B'\n"

    assert streamed(text, columns=80, lines=10, seed=1).text == [
        "See the book (http://a.example) and it (http://b.example).",
        "",
        "More.",
    ]


def test_a_link_definition_that_comes_too_late_is_shown() -> None:
    text = (
        "See [a] and [b].\n\n"
        + "More.\n\n" * 3
        + "[a]: http://a.example\n[b]: <http://b.example>\n[c]: d\n\nAgain [a].\n"
    )

    assert streamed(text, columns=40, lines=5, seed=1, pieces=200).text == [
        *("See [a] and [b].", "", "More.", "", "More.", "", "More.", ""),
        *("[a]: http://a.example", "[b]: <http://b.example>", ""),
        "Again a (http://a.example).",
    ]


def test_a_numbered_link_definition_is_shown_if_numbers_are_citations() -> None:
    text = "As [1] says.\n\n[1]: http://a.example\n"

    shown = streamed(text, columns=40, lines=10, seed=1, references={1: ""})
    assert shown.text == ["As [1] says.", "", "[1]: http://a.example"]


def test_a_link_definition_in_a_single_piece_of_text_is_never_too_late() -> None:
    emulator = Emulator(40, 5)
    stream = MarkdownStream(emulator, columns=40, lines=5)  # type: ignore[arg-type]
    stream.finish("See [a].\n\n" + "More.\n\n" * 4000 + "[a]: http://a.example\n")

    assert emulator.text[:3] == ["See a (http://a.example).", "", "More."]


def test_an_open_block_does_not_delay_finished_blocks() -> None:
    assert committed("One.\n\nTwo [three] four five") == ["One."]


@pytest.mark.parametrize("items", [8, 9, 30, 98])
@pytest.mark.parametrize("lines", [5, 12, 60])
def test_list_numbers_are_padded_to_the_width_of_the_last_number(items: int, lines: int) -> None:
    text = "".join(f"{n}. item\n   of *two* lines\n" for n in range(1, items + 1)) + "\nend\n"

    shown = streamed(text, columns=40, lines=lines, seed=items, pieces=200)
    assert difference(shown, rendered_whole(text, columns=40, lines=lines)) == ""


def test_a_list_with_more_than_99_items_is_a_known_rendering_exception() -> None:
    text = "".join(f"{n}. item\n" for n in range(1, 120))

    assert exception(text, columns=40, lines=12, seed=1) == NUMBERS


def test_a_list_of_a_few_huge_items_is_printed_before_it_ends() -> None:
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    for number in range(1, 6):
        stream.feed(f"{number}. item\n\n" + "   words\n\n" * 100, number)

    assert emulator.text[:2] == ["", " 1 item"]
    assert len(emulator.text) > 300


def test_a_rule_at_the_end_of_a_quote_removes_the_blank_row_above() -> None:
    text = "One\n\n> two\n> three\n>\n> ***\n\nfour\n"

    shown = streamed(text, columns=40, lines=10, seed=1, pieces=100)
    assert difference(shown, rendered_whole(text, columns=40, lines=10)) == ""


def test_pending_blocks_are_laid_out_again_after_a_resize() -> None:
    emulator = Emulator(40, 20)
    stream = MarkdownStream(emulator, columns=40, lines=20)  # type: ignore[arg-type]
    stream.feed("[a] " + "word " * 12 + "\n\n```\ncode\n```\n\nend", 1.0)
    emulator.screen.resize(20, 80)
    stream.resize(80, 20, 2.0)
    stream.finish()

    assert emulator.text == ["[a]" + " word" * 12, "", "code", "", "end"]
