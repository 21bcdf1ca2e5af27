"""`run`: renders a stream of events and returns the exit code."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from streamrag_cli.cli.process import settings_from
from streamrag_cli.cli.run import run
from streamrag_cli.cli.signals import Interrupted
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, DocumentSeen, Done, Error, IngestDone, IngestEvent, Notice, Token
from streamrag_cli.model import Timings
from tests.support.process import process

DONE = Done(finish_reason="stop", model="m", usage=None, timings=Timings())
NOTHING = Error(message="nothing", code="nothing_relevant", hint="streamrag status", retryable=False, exit_code=7)
COUNTS = dict.fromkeys(("added", "changed", "unchanged", "deleted", "skipped", "failed"), 0)


class RecordingRenderer:
    """A renderer that records its events. `error` is raised by every call, as on a full disk."""

    def __init__(self, error: OSError | None = None) -> None:
        self.shown: list[object] = []
        self.closed = 0
        self._error = error

    def handle(self, event: object) -> None:
        self.shown.append(event)
        if self._error:
            raise self._error

    def close(self) -> None:
        self.closed += 1
        if self._error:
            raise self._error


async def answer(*events: AskEvent) -> AsyncGenerator[AskEvent, None]:
    for event in events:
        yield event


def ingest(*events: IngestEvent) -> list[IngestEvent]:
    return list(events)


def ingested(failed: int) -> IngestDone:
    counts = {**COUNTS, "failed": failed}
    return IngestDone(counts=counts, chunks_written=0, chunks=0, elapsed_ms=1.0, dry_run=False)  # type: ignore[arg-type]


def test_the_last_event_determines_the_exit_code() -> None:
    codes = [
        run(answer(Token(text="x"), DONE), RecordingRenderer(), process()),
        run(answer(NOTHING), RecordingRenderer(), process()),
        run(answer(), RecordingRenderer(), process()),
        run(ingest(ingested(failed=0)), RecordingRenderer(), process()),
        run(ingest(ingested(failed=2)), RecordingRenderer(), process()),
    ]

    assert codes == [0, 7, ExitCode.BUG, 0, ExitCode.SOME_FILES_FAILED]


def test_commands_in_notices_and_hints_repeat_the_collection_flag() -> None:
    here, renderer = process(environment={"HOME": "/home/someone"}), RecordingRenderer()
    settings_from(here, {"collection": "laws"})
    notice = Notice(message="a.md no longer exists: streamrag ingest --remove a.md", code="source_gone")

    run(answer(notice, NOTHING), renderer, here)

    assert [getattr(each, "hint", getattr(each, "message", "")) for each in renderer.shown] == [
        "a.md no longer exists: streamrag ingest --remove a.md -c laws",
        "streamrag status -c laws",
    ]


@pytest.mark.parametrize("part_of", ["ingest", ""])
def test_an_interruption_is_shown_only_if_the_caller_names_what_is_incomplete(part_of: str) -> None:
    here, renderer = process(), RecordingRenderer()
    seen = DocumentSeen(source="a.md", action="added")

    def interrupted() -> Iterator[IngestEvent]:
        yield seen
        here.signals.received = ExitCode.TERMINATED
        raise Interrupted(ExitCode.TERMINATED)

    with pytest.raises(Interrupted):
        run(interrupted(), renderer, here, part_of=part_of, hint="again")

    last = Error(
        message="terminated before the ingest was complete",
        code="terminated",
        hint="again",
        retryable=True,
        exit_code=143,
    )
    assert renderer.shown == [seen, *([last] if part_of else [])]
    assert renderer.closed == 1


def test_an_error_caused_by_a_signal_is_treated_as_an_interruption() -> None:
    here = process()
    here.signals.received = ExitCode.INTERRUPTED

    with pytest.raises(Interrupted):
        run(ingest(NOTHING), RecordingRenderer(), here)


@pytest.mark.parametrize("stream", [answer(DONE), ingest(ingested(failed=0))], ids=["answer", "ingest"])
def test_an_output_error_stops_the_run_and_is_raised(
    stream: AsyncGenerator[AskEvent, None] | list[IngestEvent],
) -> None:
    full = OSError(28, "No space left on device")
    renderer = RecordingRenderer(error=full)

    with pytest.raises(OSError, match="No space left") as raised:
        run(stream, renderer, process())

    assert (raised.value, len(renderer.shown), renderer.closed) == (full, 1, 1)


def test_the_stream_is_closed_if_the_renderer_fails() -> None:
    closed: list[bool] = []

    async def events() -> AsyncGenerator[AskEvent, None]:
        try:
            yield DONE
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="full"):
        run(events(), RecordingRenderer(error=OSError("full")), process())

    assert closed == [True]


def test_debug_is_recognised_only_before_a_double_dash() -> None:
    assert [process("ask", *rest).debug for rest in (["--debug", "x"], ["x", "--debug"], ["--", "--debug"], [])] == [
        True,
        True,
        False,
        False,
    ]
