"""A Markdown text shown on a terminal while it is being written.

What stays in scrollback is what one render of the whole would print, however the text was cut into pieces and
whenever they came. It reads no clock, starts no thread and asks nobody for the terminal's size: `feed` and `tick`
are given the time, and `due_s` says when `tick` is wanted.
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
from streamrag_cli.render.markdown.screen import Screen
from streamrag_cli.render.markdown.slices import Above
from streamrag_cli.text import sanitise

FRAME_S: Final = 0.05
_FRAME_CHARS: Final = 4000  # more in one piece is shown over several frames, so that none takes long
_LAST_FRAME_CHARS: Final = 400_000  # what is still unseen after so many at the end is shown as plain text


class MarkdownStream:
    """Writes to `out`, one write a frame, from the beginning of a row; nobody else may write before `suspend`.

    `references` gives `[n]` in the text its meaning: the address to link to, or "" where there is none to link to.
    A number without an entry is shown with a question mark. None leaves all such markers as they are. `html` says
    whether HTML is text, or dropped as Rich does.
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
    ) -> None:
        self._out = out
        self._columns = columns
        self._renderer = RowRenderer(
            columns, color_system=color_system, no_color=no_color, references=references, html=html
        )
        self._screen = Screen(columns, lines)
        self._blocks = Blocks(self._renderer.parser)
        self._held = PendingBlocks(self._renderer)
        self._preview = Preview(self._renderer)
        self._code: Highlighter | None = None
        self._code_is_empty = True
        self._new: deque[str] = deque()
        self._last_frame_s: float | None = None
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When the next frame is to be drawn, on the clock of `feed`; None when nothing waits."""
        return self._due_s

    def feed(self, text: str, now_s: float) -> None:
        """Take the next piece of text, and draw if it is time."""
        self._queue(text)
        if self._due_s is None:
            self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Draw the next frame, if it is due."""
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._last_frame_s = now_s
            self._hold(self._blocks.feed(self._text()))
            self._write(self._screen.frame(*self._committed_and_live()))
            if self._new:
                self._due_s = due_s(last_frame_s=now_s, now_s=now_s)

    def resize(self, columns: int, lines: int, now_s: float) -> None:
        """The terminal has this size now. What is committed stays as it is."""
        self._columns = columns
        self._renderer.columns = columns
        self._screen.resize(columns, lines)
        self._preview.forget()
        self._held.relayout()
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def suspend(self, now_s: float) -> None:
        """Take the live region off the screen, so that somebody else can write whole rows; the next frame is due."""
        self._write(self._screen.frame([], []))
        self._due_s = due_s(last_frame_s=self._last_frame_s, now_s=now_s)

    def finish(self, text: str = "") -> None:
        """Commit all there is, also an open block as it stands: after the last piece, and after a failure alike.

        `text` is the last piece, or the only one: what comes late in it can still change what is early in it.
        Afterwards the cursor is at the beginning of the row below, nothing is live, and `out` is the caller's again.
        """
        self._queue(text)
        for _ in range(_LAST_FRAME_CHARS // _FRAME_CHARS):
            self._hold(self._blocks.feed(self._text()))
            if not self._new:
                break
        self._hold(self._blocks.finish())
        committed = self._held.commit_oldest(0, wait_for_numbers=False)
        if self._new:
            plain = sanitise("".join(self._new)).expandtabs()
            committed += [plain_row(line) for line in plain.split("\n")]
            self._new.clear()
        # Also where nothing is left to show: a terminal may have echoed ^C where the cursor waits.
        to_beginning = "" if self._last_frame_s is None and not text else "\r"
        self._write(self._screen.frame(committed, []) or to_beginning)
        self._due_s = None

    def _queue(self, text: str) -> None:
        self._new.extend(text[at : at + _FRAME_CHARS] for at in range(0, len(text), _FRAME_CHARS))

    def _text(self) -> str:
        """The next text to show, and not too much of it for one frame."""
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

    def _hold(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._take(piece)
        self._held.mend()

    def _take(self, piece: Piece) -> None:
        held = self._held
        match piece:
            case Finished(part=part, is_open=is_open):
                self._preview.forget()
                held.add(part, is_open=is_open)
            case FenceOpened(language=language):
                self._code, self._code_is_empty = Highlighter(language), True
                held.add_code([Text()] * (1 if held.last is Above.NOTHING else 2))
            case FenceLines(code=code):
                self._code_is_empty = False
                held.add_code(self._code.lines(code) if self._code else [])
            case FenceClosed():
                self._code = None
                held.add_code([Text()] * (2 if self._code_is_empty else 1))
                held.last = Above.BLOCK

    def _committed_and_live(self) -> tuple[list[Row], list[Row]]:
        room = self._screen.live_room if self._columns >= NARROWEST_COLUMNS else 0
        committed = self._held.settled()
        if not room:
            return committed + self._held.commit_oldest(0, wait_for_numbers=False), []
        rows = self._open_rows()
        committed += self._held.commit_oldest(max(0, room - len(rows)))
        return committed, self._preview.page(self._held.rows, rows, room)

    def _open_rows(self) -> list[Row]:
        blocks = self._blocks
        if self._code is None:
            return self._preview.rows(blocks, above=self._held.last)
        line = blocks.fence_shows(blocks.unfinished_line)
        if line is None:
            return []
        begins = max(0, len(line) // _FRAME_CHARS * _FRAME_CHARS - _FRAME_CHARS)
        return self._renderer.code([self._code.unfinished(line[begins:])])


def due_s(*, last_frame_s: float | None, now_s: float) -> float:
    """When text that came at `now_s` is to be drawn: at once, unless the last frame is too young.

    So there are at most 20 frames a second, and none is later than 50 ms after the text that it shows.

    >>> due_s(last_frame_s=None, now_s=7.0), due_s(last_frame_s=5.0, now_s=7.0), due_s(last_frame_s=7.0, now_s=7.01)
    (7.0, 7.0, 7.05)
    """
    return now_s if last_frame_s is None else max(now_s, last_frame_s + FRAME_S)
