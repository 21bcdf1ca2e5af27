"""Renders a stream of events until it ends or is interrupted."""

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streamrag_cli.cli.process import Process
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.cli.streams import pipe_of
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import QUOTES_ONLY, Done, Error, IngestDone, Notice
from streamrag_cli.render.interface import Renderer

if TYPE_CHECKING:
    import asyncio

    from streamrag_cli.bench import BenchEvent
    from streamrag_cli.events import AskEvent, IngestEvent

AnyEvent = TypeVar("AnyEvent", bound="AskEvent | IngestEvent | BenchEvent")


def run(
    events: AsyncGenerator[AnyEvent, None] | Iterable[AnyEvent],
    renderer: Renderer[AnyEvent],
    process: Process,
    *,
    part_of: str = "",
    hint: str = "",
    runner: "asyncio.Runner | None" = None,
) -> ExitCode:
    """Render the events and return the exit code for the last event.

    Ctrl-C, SIGTERM or a closed stdout pipe closes the event stream, and with it the connection to the model. If a
    signal ends the stream and `part_of` is set, for example to "answer", an error with `hint` reports that the output
    is incomplete.

    For an asynchronous stream, a closed pipe is detected immediately instead of at the next write, which may be minutes
    later. The process then exits without waiting for threads that are still importing. If a `runner` is passed, the
    stream runs in its event loop, and the process does not exit: the caller decides what an interruption ends.
    """
    stream = _RenderedStream(renderer, process, part_of, hint)
    if not isinstance(events, AsyncGenerator):
        with stream, closing_if_possible(events):
            for event in events:
                stream.handle(event)
        return stream.code

    import asyncio  # takes 30 ms, and an ingest does not need it

    if runner is None:
        code = asyncio.run(_run_async(events, stream, process, exits=True))
    else:
        code = runner.run(_run_async(events, stream, process, exits=False))
    return code


async def _run_async(
    events: AsyncGenerator[AnyEvent, None], stream: "_RenderedStream[AnyEvent]", process: Process, *, exits: bool
) -> ExitCode:
    import asyncio  # already imported by `run`

    async def render() -> ExitCode:
        async with aclosing(events):
            with stream:
                async for event in events:
                    stream.handle(event)
        return stream.code

    loop = asyncio.get_running_loop()
    task = loop.create_task(render())

    def end(code: ExitCode) -> None:
        stream.ended_by = stream.ended_by or code
        loop.call_soon_threadsafe(task.cancel)

    with process.signals.on_signal(end), _on_pipe_closed(pipe_of(process.out), end):
        try:
            return await task
        except asyncio.CancelledError:
            if stream.ended_by is None:
                raise
            if not exits:
                return stream.ended_by
            process.exit_immediately(stream.ended_by)


@contextmanager
def closing_if_possible(events: object) -> Iterator[None]:
    """Close a generator at the end of the block, so that it can finish its work before the process ends."""
    try:
        yield
    finally:
        if isinstance(events, Generator):
            events.close()


@contextmanager
def _on_pipe_closed(pipe: int | None, end: Any) -> Iterator[None]:
    """Within the block, call `end` as soon as the reader closes the pipe."""
    import asyncio  # already imported by `run`

    loop = asyncio.get_running_loop()

    def pipe_closed() -> None:
        loop.remove_reader(pipe)  # type: ignore[arg-type]
        end(ExitCode.BROKEN_PIPE)

    if pipe is not None:
        loop.add_reader(pipe, pipe_closed)  # the event loop reports a pipe as readable when its reader has closed it
    try:
        yield
    finally:
        if pipe is not None:
            loop.remove_reader(pipe)


class _RenderedStream(Generic[AnyEvent]):
    """Passes the events in one stream to a renderer, which is closed at the end of the `with` block.

    `code` is the exit code for the last event. `ended_by` is set if a signal or a closed pipe ended the stream.
    """

    def __init__(self, renderer: Renderer[AnyEvent], process: Process, part_of: str, hint: str) -> None:
        self.code = ExitCode.BUG  # if the stream has no events
        self.ended_by: ExitCode | None = None
        self._ended = False
        self._renderer = renderer
        self._process = process
        self._part_of = part_of
        self._hint = hint

    def handle(self, event: AnyEvent) -> None:
        if isinstance(event, Error) and self._process.signals.received and self.ended_by is None:
            raise Interrupted(self._process.signals.received)  # a C extension replaced Interrupted with another error
        self.code = _code_of(event)
        self._ended = isinstance(event, Done | IngestDone | Error)
        self._renderer.handle(_with_target_flags(event, self._process))

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.ended_by = self.ended_by or (self._process.signals.received if error else None)
        # After a failed write, another would fail as well. Ctrl-C also ends the process that reads the pipe.
        fails_again = isinstance(error, OSError) or self.ended_by is not None
        with contextlib.suppress(OSError) if fails_again else contextlib.nullcontext():
            if self._part_of and not self._ended and self.ended_by not in {None, ExitCode.BROKEN_PIPE}:
                self._renderer.handle(interruption(self.ended_by, self._part_of, self._hint, self._process))  # type: ignore[arg-type]
            self._renderer.close()


def interruption(code: ExitCode, part_of: str, hint: str, process: Process, *, note: str = "") -> Error:
    """Return the final event for an interrupted stream, whose output is incomplete. The message ends with `note`."""
    word = code.name.lower()
    message = f"{word.replace('_', ' ')} before the {part_of} was complete" + (f"; {note}" if note else "")
    return _with_target_flags(Error(message=message, code=word, hint=hint, retryable=True, exit_code=code), process)


def _code_of(event: object) -> ExitCode:
    match event:
        case Error(exit_code=code):
            return ExitCode(code)
        case IngestDone(counts=counts) if counts["failed"]:
            return ExitCode.SOME_FILES_FAILED
        case _:
            return ExitCode.OK


def _with_target_flags(event: AnyEvent, process: Process) -> AnyEvent:
    """Add this command line's `-c` and `--store` flags to the commands in an event."""
    match event:
        case Error():
            return replace(event, hint=process.hint_of(event))
        case Notice(code="root_gone" | "source_changed" | "source_gone" | "multilingual_suggested" | "watch_failing"):
            return replace(event, message=process.with_target_flags(event.message))
        case Notice(code=QUOTES_ONLY.code) if process.hint_command.command == "chat":
            return replace(event, message=process.hint_command.complete(event.message))
        case _:
            return event
