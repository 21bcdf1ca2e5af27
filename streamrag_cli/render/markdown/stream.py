"""A Markdown text shown on a terminal while it is being written.

What stays in scrollback is what one render of the whole would print, however the text was cut into pieces and
whenever they came. It reads no clock, starts no thread and asks nobody for the terminal's size: `feed` and `tick`
are given the time, and `due_s` says when `tick` is wanted.
"""

from collections.abc import Iterable, Mapping
from typing import TextIO

from streamrag_cli.render.markdown.blocks import Blocks, FenceClosed, FenceLines, FenceOpened, Finished, Piece
from streamrag_cli.render.markdown.code import Highlighter
from streamrag_cli.render.markdown.pacing import due_s
from streamrag_cli.render.markdown.preview import Preview
from streamrag_cli.render.markdown.rows import NARROWEST_COLUMNS, ColorName, Row, RowRenderer, plain_row
from streamrag_cli.render.markdown.screen import Screen
from streamrag_cli.text import sanitise


class MarkdownStream:
    """Writes to `out`, one write a frame, from the beginning of a row; nobody else may write before `suspend`.

    `references` gives `[n]` in the text its meaning: the address to link to, or "" where there is none to link to.
    A number without an entry is shown with a question mark. None leaves all such markers as they are.
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
    ) -> None:
        self._out = out
        self._columns = columns
        self._renderer = RowRenderer(columns, color_system=color_system, no_color=no_color, references=references)
        self._screen = Screen(columns, lines)
        self._blocks = Blocks()
        self._preview = Preview(self._renderer)
        self._code: Highlighter | None = None
        self._code_is_empty = True
        self._new: list[str] = []
        self._after = False  # a block has been committed, and the next is set off from it
        self._last_frame_s: float | None = None
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When the next frame is to be drawn, on the clock of `feed`; None when nothing waits."""
        return self._due_s

    def feed(self, text: str, now_s: float) -> None:
        """Take the next piece of text, and draw if it is time."""
        self._new.append(text)
        if self._due_s is None:
            self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Draw the next frame, if it is due."""
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._last_frame_s = now_s
            committed = self._committed(self._blocks.feed(self._text()))
            self._write(self._screen.frame(committed, self._live()))

    def resize(self, columns: int, lines: int, now_s: float) -> None:
        """The terminal has this size now. What is committed stays as it is."""
        self._columns = columns
        self._renderer.columns = columns
        self._screen.resize(columns, lines)
        self._preview.forget()
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def suspend(self, now_s: float) -> None:
        """Take the live region off the screen, so that somebody else can write whole rows; the next frame is due."""
        self._write(self._screen.frame([], []))
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def finish(self) -> None:
        """Commit all there is, also an open block as it stands: after the last piece, and after a failure alike.

        Afterwards the cursor is at the beginning of the row below, nothing is live, and `out` is the caller's again.
        """
        committed = self._committed(self._blocks.feed(self._text())) + self._committed(self._blocks.finish())
        # Also where nothing is left to show: a terminal may have echoed ^C where the cursor waits.
        to_beginning = "" if self._last_frame_s is None else "\r"
        self._write(self._screen.frame(committed, []) or to_beginning)
        self._due_s = None

    def _text(self) -> str:
        text = sanitise("".join(self._new))
        self._new.clear()
        return text

    def _write(self, frame: str) -> None:
        if frame:
            self._out.write(frame)
            self._out.flush()

    def _committed(self, pieces: Iterable[Piece]) -> list[Row]:
        return [row for piece in pieces for row in self._rows(piece)]

    def _rows(self, piece: Piece) -> list[Row]:
        match piece:
            case Finished(source=source, goes_on=goes_on, start=start):
                self._preview.forget()
                lines, self._after = self._renderer.lines(source, after=self._after, goes_on=goes_on, start=start)
                return [self._renderer.row(line) for line in lines]
            case FenceOpened(language=language):
                gap = [plain_row("")] if self._after else []
                self._code, self._code_is_empty = Highlighter(language), True
                return [*gap, plain_row("")]
            case FenceLines(code=code):
                self._code_is_empty = False
                return self._renderer.code(self._code.lines(code)) if self._code else []
            case FenceClosed():
                self._code, self._after = None, True
                return [plain_row("")] * (2 if self._code_is_empty else 1)

    def _live(self) -> list[Row]:
        if self._columns < NARROWEST_COLUMNS:
            return []
        blocks = self._blocks
        if self._code is not None:
            line = blocks.fence_shows(blocks.unfinished_line)
            rows = [] if line is None else self._renderer.code([self._code.unfinished(line)])
            return rows[max(0, len(rows) - self._screen.live_room) :]
        return self._preview.rows(blocks, after=self._after, room=self._screen.live_room)
