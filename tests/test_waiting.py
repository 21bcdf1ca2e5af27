"""The status line shown while waiting."""

import asyncio
import io

import pytest

from streamrag_cli.events import AskEvent, Citations, Notice, Status, Token
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
    """A terminal output on which a test can wait for a text."""

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


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def paused(out: WatchedTerminal, clock: Clock, *, gives_up_s: float | None = 60.0) -> WaitingLine:
    """A waiting line in the middle of an answer. Tests set the clock ahead of its timer."""
    line = WaitingLine(WritingRenderer(out), out, columns=lambda: 80, gives_up_s=gives_up_s, clock=clock)
    line.handle(Status(status="generating", detail="waiting for m"))
    line.handle(Token(text="Half a "))
    return line


@pytest.mark.timeout(20)
@pytest.mark.fault("model-stalls")
def test_a_pause_in_an_answer_is_shown_until_the_next_token() -> None:
    out, clock = WatchedTerminal(), Clock()

    async def wait() -> None:
        line = await paused(out, clock)
        clock.now_s = 12.9
        await out.shows("no data for 12 s; giving up after 60 s")
        line.handle(Token(text="sentence."))
        line.close()

    asyncio.run(wait())

    assert out.getvalue().startswith("Half a \r\x1b[2Kno data")
    assert last_line(out.getvalue()) == "sentence.|"


@pytest.mark.timeout(20)
def test_a_pause_is_not_shown_without_a_limit_or_after_the_answer() -> None:
    out, clock = WatchedTerminal(), Clock()

    async def wait() -> None:
        unlimited = await paused(out, clock, gives_up_s=None)
        ended = await paused(out, clock)
        ended.handle(Citations(citations=(), unknown=()))
        clock.now_s = 30.0
        await asyncio.sleep(0)
        assert [each._timer for each in (unlimited, ended)] == [None, None]

    asyncio.run(wait())

    assert "no data" not in out.getvalue()


@pytest.mark.timeout(20)
def test_a_notice_does_not_end_the_wait() -> None:
    out = WatchedTerminal()

    async def wait() -> None:
        line = WaitingLine(WritingRenderer(out), out, columns=lambda: 80)
        line.handle(Status(status="retrying", detail="waiting for m, retry 1 of 2"))
        line.handle(Notice(message="busy; retrying in 0.5 s, 1 of 2", code="retrying"))
        await out.shows("waiting for m, retry 1 of 2…")
        line.close()

    asyncio.run(wait())


@pytest.mark.timeout(20)
def test_a_line_that_a_narrower_window_has_wrapped_is_erased_completely() -> None:
    out, columns = WatchedTerminal(), [80]

    async def wait() -> None:
        line = WaitingLine(WritingRenderer(out), out, columns=lambda: columns[0])
        line.handle(Status(status="generating", detail="waiting for a model with a long name"))
        await out.shows("long name…")
        columns[0] = 15
        line.handle(Token(text="Ada."))
        line.close()

    asyncio.run(wait())

    assert out.getvalue().endswith("\r\x1b[2A\x1b[JAda.|")
