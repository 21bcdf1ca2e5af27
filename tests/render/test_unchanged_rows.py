"""The screen is stable: at most 20 frames per second, one write each, and only the live region changes."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rendering import SHAPES
from streamrag_cli.render.markdown import MarkdownStream
from streamrag_cli.render.markdown.stream import FRAME_S, due_s
from tests.support.terminal_emulator import Emulator

CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\]8;;[^\x1b]*\x1b\\)")
ALLOWED = re.compile(r"\x1b(?:\[\?2026[hl]|\[\?7[hl]|\[\d+[AC]|\[[KJ]|\[[0-9;]*m|\]8;;[^\x1b]*\x1b\\)")


def frames(text: str, *, columns: int = 80, lines: int = 24, tokens_per_s: float = 100) -> list[tuple[float, str]]:
    """The writes with their times for an answer streamed in tokens of four characters."""
    emulator = Emulator(columns, lines)
    stream = MarkdownStream(emulator, columns=columns, lines=lines)  # type: ignore[arg-type]
    times: list[float] = []
    for number in range(0, len(text), 4):
        now_s = number / 4 / tokens_per_s
        while stream.due_s is not None and stream.due_s < now_s:
            at_s = stream.due_s
            stream.tick(at_s)
            times += [at_s] * (len(emulator.writes) - len(times))
        stream.feed(text[number : number + 4], now_s)
        times += [now_s] * (len(emulator.writes) - len(times))
    return list(zip(times, emulator.writes, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_at_most_twenty_frames_are_drawn_per_second_with_one_write_each(shape: str) -> None:
    times = [at_s for at_s, _ in frames(SHAPES[shape](4000))]

    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= FRAME_S - 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_live_region_is_written(shape: str) -> None:
    for _, frame in frames(SHAPES[shape](6000), lines=15):
        up = [int(n) for n in re.findall(r"\x1b\[(\d+)A", frame)]
        assert CONTROL.findall(ALLOWED.sub("", frame)) == []
        assert (len(up) <= 1, max(up, default=0) < 15) == (True, True)
        assert (frame.startswith("\x1b[?2026h"), frame.endswith("\x1b[?2026l")) == (True, True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens_per_s", [10, 100])
def test_at_most_twenty_bytes_are_written_per_character(shape: str, tokens_per_s: float) -> None:
    text = SHAPES[shape](16_000)

    written = sum(len(frame.encode()) for _, frame in frames(text, columns=100, lines=40, tokens_per_s=tokens_per_s))
    assert written / len(text) <= 20


@given(st.lists(st.floats(min_value=0, max_value=0.3), max_size=60))
def test_every_frame_is_due_within_50_ms_of_its_text(pauses_s: list[float]) -> None:
    now_s, last_frame_s = 0.0, None
    for pause_s in pauses_s:
        now_s += pause_s
        due = due_s(last_frame_s=last_frame_s, now_s=now_s)
        assert now_s <= due <= now_s + FRAME_S + 1e-9
        last_frame_s = now_s = due


def test_an_incomplete_word_is_shown_within_50_ms() -> None:
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    stream.feed("The library", 1.0)
    stream.feed(" opens", 1.01)

    assert (emulator.text, stream.due_s) == (["The library"], 1.05)
    stream.tick(1.05)
    assert (emulator.text, stream.due_s) == (["The library opens"], None)


def test_list_markers_are_not_shown_before_their_text() -> None:
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    for at_s, text in enumerate(("a\n", "-", "-")):
        stream.feed(text, at_s)
        assert emulator.text == ["a"]


def test_adding_a_word_does_not_rewrite_its_row() -> None:
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    stream.feed("The library opens", 1.0)
    stream.feed(" at nine", 2.0)

    assert emulator.writes[1] == "\x1b[?2026h\r\x1b[1A\x1b[17C at nine\r\n\x1b[?2026l"
