"""A parser for the event-stream format, small enough to read in one sitting.

It follows the rules of the HTML standard for ``text/event-stream``. Feed it text as it arrives, in
pieces of any size; it gives back the events that became complete. Decode bytes with an incremental
UTF-8 decoder first, or a character that is cut by a network read is lost.

What it deliberately does not do: connect, reconnect, or decide what the end of the stream means. An
event without its closing empty line is never delivered, so call nothing at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event; ``last_event_id`` stays valid until another ``id`` line replaces it."""

    type: str
    data: str
    last_event_id: str


class EventStreamParser:
    """Turns pieces of an event stream into events.

    >>> parser = EventStreamParser()
    >>> list(parser.feed("data: one\\ndata: two\\n"))
    []
    >>> [event.data for event in parser.feed("\\n")]
    ['one\\ntwo']
    """

    def __init__(self) -> None:
        self.reconnection_time_ms: int | None = None
        self._line = ""
        self._at_start = True
        self._after_carriage_return = False
        self._type = ""
        self._data: list[str] = []
        self._last_event_id = ""

    def feed(self, text: str) -> Iterator[ServerSentEvent]:
        """Take the next piece of text and yield every event it completes.

        Line ends are LF, CR LF or CR. A CR at the end of a piece ends its line at once; if the
        next piece then begins with LF, that LF belongs to the same line end and is skipped.
        """
        for character in text:
            if self._at_start:
                self._at_start = False
                if character == "\ufeff":
                    continue
            if character == "\n" and self._after_carriage_return:
                self._after_carriage_return = False
                continue
            self._after_carriage_return = character == "\r"
            if character not in "\r\n":
                self._line += character
                continue
            line, self._line = self._line, ""
            if line:
                self._field(line)
            else:
                yield from self._dispatch()

    def _field(self, line: str) -> None:
        """Interpret one non-empty line. A line that begins with a colon is a comment."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")  # exactly one space, never more
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._last_event_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.reconnection_time_ms = int(value)
            case _:
                pass  # comments, unknown fields, and values the standard says to ignore

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        """End the current block. Without a ``data`` line there is no event, only a reset."""
        data, self._data = self._data, []
        event_type, self._type = self._type or "message", ""
        if data:
            yield ServerSentEvent(event_type, "\n".join(data), self._last_event_id)
