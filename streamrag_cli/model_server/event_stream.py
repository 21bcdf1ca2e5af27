"""Decoder for server-sent events that returns all events from one read of the socket together.

Other decoders return one event at a time. Under load, several events usually arrive together, and passing them on
together lets one process serve hundreds of answers.
"""

from typing import Final

_LONGEST_EVENT_BYTES: Final = 64_000_000


class ErrorEvent(bytes):
    """The data of a server-sent event of the type `error`."""

    __slots__ = ()


class EventStreamDecoder:
    """Decodes bytes that may be split anywhere. Lines may end in CR, LF or CRLF."""

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []
        self._unfinished_bytes = 0
        self._data: list[bytes] = []
        self._is_error = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes. Raises ValueError for an event over 64 MB."""
        after_cr = bool(self._unfinished) and self._unfinished[-1].endswith(b"\r")
        self._unfinished.append(piece)
        self._unfinished_bytes += len(piece)
        if self._unfinished_bytes > _LONGEST_EVENT_BYTES:
            raise ValueError("an event in the stream is too long")
        if b"\n" not in piece and b"\r" not in piece and not after_cr:
            return []
        lines = b"".join(self._unfinished).splitlines(keepends=True)
        # A line that ends in CR may continue with LF.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        self._unfinished = [rest]
        self._unfinished_bytes = len(rest)
        return [data for line in lines if (data := self._read_line(line.rstrip(b"\r\n"))) is not None]

    def finish(self) -> list[bytes]:
        """The data of the event that is completed by a CR at the end of the stream, if there is one."""
        return self.feed(b"\n") if self._unfinished and self._unfinished[-1].endswith(b"\r") else []

    def _read_line(self, line: bytes) -> bytes | None:
        """Process one line. If it is empty, it ends an event, and the event's data is returned."""
        if not line:
            kind = ErrorEvent if self._is_error else bytes
            data, self._data, self._is_error = self._data, [], False
            return kind(b"\n".join(data)) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        return None
