"""Renders the answer as live Markdown on a terminal, with citations as links to their sources.

This module passes the time and the terminal size to the `markdown` package, and sets a timer for a frame that is due
after the last token of a burst.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import ClassVar, TextIO

from streamrag_cli.events import AskEvent, Citations, Done, Error, Sources, Token
from streamrag_cli.model import Source
from streamrag_cli.render.consoles import console_for, size_of
from streamrag_cli.render.links import uri_of
from streamrag_cli.render.markdown import MarkdownStream
from streamrag_cli.render.status_output import StatusOutput


class LiveMarkdown:
    """Renders Markdown on a terminal: each token as it arrives or, with `stream=False`, the complete answer."""

    _moves_cursor: ClassVar = True

    def __init__(self, out: TextIO, status: StatusOutput, *, stream: bool, editor_uri: str = "") -> None:
        self._editor_uri = editor_uri
        self._out = out
        self._status = status
        self._stream = stream
        self._pending: list[str] = []
        self._sources: tuple[Source, ...] | None = None
        self._answer: MarkdownStream | None = None
        self._size = (0, 0)
        self._timer: asyncio.TimerHandle | None = None

    def handle(self, event: AskEvent) -> None:
        match event:
            case Token(text=text) if self._stream:
                self._show(text)
            case Token(text=text):
                self._pending.append(text)
            case Citations() | Done() | Error():
                self._end()
                self._status.handle(event)
            case _:
                if isinstance(event, Sources):
                    self._sources = event.sources
                self._show_status(event)

    def close(self) -> None:
        self._end()
        self._status.close()

    def _show(self, text: str) -> None:
        now_s = time.monotonic()
        answer = self._answer or self._begin()
        self._update_size(answer, now_s)
        answer.feed(text, now_s)
        self._set_timer()

    def _begin(self) -> MarkdownStream:
        self._status.handle(Token(text=""))
        console = console_for(self._out, plain=False)
        self._size = columns, lines = self._size_now()
        self._answer = MarkdownStream(
            self._out,
            columns=columns,
            lines=lines,
            color_system=console.color_system,  # type: ignore[arg-type]  # never "windows" because legacy_windows is off
            no_color=console.no_color,
            references=None if self._sources is None else self._addresses(self._sources),
            moves_cursor=self._moves_cursor,
        )
        return self._answer

    def _size_now(self) -> tuple[int, int]:
        return size_of(self._out)

    def _addresses(self, sources: Iterable[Source]) -> dict[int, str]:
        return {source.n: uri_of(source, self._editor_uri) for source in sources}

    def _update_size(self, answer: MarkdownStream, now_s: float) -> None:
        size = self._size_now()
        if size != self._size:
            self._size = size
            answer.resize(*size, now_s)

    def _set_timer(self) -> None:
        if self._timer is not None or self._answer is None or self._answer.due_s is None:
            return
        with contextlib.suppress(RuntimeError):  # no event loop: the next token draws the frame
            wait_s = max(0.0, self._answer.due_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._answer is not None:
            with contextlib.suppress(OSError):  # the next write fails as well and reports the error
                now_s = time.monotonic()
                self._update_size(self._answer, now_s)
                self._answer.tick(now_s)
            self._set_timer()

    def _show_status(self, event: AskEvent) -> None:
        if self._answer is not None:
            self._answer.suspend(time.monotonic())
        self._status.handle(event)
        self._set_timer()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending and self._answer is None:
            self._begin()
        answer, self._answer = self._answer, None
        if answer is not None:
            self._update_size(answer, time.monotonic())
            answer.finish("".join(self._pending))
            self._pending = []


class AppendedMarkdown(LiveMarkdown):
    """Renders Markdown in colour for a pipe, such as to `less -R`. A block is written when it can no longer change.

    The layout fits the terminal `screen`. There are no links, because pagers may not support them. With
    `has_footnotes`, the cited sources follow as a Markdown list.
    """

    _moves_cursor: ClassVar = False

    def __init__(
        self, out: TextIO, status: StatusOutput, *, screen: TextIO, stream: bool, has_footnotes: bool = False
    ) -> None:
        super().__init__(out, status, stream=stream)
        self._screen = screen
        self._has_footnotes = has_footnotes

    def handle(self, event: AskEvent) -> None:
        if isinstance(event, Citations) and self._has_footnotes:
            from streamrag_cli.render.plain import footnotes

            self._end()
            self._out.write(footnotes(event, self._sources or ()))
            self._out.flush()
        super().handle(event)

    def _size_now(self) -> tuple[int, int]:
        return size_of(self._screen)

    def _addresses(self, sources: Iterable[Source]) -> dict[int, str]:
        return {source.n: "" for source in sources}
