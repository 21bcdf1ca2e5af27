"""Runs a stream of events through a renderer until it ends or somebody ends it: the one way of every command."""

import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streamrag_cli.cli.process import Process
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.cli.streams import pipe_of
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import Done, Error, IngestDone, Notice
from streamrag_cli.render.interface import Renderer

if TYPE_CHECKING:
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
) -> ExitCode:
    """Show the events and return the exit code that the last one means.

    On Ctrl-C or SIGTERM the stream is closed, and with it the connection to the model; what was shown stays, and if it
    is `part_of` something it is marked as such, with `hint`. The same when the reader of stdout goes away, which is
    noticed at once while an asynchronous stream is silent: a model may think for minutes before the next write would
    tell. Such a stream's process then ends without waiting for a thread in the middle of an import.
    """
    showing = _Showing(renderer, process, part_of, hint)
    if not isinstance(events, AsyncGenerator):
        with showing:
            for event in events:
                showing.handle(event)
        return showing.code

    import asyncio  # 30 ms, which an ingest does not need

    return asyncio.run(_watched(events, showing, process))


async def _watched(events: AsyncGenerator[AnyEvent, None], showing: "_Showing[AnyEvent]", process: Process) -> ExitCode:
    import asyncio  # loaded by `run`

    async def show() -> ExitCode:
        async with aclosing(events):
            with showing:
                async for event in events:
                    showing.handle(event)
        return showing.code

    loop = asyncio.get_running_loop()
    task = loop.create_task(show())

    def end(code: ExitCode) -> None:
        showing.ended_by = showing.ended_by or code
        loop.call_soon_threadsafe(task.cancel)

    with process.signals.on_signal(end), _watching(pipe_of(process.out), end):
        try:
            return await task
        except asyncio.CancelledError:
            if showing.ended_by is None:
                raise
            process.exit_immediately(showing.ended_by)


@contextmanager
def _watching(pipe: int | None, end: Any) -> Iterator[None]:
    """Within the block `end` is called as soon as nobody reads the pipe any more."""
    import asyncio  # loaded by `run`

    loop = asyncio.get_running_loop()

    def reader_left() -> None:
        loop.remove_reader(pipe)  # type: ignore[arg-type]
        end(ExitCode.BROKEN_PIPE)

    if pipe is not None:
        loop.add_reader(pipe, reader_left)  # the writing end turns "readable" when nobody reads any more
    try:
        yield
    finally:
        if pipe is not None:
            loop.remove_reader(pipe)


class _Showing(Generic[AnyEvent]):
    """One stream on its way to one renderer, which is closed when the block ends, however it ends.

    `code` is what the last event means; `ended_by` is set when somebody ends the stream from outside.
    """

    def __init__(self, renderer: Renderer[AnyEvent], process: Process, part_of: str, hint: str) -> None:
        self.code = ExitCode.BUG  # a stream without an end
        self.ended_by: ExitCode | None = None
        self._ended = False
        self._renderer = renderer
        self._process = process
        self._part_of = part_of
        self._hint = hint

    def handle(self, event: AnyEvent) -> None:
        if isinstance(event, Error) and self._process.signals.received and self.ended_by is None:
            raise Interrupted(self._process.signals.received)  # foreign code has made an error of it
        self.code = _code_of(event)
        self._ended = isinstance(event, Done | IngestDone | Error)
        self._renderer.handle(_with_target_flags(event, self._process))

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.ended_by = self.ended_by or (self._process.signals.received if error else None)
        # What a stream refused once it refuses again, and Ctrl-C has ended the reader of the pipe, too.
        fails_again = isinstance(error, OSError) or self.ended_by is not None
        with contextlib.suppress(OSError) if fails_again else contextlib.nullcontext():
            if self._part_of and not self._ended and self.ended_by not in {None, ExitCode.BROKEN_PIPE}:
                self._renderer.handle(_with_target_flags(self._interruption(self.ended_by), self._process))  # type: ignore[arg-type]
            self._renderer.close()

    def _interruption(self, code: ExitCode) -> Error:
        """How a stream ends that somebody interrupts: what is there is marked as a part."""
        word = code.name.lower()
        message = f"{word} before the {self._part_of} was complete"
        return Error(message=message, code=word, hint=self._hint, retryable=True, exit_code=code)


def _code_of(event: object) -> ExitCode:
    match event:
        case Error(exit_code=code):
            return ExitCode(code)
        case IngestDone(counts=counts) if counts["failed"]:
            return ExitCode.SOME_FILES_FAILED
        case _:
            return ExitCode.OK


def _with_target_flags(event: AnyEvent, process: Process) -> AnyEvent:
    """The event; commands in it are for the collection and the store that the command's flags name."""
    match event:
        case Error():
            return replace(event, hint=process.hint_of(event))
        case Notice(code="root_gone" | "source_gone"):
            return replace(event, message=process.with_target_flags(event.message))
        case _:
            return event
