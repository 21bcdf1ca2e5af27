"""Live rendering of an answer: events produce frames, and a timer draws the last one."""

import asyncio
import io

from streamrag_cli.events import AskEvent, Notice, Sources, Token
from streamrag_cli.model import Source
from streamrag_cli.render.live import LiveMarkdown
from streamrag_cli.render.status_output import StatusPanel

SOURCE = Source(
    n=1, source="book.md", page=None, line_start=12, line_end=14, title="", content="", score=0.9, chunk_id="c",
    path="/library/my book.md",
)  # fmt: skip


class TerminalInMemory(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.has_new = asyncio.Event()

    def write(self, text: str) -> int:
        self.has_new.set()
        return super().write(text)

    def isatty(self) -> bool:
        return True


def renderer(out: TerminalInMemory, *, stream: bool = True) -> LiveMarkdown:
    return LiveMarkdown(out, StatusPanel(out, plain=True), stream=stream)


def shown(events: list[AskEvent], *, stream: bool = True) -> str:
    out = TerminalInMemory()
    live = renderer(out, stream=stream)
    for event in events:
        live.handle(event)
    live.close()
    return out.getvalue()


def test_the_end_of_a_burst_is_drawn_without_another_token() -> None:
    async def burst(out: TerminalInMemory) -> None:
        live = renderer(out)
        for word in ("one", " two", " three"):
            live.handle(Token(text=word))
        assert "three" not in out.getvalue()
        out.has_new.clear()
        async with asyncio.timeout(5):
            await out.has_new.wait()
        assert " two three" in out.getvalue()
        live.close()

    asyncio.run(burst(TerminalInMemory()))


def test_a_citation_links_to_its_file_and_line() -> None:
    text = shown([Sources(sources=(SOURCE,)), Token(text="So it is [1]")])

    assert "\x1b]8;;file:///library/my%20book.md#12\x1b\\" in text


def test_a_notice_appears_above_the_open_block() -> None:
    text = shown([Token(text="Half a "), Notice(message="slow", code="slow"), Token(text="sentence")])

    assert text.index("\x1b[J") < text.index("note: slow") < text.index("Half a sentence")


def test_without_streaming_the_answer_is_drawn_in_one_frame() -> None:
    events: list[AskEvent] = [Token(text="Half a "), Token(text="sentence.\n\nEnd.")]

    assert shown(events, stream=False).split("\x1b[?2026h")[-1] == "\rHalf a sentence.\r\n\r\nEnd.\r\n\x1b[?2026l"
