"""Shows a Markdown text on a terminal while it is being written.

The output that stays in scrollback equals one render of the whole text, regardless of how and when the pieces arrived.
The stream does not read the clock, start threads or query the terminal size. Callers pass the time to `feed` and
`tick`, and call `tick` at `due_s`.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, TextIO

from rich.text import Text

from streamrag_cli.render.markdown.blocks import Blocks, FenceClosed, FenceLines, FenceOpened, Finished, Piece
from streamrag_cli.render.markdown.code import Highlighter
from streamrag_cli.render.markdown.parsing import Html
from streamrag_cli.render.markdown.pending_blocks import PendingBlocks
from streamrag_cli.render.markdown.preview import Preview
from streamrag_cli.render.markdown.rows import NARROWEST_COLUMNS, ColorName, Row, RowRenderer, plain_row
from streamrag_cli.render.markdown.screen import Appending, Screen
from streamrag_cli.render.markdown.slices import Preceding
from streamrag_cli.text import sanitise

FRAME_S: Final = 0.05
_FRAME_CHARS: Final = 4000  # a longer piece is spread over several frames, so that every frame is rendered quickly
_LAST_FRAME_CHARS: Final = 400_000  # rendered at the end; any text beyond it is shown as plain text


class MarkdownStream:
    """Writes to `out`, one write per frame, from the beginning of a row. Call `suspend` before other output.

    `references` maps the numbers of citations (`[n]`) to the addresses to link to, or to "" for no link. A number
    without an entry is shown with a question mark. If `references` is None, all such markers stay unchanged. `html`
    selects whether HTML is shown as text or dropped as in Rich. Without `moves_cursor`, blocks are only appended.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        columns: int,
        lines: int,
        color_system: ColorName | None = "standard",
        no_color: bool = False,
        references: Mapping[int, str] | None = None,
        html: Html = "shown",
        moves_cursor: bool = True,
    ) -> None:
        self._out = out
        self._columns = columns
        self._renderer = RowRenderer(
            columns, color_system=color_system, no_color=no_color, references=references, html=html
        )
        self._screen = Screen(columns, lines) if moves_cursor else Appending(columns, lines)
        self._blocks = Blocks(self._renderer.parser)
        self._pending = PendingBlocks(self._renderer)
        self._preview = Preview(self._renderer)
        self._code: Highlighter | None = None
        self._code_is_empty = True
        self._new: deque[str] = deque()
        self._last_frame_s: float | None = None
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """The time of the next frame, on the clock of `feed`; None if there is nothing to draw."""
        return self._due_s

    def feed(self, text: str, now_s: float) -> None:
        """Add the next piece of text, and draw a frame if one is due."""
        self._queue(text)
        if self._due_s is None:
            self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Draw the next frame, if it is due."""
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._last_frame_s = now_s
            self._add_pieces(self._blocks.feed(self._text()))
            self._write(self._screen.frame(*self._committed_and_live()))
            if self._new:
                self._due_s = due_s(last_frame_s=now_s, now_s=now_s)

    def resize(self, columns: int, lines: int, now_s: float) -> None:
        """Use a new terminal size. Committed rows do not change."""
        self._columns = columns
        self._renderer.columns = columns
        self._screen.resize(columns, lines)
        self._preview.forget()
        self._pending.relayout()
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def suspend(self, now_s: float) -> None:
        """Erase the live region so that other output can be written in complete rows. The next frame redraws it."""
        self._write(self._screen.frame([], []))
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def finish(self, text: str = "") -> None:
        """Commit everything, including an incomplete open block. Call it after the last piece and after a failure.

        `text` is the last piece, or the whole text if nothing was fed before. Afterwards the cursor is at the
        beginning of the row below, nothing is live, and the caller may write to `out`.
        """
        self._queue(text)
        for _ in range(_LAST_FRAME_CHARS // _FRAME_CHARS):
            self._add_pieces(self._blocks.feed(self._text()))
            if not self._new:
                break
        self._add_pieces(self._blocks.finish())
        committed = self._pending.commit_oldest(0, wait_for_numbers=False)
        if self._new:
            plain = sanitise("".join(self._new)).expandtabs()
            committed += [plain_row(line) for line in plain.split("\n")]
            self._new.clear()
        # Needed even if nothing is left to show: a terminal may have echoed ^C at the cursor.
        to_beginning = self._screen.to_beginning if self._last_frame_s is not None or text else ""
        self._write(self._screen.frame(committed, []) or to_beginning)
        self._due_s = None

    def _queue(self, text: str) -> None:
        self._new.extend(text[at : at + _FRAME_CHARS] for at in range(0, len(text), _FRAME_CHARS))

    def _text(self) -> str:
        """Remove and return the next text to show, at most `_FRAME_CHARS` characters."""
        taken: list[str] = []
        chars = 0
        while self._new and (not taken or chars + len(self._new[0]) <= _FRAME_CHARS):
            taken.append(self._new.popleft())
            chars += len(taken[-1])
        return sanitise("".join(taken))

    def _write(self, frame: str) -> None:
        if frame:
            self._out.write(frame)
            self._out.flush()

    def _add_pieces(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._take(piece)
        self._pending.resolve_links()

    def _take(self, piece: Piece) -> None:
        pending = self._pending
        match piece:
            case Finished(part=part, is_open=is_open):
                self._preview.forget()
                pending.add(part, is_open=is_open)
            case FenceOpened(language=language):
                self._code, self._code_is_empty = Highlighter(language), True
                pending.add_code([Text()] * (pending.last is not Preceding.NOTHING))
            case FenceLines(code=code):
                self._code_is_empty = False
                pending.add_code(self._code.lines(code) if self._code else [])
            case FenceClosed():
                self._code = None
                pending.add_code([Text()] * self._code_is_empty)
                pending.last = Preceding.BLOCK

    def _committed_and_live(self) -> tuple[list[Row], list[Row]]:
        room = self._screen.live_room if self._columns >= NARROWEST_COLUMNS else 0
        committed = self._pending.take_settled()
        if not room:
            return committed + self._pending.commit_oldest(0, wait_for_numbers=False), []
        rows = self._open_rows()
        open_height = self._renderer.live_height(rows[-room:])
        committed += self._pending.commit_oldest(max(0, room - open_height))
        return committed, self._preview.page(self._pending.rows, rows, room)

    def _open_rows(self) -> list[Row]:
        blocks = self._blocks
        if self._code is None:
            return self._preview.rows(blocks, preceding=self._pending.last)
        line = blocks.fence_shows(blocks.unfinished_line)
        if line is None:
            return []
        begins = max(0, len(line) // _FRAME_CHARS * _FRAME_CHARS - _FRAME_CHARS)
        return self._renderer.code([self._code.unfinished(line[begins:])])


def due_s(*, last_frame_s: float | None, now_s: float) -> float:
    """The time to draw text that arrived at `now_s`: immediately, but at least `FRAME_S` after the last frame.

    There are therefore at most 20 frames a second, and each text is drawn within 50 ms.

    >>> due_s(last_frame_s=None, now_s=7.0), due_s(last_frame_s=5.0, now_s=7.0), due_s(last_frame_s=7.0, now_s=7.01)
    (7.0, 7.0, 7.05)
    """
    return now_s if last_frame_s is None else max(now_s, last_frame_s + FRAME_S)
