"""JSON output: one object at the end (`--json`), or one line per event (`--jsonl`).

The output is written as bytes, because it is UTF-8 regardless of the locale.
"""

from typing import TextIO

from streamrag_cli.codec import encode, to_json
from streamrag_cli.events import AskEvent, Error, IngestEvent
from streamrag_cli.json_objects import answer_object
from streamrag_cli.render.error_output import print_error


class JsonLines:
    """Writes each event as it arrives, in the format that the server sends after `data: `."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err

    def handle(self, event: AskEvent | IngestEvent) -> None:
        write_line(self._out, to_json(event))
        if isinstance(event, Error):
            print_error(self._err, event.message, event.hint)

    def close(self) -> None:
        """Do nothing: all output is already written."""


class JsonObject:
    """Collects the events and writes one object at the end of the stream, even after an error.

    `thread` is the id of the conversation that the answer starts in the log, or "".
    """

    def __init__(self, out: TextIO, err: TextIO, *, thread: str = "") -> None:
        self._thread = thread
        self._out = out
        self._err = err
        self._events: list[AskEvent] = []

    def handle(self, event: AskEvent) -> None:
        self._events.append(event)
        if isinstance(event, Error):
            print_error(self._err, event.message, event.hint)

    def close(self) -> None:
        write_line(self._out, encode(answer_object(self._events, paths=True, thread=self._thread)))


def write_line(out: TextIO, line: str) -> None:
    out.buffer.write(line.encode("utf-8") + b"\n")
    out.buffer.flush()
