"""The window may be resized at any time: nothing is lost, and no live rows are left behind."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rendering import SHAPES
from streamrag_cli.render.markdown import MarkdownStream
from tests.support.terminal_emulator import Emulator, cut

TEXT = SHAPES["mixed"](1500) + "漢字 ❤\ufe0f " * 30 + "\n\n" + SHAPES["lines"](800)


def resized(text: str, sizes: list[tuple[int, int]], *, seed: int = 0) -> Emulator:
    """Stream `text` while resizing the terminal through these (columns, lines)."""
    emulator = Emulator(*sizes[0])
    stream = MarkdownStream(emulator, columns=sizes[0][0], lines=sizes[0][1])  # type: ignore[arg-type]
    pieces = list(cut(text, random.Random(seed), 200))
    share = len(pieces) // len(sizes) + 1
    now_s = 0.0
    for number, (columns, lines) in enumerate(sizes):
        emulator.screen.resize(lines, columns)
        stream.resize(columns, lines, now_s)
        for piece in pieces[number * share : (number + 1) * share]:
            now_s += 0.06
            stream.feed(piece, now_s)
    stream.finish()
    return emulator


def words(lines: list[str]) -> str:
    return "".join("".join(lines).split())


@pytest.mark.parametrize(
    "sizes",
    [
        [(40, 30), (90, 30)],
        [(90, 30), (40, 30)],
        [(80, 40), (80, 8)],
        [(80, 8), (80, 40)],
        [(100, 40), (33, 12), (70, 9), (45, 30)],
    ],
    ids=["wider", "narrower", "shorter", "taller", "back and forth"],
)
def test_after_a_resize_each_word_appears_once_and_in_order(sizes: list[tuple[int, int]]) -> None:
    text = "".join(f"Sentence {n} has its own number {n}.\n\n- point a{n}\n- point b{n}\n\n" for n in range(40))
    shown = words(resized(text, sizes).text).replace("•", "")

    assert shown == words([text.replace("- ", "")])


def test_resizing_to_one_column_and_back_loses_nothing() -> None:
    text = "".join(f"word{n}\n\n" for n in range(30))
    shown = words(resized(text, [(40, 20), (1, 20), (40, 20)]).text)

    assert shown == words([text])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 120), st.integers(1, 50)), min_size=1, max_size=6), st.integers(0, 99))
def test_no_terminal_size_causes_an_error(sizes: list[tuple[int, int]], seed: int) -> None:
    for frame in resized(TEXT, sizes, seed=seed).writes:
        assert frame == "\r" or frame.endswith("\x1b[?2026l")  # the first write only returns the cursor at the end
