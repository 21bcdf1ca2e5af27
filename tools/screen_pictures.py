"""Draws a recorded terminal screen under the palettes of common terminals, to check that everything is readable.

    script -qec "streamrag ask QUESTION" screen.ansi    # or: tmux capture-pane -pe > screen.ansi
    python -m tools.screen_pictures screen.ansi --columns 80 --out pictures

Writes one SVG per palette. To look at them as PNG: chromium --headless --screenshot=light.png light.svg
"""

import argparse
from html import escape
from pathlib import Path
from typing import Any, Final

import pyte

_USUAL: Final = (
    "171421 c01c28 26a269 a2734c 12488b a347ba 2aa1b3 d0cfcc 5e5c64 f66151 33da7a e9ad0c 2a7bde c061cb 33c7de ffffff"
)
_SOLARIZED: Final = (
    "073642 dc322f 859900 b58900 268bd2 d33682 2aa198 eee8d5 002b36 cb4b16 586e75 657b83 839496 6c71c4 93a1a1 fdf6e3"
)
_PALETTES: Final = {  # background, text, and the colours 0 to 15
    "light": ("#ffffff", "#171421", _USUAL),
    "dark": ("#171421", "#d0cfcc", _USUAL),
    "solarized-light": ("#fdf6e3", "#657b83", _SOLARIZED),
    "solarized-dark": ("#002b36", "#839496", _SOLARIZED),
}
_NAMES: Final = "black red green brown blue magenta cyan white".split()
_CELL: Final = (8.43, 18)  # pixels of a monospaced letter of 14 px
_DIM: Final = "\x1b[2m"
_DIM_MARK: Final = "\x1b[5m"  # pyte does not support dim text, so it is passed as blinking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path())
    arguments = parser.parse_args()
    rows = screen_rows(arguments.recording.read_bytes().decode(), arguments.columns, arguments.lines)
    arguments.out.mkdir(exist_ok=True, parents=True)
    for name in _PALETTES:
        (arguments.out / f"{name}.svg").write_text(picture(rows, name, arguments.columns), encoding="utf-8")


def screen_rows(recording: str, columns: int, lines: int) -> list[list[Any]]:
    """The cells of scrollback and screen, without the empty rows at the end."""
    screen = pyte.HistoryScreen(columns, lines, history=10_000)
    text = recording.replace("\r\n", "\n").replace("\n", "\r\n")
    pyte.Stream(screen).feed(text.replace(_DIM, _DIM_MARK).replace("\x1b[1;2m", "\x1b[1;5m"))
    rows = [
        [row[x] for x in range(columns)] for row in (*screen.history.top, *map(screen.buffer.__getitem__, range(lines)))
    ]
    while rows and not "".join(cell.data for cell in rows[-1]).strip():
        rows.pop()
    return rows


def picture(rows: list[list[Any]], palette: str, columns: int) -> str:
    """Draw the rows as an SVG. Bold coloured text has the bright colour, as on many terminals."""
    background, _, _ = _PALETTES[palette]
    width, height = (columns + 2) * _CELL[0], (len(rows) + 1) * _CELL[1]
    texts = "".join(
        _cell(cell, (x + 1) * _CELL[0], (y + 1) * _CELL[1], palette)
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
        if cell.data.strip() or cell.bg != "default" or cell.underscore
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="DejaVu Sans Mono, monospace" font-size="14" xml:space="preserve">'
        f'<rect width="100%" height="100%" fill="{background}"/>{texts}</svg>\n'
    )


def _cell(cell: Any, x: float, y: float, palette: str) -> str:
    look = f'fill="{_colour(cell.fg, palette, bold=cell.bold)}"'
    look += ' font-weight="bold"' * cell.bold + ' font-style="italic"' * cell.italics
    look += ' text-decoration="underline"' * cell.underscore + ' fill-opacity="0.5"' * cell.blink
    shape = ""
    if cell.bg != "default":
        box = f'x="{x:.1f}" y="{y - 14:.1f}" width="{_CELL[0]}" height="{_CELL[1]}"'
        shape = f'<rect {box} fill="{_colour(cell.bg, palette)}"/>'
    return f'{shape}<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(cell.data)}</text>'


def _colour(name: str, palette: str, *, bold: bool = False) -> str:
    _, text, colours = _PALETTES[palette]
    if name == "default":
        return text
    plain = name.removeprefix("bright")
    if plain not in _NAMES:
        return f"#{name}"
    return f"#{colours.split()[_NAMES.index(plain) + (8 if bold or plain != name else 0)]}"


if __name__ == "__main__":
    main()
