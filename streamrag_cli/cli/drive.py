"""Drives a stream of events into a renderer until it ends or somebody ends it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from streamrag_cli.cli.interruption import Interrupted, on_signal, received
from streamrag_cli.cli.process import hint_of, leave_at_once, with_target_flags
from streamrag_cli.cli.streams import stdout_pipe
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Done, Error, IngestDone, IngestEvent, Notice
from streamrag_cli.render.renderer import Renderer


class IngestRenderer(Protocol):
    """Shows one stream of ingest events; `close` is called however it ends."""

    def handle(self, event: IngestEvent) -> None: ...

    def close(self) -> None: ...


def drive(events: AsyncGenerator[AskEvent, None], renderer: Renderer) -> ExitCode:
    """Show an answer's events and return the exit code that they mean.

    On Ctrl-C or SIGTERM the stream is closed, and with it the connection to the model; what was shown stays. The
    same when the reader of stdout goes away, which is noticed at once: a model may think for minutes before the
    next write would tell. Then the process ends without waiting for a thread in the middle of an import.
    """
    return asyncio.run(_Drive(events, renderer).run())


class _Drive:
    """One stream on its way to one renderer. `_ended_by` is set when somebody ends it from outside."""

    def __init__(self, events: AsyncGenerator[AskEvent, None], renderer: Renderer) -> None:
        self._events = events
        self._renderer = renderer
        self._ended_by: ExitCode | None = None

    async def run(self) -> ExitCode:
        loop = asyncio.get_running_loop()
        showing = loop.create_task(self._show())

        def end(code: ExitCode) -> None:
            self._ended_by = self._ended_by or code
            loop.call_soon_threadsafe(showing.cancel)

        def reader_left(pipe: int) -> None:
            loop.remove_reader(pipe)
            end(ExitCode.BROKEN_PIPE)

        pipe = stdout_pipe()
        if pipe is not None:
            loop.add_reader(pipe, reader_left, pipe)  # the writing end turns "readable" when nobody reads any more
        with on_signal(end):
            try:
                return await showing
            except asyncio.CancelledError:
                if self._ended_by is None:
                    raise
                leave_at_once(self._ended_by)
            finally:
                if pipe is not None:
                    loop.remove_reader(pipe)

    async def _show(self) -> ExitCode:
        code = ExitCode.BUG  # a stream without an end
        ended = False
        async with aclosing(self._events) as events:
            try:
                async for event in events:
                    code = ExitCode(event.exit_code) if isinstance(event, Error) else ExitCode.OK
                    ended = isinstance(event, Done | Error)
                    self._renderer.handle(replace(event, hint=hint_of(event)) if isinstance(event, Error) else event)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):  # Ctrl-C has ended the reader of the pipe, too
                    if not ended and self._ended_by not in {None, ExitCode.BROKEN_PIPE}:
                        self._renderer.handle(_interruption(self._ended_by or ExitCode.INTERRUPTED, of="answer"))
                    self._renderer.close()
                raise
            except OSError:
                with contextlib.suppress(OSError):  # the same stream would only fail again
                    self._renderer.close()
                raise
            except BaseException:
                self._renderer.close()
                raise
            self._renderer.close()
        return code


def _interruption(code: ExitCode, *, of: str, hint: str = "") -> Error:
    """How a stream ends that somebody interrupts: what is there is marked as a part."""
    word = code.name.lower()
    message = f"{word} before the {of} was complete"
    return Error(message=message, code=word, hint=hint, retryable=True, exit_code=code)


def drive_ingest(events: Iterable[IngestEvent], renderer: IngestRenderer) -> ExitCode:
    """Show an ingest's events and return the exit code that they mean."""
    code = ExitCode.BUG
    try:
        for event in events:
            if isinstance(event, Error) and (interrupted := received()):
                raise Interrupted(interrupted)
            match event:
                case Error():
                    code = ExitCode(event.exit_code)
                    event = replace(event, hint=hint_of(event))  # noqa: PLW2901
                case Notice(message=message, code="root_gone"):
                    event = replace(event, message=with_target_flags(message))  # noqa: PLW2901
                case IngestDone(counts=counts):
                    code = ExitCode.SOME_FILES_FAILED if counts["failed"] else ExitCode.OK
                case _:
                    pass
            renderer.handle(event)
    except Interrupted as interruption:
        renderer.handle(_interruption(interruption.code, of="ingest", hint="streamrag ingest PATH"))
        raise
    finally:
        renderer.close()
    return code
