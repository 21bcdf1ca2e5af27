"""Answers to record in a log."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

from streamrag_cli.events import AskEvent, Citations, Done, Sources, Status, Token
from streamrag_cli.history.conversation_log import ConversationLog
from streamrag_cli.model import Citation, Question, Source, Timings
from streamrag_cli.settings import Settings
from tests.support.command_line import LIMIT_S

SOURCE = Source(
    n=1,
    source="rules/berths.md",
    page=None,
    line_start=3,
    line_end=9,
    title="Harbour rules > Berths",
    content="A passage that must not be logged.",
    score=0.81239,
    chunk_id="c1",
    path="/srv/rules/berths.md",
)
SETTINGS = Settings(store=Path("/srv/store"), collection="harbour", model="test-model")


def answer_events(*pieces: str) -> tuple[AskEvent, ...]:
    """The events of an answer that cites `SOURCE`."""
    return (
        Status(status="retrieving"),
        Sources(sources=(SOURCE,)),
        Status(status="generating"),
        *(Token(text=each) for each in pieces),
        Citations(citations=(Citation(n=1, source=SOURCE.source, chunk_id="c1"),), unknown=()),
        Done(finish_reason="stop", model="test-model", usage=None, timings=Timings(total_ms=12.34)),
    )


def record(
    log: ConversationLog,
    question: str | Question,
    events: Iterable[AskEvent] = (),
    *,
    thread: str = "",
    terminal: str = "",
    settings: Settings = SETTINGS,
    announce: bool = False,
) -> list[AskEvent]:
    """Record an answer, by default "An answer.", and return the events that a renderer would get."""
    request = question if isinstance(question, Question) else Question(text=question, accepted_at=0.0, thread=thread)

    async def service() -> AsyncGenerator[AskEvent, None]:
        for event in events or answer_events("An ", "answer."):
            yield event

    async def run() -> list[AskEvent]:
        recorded = log.record(service(), request, settings, terminal=terminal, announce=announce)
        async with aclosing(recorded):
            return [event async for event in recorded]

    return asyncio.run(run())


def bytes_of(log: ConversationLog) -> bytes:
    """The content of the log's files, including those of SQLite next to it."""
    return b"".join(each.read_bytes() for each in sorted(log.file.parent.glob("log.db*")))


async def until_logged(log: ConversationLog) -> None:
    """Wait until the log contains a part of an answer."""
    deadline_s = time.monotonic() + LIMIT_S
    while not any(each.answer for each in log.find()):
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)
