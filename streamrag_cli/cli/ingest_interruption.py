"""Reports an ingest's interruption immediately, because saving the embedded passages may take seconds."""

import contextlib
import shlex
import threading

from streamrag_cli.cli.process import Process
from streamrag_cli.cli.run import interruption
from streamrag_cli.counting import counted_noun
from streamrag_cli.events import Error, IngestEvent
from streamrag_cli.render.interface import Renderer


class InterruptibleRenderer:
    """Passes events to a renderer until an interruption, which closes the renderer. Later events are ignored."""

    def __init__(self, renderer: Renderer[IngestEvent], process: Process) -> None:
        self._renderer = renderer
        self._process = process
        self._ended = threading.Lock()

    def handle(self, event: IngestEvent) -> None:
        if isinstance(event, Error):
            self._end(event)
        elif not self._ended.locked():
            self._renderer.handle(event)

    def close(self) -> None:
        self._end(None)

    def interrupted(self, kept_passages: int = 0) -> None:
        """Report a received signal, if any, and restore the terminal. Can be called from any thread."""
        if code := self._process.signals.received:
            note = f"{counted_noun(kept_passages, 'passage')} {'is' if kept_passages == 1 else 'are'} kept"
            note = note if kept_passages else ""
            with contextlib.suppress(OSError):  # Ctrl-C also ends the process that reads the pipe
                self._end(interruption(code, "ingest", to_continue(self._process), self._process, note=note))

    def _end(self, event: Error | None) -> None:
        if self._ended.acquire(blocking=False):
            try:
                if event:
                    self._renderer.handle(event)
            finally:
                self._renderer.close()


def to_continue(process: Process) -> str:
    """Return the hint that explains how to continue an interrupted ingest."""
    return f"run the same command again to continue: streamrag {shlex.join(process.arguments)}"
