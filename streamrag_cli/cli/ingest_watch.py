"""`streamrag ingest --watch`: its flags, and the last event after Ctrl-C or SIGTERM."""

import contextlib
import shlex
from typing import TYPE_CHECKING

from streamrag_cli.cli.process import Process
from streamrag_cli.cli.streams import pipe_of
from streamrag_cli.errors import ExitCode, UsageError
from streamrag_cli.moments import seconds_of
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.events import IngestEvent
    from streamrag_cli.ingest.roots import IngestRequest
    from streamrag_cli.render.interface import Renderer
    from streamrag_cli.watch.options import WatchOptions
    from streamrag_cli.watch.watcher import Watcher

_MOST_SETTLE_S = 5.0
_MOST_EVERY_S = 7 * 86_400.0


def watch_options(
    process: Process, *, watch: bool, every: str | None, settle_time: str | None, poll: bool, conflicting: str
) -> "WatchOptions | None":
    """Return the options from the flags; None without `--watch`.

    `conflicting` is a flag that was given but cannot be combined with `--watch`, or "". Raises UsageError: `usage` for
    flags that cannot be combined, `bad_flag` for a malformed duration.
    """
    if not watch:
        flags = (("--every", every), ("--settle", settle_time), ("--poll", "" if poll else None))
        for flag, value in flags:
            if value is not None:
                words = ["streamrag", "ingest", "--watch", flag, *([shlex.quote(value)] if value else []), "PATH"]
                raise UsageError(f"{flag} requires --watch", code="usage", hint=" ".join(words))
        return None
    if conflicting:
        raise UsageError(
            f"--watch cannot be combined with {conflicting}", code="usage", hint="streamrag ingest --watch PATH"
        )
    from streamrag_cli.watch.options import WatchOptions

    settle_s = seconds_of(settle_time, flag="--settle", least_s=0.01, most_s=_MOST_SETTLE_S) if settle_time else 0.3
    every_s = seconds_of(every, flag="--every", least_s=0.1, most_s=_MOST_EVERY_S) if every else None
    return WatchOptions(
        settle_s=settle_s, every_s=every_s, polls=poll, output=pipe_of(process.out), debug=process.debug
    )


def run_watch(
    request: "IngestRequest",
    settings: Settings,
    options: "WatchOptions",
    renderer: "Renderer[IngestEvent]",
    process: Process,
) -> ExitCode:
    """Watch until a signal arrives, and report whether everything was in sync at that time."""
    from streamrag_cli.cli.run import run
    from streamrag_cli.watch.watcher import Watcher

    watcher = Watcher(request, settings, options)
    ending = _EndingRenderer(renderer, watcher, process)
    process.signals.report = ending.close
    return run(watcher.run(), ending, process)


class _EndingRenderer:
    """Adds the last event after a signal: `done` if everything is in sync, else an error."""

    def __init__(self, renderer: "Renderer[IngestEvent]", watcher: "Watcher", process: Process) -> None:
        self._renderer = renderer
        self._watcher = watcher
        self._process = process
        self._has_ended = False

    def handle(self, event: "IngestEvent") -> None:
        self._renderer.handle(event)

    def close(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            if code := self._process.signals.received:
                with contextlib.suppress(OSError):
                    self._renderer.handle(self._last_event(code))
        finally:
            self._renderer.close()

    def _last_event(self, code: ExitCode) -> "IngestEvent":
        from streamrag_cli.cli.ingest_interruption import to_continue
        from streamrag_cli.cli.run import interruption

        if self._watcher.was_busy:
            return interruption(code, "ingest", to_continue(self._process), self._process)
        return self._watcher.totals
