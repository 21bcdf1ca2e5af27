"""Records a session with a streamed answer: `docs/session.svg` for the README, `docs/session.cast` for asciinema.

    make transcripts

The program runs on a pseudo-terminal with the sample documents. The model server is that of the tests, which writes a
fixed answer at the speed of a small model.
"""

import io
import json
import re
import time
from itertools import groupby
from pathlib import Path
from typing import Final

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine
from tests.support.openai_replies import DONE, Delay, Reply, finish, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import on_terminal
from tools.make_transcripts import session_with_engine

ROOT: Final = Path(__file__).resolve().parent.parent
COLUMNS: Final = 80
ROWS: Final = 40
MODEL: Final = "small-model"
ANSWER: Final = """\
You get it back **within three months** of handing over the flat and returning all keys [2]. Usually it takes six weeks
[1].

- Up to **300 euros** may be kept until the heating bill of your last year is settled [1][2].
- Unpaid rent and damage beyond normal wear can be deducted, each with its invoice [2].

Write your new address and account number into the handover record [1].
"""


def main() -> None:
    with session_with_engine() as session:
        session.output("streamrag ingest -q sample_docs")
        with OpenAIServer(chat=_reply(), models=(MODEL,)) as server:
            recorded = _record(session.user, ["ask", QUESTION, "--base-url", server.base_url])
        folder = bytes(session.user.directory)
    typed = f'$ streamrag ask "{QUESTION}"\r\n'
    _write_cast(typed, recorded, folder, ROOT / "docs" / "session.cast")
    _write_svg(typed.encode() + b"".join(data for _, data in recorded), ROOT / "docs" / "session.svg")


def _reply() -> Reply:
    """The answer word by word, without token counts, because no model has counted tokens."""
    words = (step for word in ANSWER.split(" ") for step in (token(f"{word} "), Delay(0.03)))
    steps = (*words, finish("stop"), DONE)
    named = (step.replace(b"test-model", MODEL.encode()) if isinstance(step, bytes) else step for step in steps)
    return stream(*named)


def _record(user: CommandLine, arguments: list[str]) -> list[tuple[float, bytes]]:
    """Record the output of the program in pieces, each with the seconds since the start."""
    recorded: list[tuple[float, bytes]] = []
    started_s = time.monotonic()
    with on_terminal(user, *arguments, columns=COLUMNS, rows=ROWS) as (terminal, process):
        done = 0
        while process.poll() is None:
            terminal.read(0.02)
            if len(terminal.raw) > done:
                recorded.append((time.monotonic() - started_s, terminal.raw[done:]))
                done = len(terminal.raw)
        terminal.wait_for_end(process)
        recorded.append((time.monotonic() - started_s, terminal.raw[done:]))
    return recorded


def _write_cast(typed: str, recorded: list[tuple[float, bytes]], folder: bytes, file: Path) -> None:
    """Write version 2 of asciinema's format: a header, then one event per line."""
    lines: list[object] = [{"version": 2, "width": COLUMNS, "height": ROWS, "title": "streamrag"}, [0.0, "o", typed]]
    pending = b""
    for at_s, data in recorded:
        pending += data
        if pending.rfind(b"\x1b]") > pending.rfind(b"\x1b\\"):
            continue  # the piece ends inside the address of a link
        shown = pending.replace(folder, b"/home/you/streamrag")  # hide the path of this machine
        lines.append([round(at_s, 3), "o", shown.decode("utf-8", "replace")])
        pending = b""
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def _write_svg(written: bytes, file: Path) -> None:
    """Write the final screen as an SVG."""
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(written)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    last = max(row for row in range(ROWS) if screen.display[row].strip())
    for row in range(last + 1):
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        line = Text()
        for style, run in groupby(cells, _style):
            # Some viewers drop leading blanks of a run, so blanks are separate runs.
            for piece in re.findall(r"\s+|\S+(?: \S+)*", "".join(cell.data for cell in run)):
                line.append(piece, Style(dim=True) if piece.isspace() else style)
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="streamrag ask")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no remote fonts
    file.write_text(svg, encoding="utf-8")


def _style(cell: pyte.screens.Char) -> Style:
    names = {"brown": "yellow", "default": None}
    color = names.get(cell.fg, cell.fg)
    if color is not None and len(color) == 6 and all(digit in "0123456789abcdef" for digit in color):
        color = f"#{color}"
    return Style(color=color, bold=cell.bold, italic=cell.italics, underline=cell.underscore, reverse=cell.reverse)


if __name__ == "__main__":
    main()
