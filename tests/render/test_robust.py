"""Hostile and random text: no control sequence reaches the terminal, nothing fails, and no word is lost."""

import io
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamrag_cli.render.markdown import MarkdownStream
from tests.render.test_unchanged_rows import ALLOWED
from tests.support.rendering_exceptions import UNKNOWN, exception
from tests.support.terminal_emulator import Emulator, difference, rendered_whole, streamed

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGk=\x07",
    "\x1b]0;title\x1b\\",
    "\x9b2J",
    "\x90q\x9c",
    "\x07\x08\x00\x7f",
    "\u202eabc\u202c",
    "\u2066x\u2069",
    "\U000e0041",
    "&#27;[2J",
    "&#x9b;2J",
    "&#x202e;",
    "`&#27;`",
    "[x](http://a/&#27;]0;)",
    "[a](&#x202e;b)",
    "```\x1b[2J\n\x1b[2J\n```\n",
    "| \x1b[2J | \x9b |\n|--|--|\n| &#27; | b |\n",
    "![&#27;](&#27;)",
    "<\x1b>",
    "\r\n\r",
    "\u2028\u2029",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("seed", range(3))
def test_control_characters_do_not_reach_the_terminal(text: str, seed: int) -> None:
    emulator = streamed(f"a {text} b\n\nend", columns=40, lines=10, seed=seed, pieces=30)

    left = ALLOWED.sub("", "".join(emulator.writes))
    assert (
        re.findall(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", left) == []
    )
    assert emulator.text[-1].strip() == "end"


PARTS = st.sampled_from(
    [
        *HOSTILE,
        "a",
        "word ",
        "\n",
        "\n\n",
        "- ",
        "  ",
        "    ",
        "> ",
        "1. ",
        "# ",
        "```",
        "~~~\n",
        "|",
        "|--|",
        "**",
        "*",
        "`",
        "[",
        "]",
        "(",
        ")",
        "[1]",
        "[2",
        "]: ",
        "<br>",
        "---\n",
        "===\n",
        "\t",
        "漢字",
        "❤\ufe0f",
        "e\u0301",
        "\U0001f468\u200d\U0001f469",
        "אבג",
        "\\",
        "~~",
        "![",
        "![a](b)",
        "[a]",
        "[a]: b\n",
        "***\n",
        "<kbd>",
    ]
)


LONG_BEGINNINGS = st.sampled_from(
    [
        "",
        "word " * 90,
        "a line\n" * 60,
        "> " + "word " * 90,
        "- " + "word " * 300,
        "1. one\n2. two\n\n   more\n" + "1. item\n" * 4,
        "[a] word\n\n> quoted [a]\n",
        "- one\n" + "  - more *words*\n" * 100,
        "| a | b |\n|---|--:|\n" + "| word | one<br>two |\n| `x` | y |\n" * 20,
        "| a | b |\n|---|---|\n" + "| many words in it | many words in it too |\n" * 20,
    ]
)


@settings(max_examples=60, deadline=None)
@given(LONG_BEGINNINGS, st.lists(PARTS, max_size=40), st.integers(0, 5))
@example("", ["- ", "- ", "> ", "```", "\n", "a", "\n", "> ", "\n", "- ", "a"], 1)
@example("", ["**", "❤\ufe0f", "![&#27;](&#27;)", "**"], 0)
@example("", [*["\x1b[31mred\x1b[0m"] * 2, "\U0001f468\u200d\U0001f469", "\x1b[31mred\x1b[0m"], 0)
def test_random_text_looks_as_if_printed_by_rich_except_in_known_cases(
    beginning: str, parts: list[str], seed: int
) -> None:
    text = beginning + "".join(parts)
    pieces = 20 + len(beginning) // 40

    assert exception(text, columns=30, lines=7, seed=seed, pieces=pieces, html="shown") != UNKNOWN


@pytest.mark.parametrize(
    "token",
    ["x" * 5_000_000, "word " * 50_000, "line\n" * 25_000, "- item\n" * 8_000, "```\n" + "code\n" * 50_000],
    ids=["five megabytes", "words", "lines", "items", "code"],
)
def test_a_huge_token_is_shown_completely(token: str) -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, columns=80, lines=24)
    stream.feed(token, 1.0)
    stream.finish()

    assert len(re.findall("[a-z]", ALLOWED.sub("", out.getvalue()))) >= len(re.findall("[a-z]", token))


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_partial_answer_stays_on_the_screen(at: int) -> None:
    text = "A *few* words\n\n- and a `list`\n- with\n\n```py\nx = 1\ny = 2\n"[:at]
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    stream.feed(text, 1.0)
    stream.finish()

    assert difference(emulator, rendered_whole(text, columns=40)) == ""
    assert (emulator.screen.cursor.x, emulator.screen.cursor.hidden) == (0, False)


def test_other_output_appears_above_the_open_block() -> None:
    emulator = Emulator(40, 10)
    stream = MarkdownStream(emulator, columns=40, lines=10)  # type: ignore[arg-type]
    stream.feed("Done.\n\nHalf a sen", 1.0)
    stream.suspend(1.1)
    emulator.write("note: slow\r\n")
    stream.feed("tence", 2.0)
    stream.finish()

    assert emulator.text == ["Done.", "note: slow", "", "Half a sentence"]


def test_the_no_color_option_keeps_all_other_styles() -> None:
    out = io.StringIO()
    stream = MarkdownStream(out, columns=40, lines=10, no_color=True)
    stream.feed("**bold** `code`\n\n## head\n", 1.0)
    stream.finish()

    assert set(re.findall(r"\x1b\[([0-9;]*)m", out.getvalue())) == {"1", "1;4", "0"}


@pytest.mark.parametrize(
    ("colors", "shown"),
    [
        ({"color_system": None}, "The file `a b` has ``a`b``, not ```` ``` ````."),
        ({"no_color": True}, "The file `a b` has ``a`b``, not ```` ``` ````."),
        ({"color_system": "standard"}, "The file a b has a`b, not ```."),
    ],
)
def test_inline_code_keeps_its_backticks_only_without_colour(colors: dict[str, Any], shown: str) -> None:
    emulator = Emulator(60, 10)
    stream = MarkdownStream(emulator, columns=60, lines=10, **colors)  # type: ignore[arg-type]
    for at, character in enumerate("The file `a b` has ``a`b``, not ```` ``` ````.\n"):
        stream.feed(character, float(at))
    stream.finish()

    assert emulator.text == [shown]
