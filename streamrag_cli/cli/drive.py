"""Drives a stream of events into a renderer until it ends or somebody ends it."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final, Protocol

from streamrag_cli.cli.process import leave_at_once
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Error, IngestDone, IngestEvent
from streamrag_cli.render.renderer import Renderer

_CODE_OF_SIGNAL: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class IngestRenderer(Protocol):
    """Shows one stream of ingest events; `close` is called however it ends."""

    def handle(self, event: IngestEvent) -> None: ...

    def close(self) -> None: ...


def drive(events: AsyncGenerator[AskEvent, None], renderer: Renderer) -> ExitCode:
    """Show an answer's events and return the exit code that they mean.

    On Ctrl-C or SIGTERM the stream is closed, and with it the connection to the model; what was shown stays.
    Then the process ends at once: a thread in the middle of an import would hold it for a second more.
    """
    return asyncio.run(_drive(events, renderer))


async def _drive(events: AsyncGenerator[AskEvent, None], renderer: Renderer) -> ExitCode:
    signals: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    showing = asyncio.create_task(_show(events, renderer))

    def end(number: signal.Signals) -> None:
        signals.append(number)
        showing.cancel()

    for number in _CODE_OF_SIGNAL:
        loop.add_signal_handler(number, end, number)
    try:
        return await showing
    except asyncio.CancelledError:
        if not signals:
            raise
        leave_at_once(_CODE_OF_SIGNAL[signals[0]])


async def _show(events: AsyncGenerator[AskEvent, None], renderer: Renderer) -> ExitCode:
    code = ExitCode.BUG  # a stream without an end
    try:
        async with aclosing(events):
            async for event in events:
                code = ExitCode(event.exit_code) if isinstance(event, Error) else ExitCode.OK
                renderer.handle(event)
    except OSError:
        with contextlib.suppress(OSError):  # the same stream would only fail again
            renderer.close()
        raise
    except BaseException:
        renderer.close()
        raise
    renderer.close()
    return code


def drive_ingest(events: Iterable[IngestEvent], renderer: IngestRenderer) -> ExitCode:
    """Show an ingest's events and return the exit code that they mean."""
    code = ExitCode.BUG
    try:
        for event in events:
            match event:
                case Error():
                    code = ExitCode(event.exit_code)
                case IngestDone(counts=counts):
                    code = ExitCode.SOME_FILES_FAILED if counts["failed"] else ExitCode.OK
                case _:
                    pass
            renderer.handle(event)
    finally:
        renderer.close()
    return code
