"""The status line shown while waiting."""

import asyncio
import io

import pytest

from streamrag_cli.events import AskEvent, Status, Token
from streamrag_cli.render.waiting import WaitingLine


class WritingRenderer:
    """A renderer that writes its events to the same terminal."""

    def __init__(self, out: io.StringIO) -> None:
        self._out = out

    def handle(self, event: AskEvent) -> None:
        if isinstance(event, Token):
            self._out.write(event.text)

    def close(self) -> None:
        self._out.write("|")


class WatchedTerminal(io.StringIO):
    """A terminal that can be waited on."""

    def __init__(self) -> None:
        super().__init__()
        self._expected = ""
        self._seen = asyncio.Event()

    def write(self, text: str, /) -> int:
        length = super().write(text)
        if self._expected and self._expected in self.getvalue():
            self._seen.set()
        return length

    async def shows(self, text: str) -> None:
        self._expected = text
        await self._seen.wait()


def last_line(written: str) -> str:
    """The text that remains visible of a line that is erased and rewritten."""
    return written.rsplit("\r\x1b[2K", 1)[-1]


@pytest.mark.timeout(20)
def test_the_status_line_is_shown_during_a_wait_and_then_erased() -> None:
    out = WatchedTerminal()

    async def wait() -> None:
        line = WaitingLine(WritingRenderer(out), out, columns=lambda: 80)
        line.handle(Status(status="generating", detail="waiting for m"))
        await out.shows("waiting for m…")
        line.handle(Token(text="Ada."))
        line.close()

    asyncio.run(wait())

    assert last_line(out.getvalue()) == "Ada.|"


@pytest.mark.timeout(20)
def test_the_status_line_shows_the_seconds_of_a_long_wait() -> None:
    out = WatchedTerminal()
    seconds = iter([0.0, 1.24, *[2.5] * 1000])

    async def wait() -> None:
        line = WaitingLine(WritingRenderer(out), out, columns=lambda: 80, clock=lambda: next(seconds))
        line.handle(Status(status="generating", detail="waiting for m"))
        await out.shows("waiting for m… 1.2 s")
        line.close()

    asyncio.run(wait())

    assert last_line(out.getvalue()) == "|"


@pytest.mark.timeout(20)
def test_the_status_line_never_wraps() -> None:
    out = WatchedTerminal()

    async def wait() -> None:
        line = WaitingLine(WritingRenderer(out), out, columns=lambda: 20)
        line.handle(Status(status="generating", detail="waiting for a model with a long name"))
        await out.shows("waiting")
        line.close()

    asyncio.run(wait())

    assert "waiting for a model" in out.getvalue()
    assert "waiting for a model " not in out.getvalue()


def test_no_status_line_is_shown_without_detail_or_on_a_narrow_terminal() -> None:
    out = io.StringIO()

    async def wait() -> None:
        WaitingLine(WritingRenderer(out), out, columns=lambda: 80).handle(Status(status="generating"))
        WaitingLine(WritingRenderer(out), out, columns=lambda: 10).handle(
            Status(status="generating", detail="waiting for m")
        )

    asyncio.run(wait())

    assert out.getvalue() == ""
