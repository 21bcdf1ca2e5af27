"""Code can be copied: it begins at the left edge, and only the terminal wraps it."""

import pytest

from streamrag_cli.render.markdown import MarkdownStream
from tests.support.terminal_emulator import Emulator, difference, rendered_whole, streamed

COMMAND = "curl --silent --header 'Accept: text/plain' https://a.example/" + "0123456789" * 12


def copied(text: str, *, columns: int, lines: int = 12, pieces: int = 40) -> list[str]:
    """The lines as a terminal copies them: rows that it has wrapped are one line."""
    emulator = streamed(text, columns=columns, lines=lines, seed=3, pieces=pieces)
    emulator.screen.resize(60, 400)
    return emulator.text


@pytest.mark.parametrize("columns", [33, 60, 100, 180])
@pytest.mark.parametrize("pieces", [1, 30, 300])
def test_a_long_line_of_code_is_copied_as_one_line(columns: int, pieces: int) -> None:
    text = f"Run:\n\n```sh\n{COMMAND}\nif true; then\n    {COMMAND}\nfi\n```\n\nDone.\n"

    assert copied(text, columns=columns, pieces=pieces) == [
        "Run:", "", COMMAND, "if true; then", f"    {COMMAND}", "fi", "", "Done.",
    ]  # fmt: skip


def test_code_in_lists_and_quotes_is_copied_without_their_indent_and_marks() -> None:
    text = (
        f"Steps:\n\n1. Install it:\n\n   ```sh\n   {COMMAND}\n   ```\n2. Then\n\n"
        "   > ```python\n   > def f():\n   >     return 1\n   > ```\n\n- ```\n  first\n  ```\n"
    )

    assert copied(text, columns=50, lines=40) == [
        "Steps:", "", " 1 Install it:", "", COMMAND, "", " 2 Then", "", "def f():", "    return 1", "", " •", "first",
    ]  # fmt: skip


CONTAINERS = {
    "- a\n  ```\n  x\n  ```\n  b\n- c\n\n      y\n- ```\n  z\n  ```\n- d\n": [
        *("", " • a", "", "x", "", "   b", " • c", "", "y", "", " •", "z", "", " • d"),
    ],
    "> a\n> ```\n> x\n>\n> y\n> ```\n> b\n> - c\n>   ```\n>   z\n>   ```\n> ~~~\n> w\n> ~~~\n": [
        *("", "▌ a", "", "x", "", "y", "", "▌ b", "▌  • c", "", "z", "w"),
    ],
}


@pytest.mark.parametrize("text", CONTAINERS)
@pytest.mark.parametrize("lines", [4, 8, 24])
def test_a_blank_row_separates_code_in_lists_and_quotes_from_text(text: str, lines: int) -> None:
    for seed, pieces in enumerate((1, 10, 200)):
        assert streamed(text, columns=40, lines=lines, seed=seed, pieces=pieces).text == CONTAINERS[text]


def test_a_rule_in_a_quote_that_is_taller_than_the_screen_is_shown() -> None:
    shown = streamed("> a\n>\n> ***\n> ```\n> b\n> ```\n", columns=8, lines=4, seed=1)

    assert "▌ ------" in shown.text


@pytest.mark.parametrize("shape", ["漢字" * 90, "x漢" * 70 + "y", "🎉 party " * 30, "é" * 200, "a" * 60, "a" * 61])
@pytest.mark.parametrize("lines", [4, 9, 24])
def test_streamed_code_lines_of_any_width_look_the_same_as_in_a_single_render(shape: str, lines: int) -> None:
    text = f"[late] words\n\n- item\n\n  ```\n  {shape}\n  b\n  ```\n\n```\n{shape}\n{shape}\n```\nend\n"
    for columns in (30, 60):
        shown = streamed(text, columns=columns, lines=lines, seed=lines, pieces=80)
        assert difference(shown, rendered_whole(text, columns=columns, lines=lines)) == ""


def test_the_end_of_a_growing_line_is_shown_if_it_exceeds_the_screen() -> None:
    emulator = Emulator(20, 6)
    stream = MarkdownStream(emulator, columns=20, lines=6)  # type: ignore[arg-type]
    stream.feed("```\nfirst\n", 1.0)
    for number in range(60):
        stream.feed(f"word{number:02} ", 2.0 + number)
        assert "first" in emulator.text
        assert f"word{number:02}" in "".join(emulator.text)
    stream.finish()

    assert "".join(emulator.text).count("word") == 60


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("word " * 100, 100),
        ("> " + "word " * 100, 100),
        ("- " + "word " * 100, 100),
        (f"| a | b |\n|---|---|\n| {'x' * 70} | {'y' * 60} |\n", 134),
        ("    " + "x" * 130, 130),
    ],
    ids=["paragraph", "quote", "list", "table", "code"],
)
def test_only_tables_and_code_are_wider_than_a_hundred_columns(text: str, longest: int) -> None:
    emulator = streamed(text, columns=200, lines=24, seed=1)

    assert longest - 6 <= max(map(len, emulator.text)) <= longest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<https://a.example/b>", "https://a.example/b"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("[https://a.example](https://a.example/)", "https://a.example"),
        ("[`https://a.example`](https://a.example)", "https://a.example (https://a.example)"),
        ("<me@a.example>", "me@a.example"),
        ("[https://a.example](https://evil.example)", "https://a.example (https://evil.example)"),
        ("[a.example](https://a.example)", "a.example (https://a.example)"),
        ("see [https://a.example][1]\n\n[1]: https://a.example\n", "see https://a.example"),
        ("| <https://a.example> |\n|---|\n| b |\n", " https://a.example"),
    ],
)
def test_a_link_whose_text_is_its_address_is_shown_once(text: str, shown: str) -> None:
    rows = streamed(text, columns=80, lines=24, seed=1).text

    assert shown in rows
