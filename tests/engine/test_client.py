"""A client whose engine dies after its first events."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

from streamrag_cli.codec import event_line, to_line
from streamrag_cli.engine.address import EngineAddress
from streamrag_cli.engine.client import Connection, _events
from streamrag_cli.events import AskEvent, Done, Error, Event, QuestionAsked, Sources, Status
from streamrag_cli.model import Timings

QUESTION = QuestionAsked(n=2, thread="", text="And then?", searched_for=("And then?",))
DONE = Done(finish_reason="stop", model="m", usage=None, timings=Timings())
REST: list[AskEvent] = [Status(status="retrieving"), Sources(sources=()), DONE]


async def _fallback() -> AsyncGenerator[AskEvent, None]:
    for event in (QUESTION, *REST):
        yield event


def shown_if_the_engine_sends(*sent: Event) -> list[AskEvent]:
    """The events that a client shows if its engine exits after these events."""

    async def collect() -> list[AskEvent]:
        ours, engine = socket.socketpair()
        engine.sendall(to_line({}) + b"".join(map(event_line, sent)))
        engine.close()
        address = EngineAddress(directory=Path("/nowhere"), identity="x")
        return [each async for each in _events(Connection(ours, address, (Done, Error)), _fallback)]

    return asyncio.run(collect())


def test_falling_back_before_the_sources_does_not_repeat_the_question_event() -> None:
    assert shown_if_the_engine_sends() == [QUESTION, *REST]
    assert shown_if_the_engine_sends(QUESTION) == [QUESTION, *REST]
    assert shown_if_the_engine_sends(QUESTION, REST[0]) == [QUESTION, REST[0], *REST]


def test_an_engine_that_dies_after_the_sources_is_an_error() -> None:
    *events, end = shown_if_the_engine_sends(QUESTION, *REST[:2])

    assert events == [QUESTION, *REST[:2]]
    assert isinstance(end, Error)
    assert end.code == "engine_lost"
