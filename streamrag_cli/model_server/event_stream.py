"""Server-sent events, decoded as they arrive: all that one read of the socket has completed, at once.

A client that hands out one event at a time cannot tell whether more are there already. Under load they are, and
passing them on together is what lets one process serve hundreds of answers.
"""

from typing import Final

_LONGEST_EVENT_BYTES: Final = 64_000_000


class ErrorEvent(bytes):
    """The data of an event that is named `error`."""

    __slots__ = ()


class EventStreamDecoder:
    """Feeds on bytes, split anywhere; gives the data of every complete event. Lines may end in CR, LF or both."""

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []
        self._unfinished_bytes = 0
        self._data: list[bytes] = []
        self._is_error = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes. Raises ValueError for one longer than 64 MB."""
        after_cr = bool(self._unfinished) and self._unfinished[-1].endswith(b"\r")
        self._unfinished.append(piece)
        self._unfinished_bytes += len(piece)
        if self._unfinished_bytes > _LONGEST_EVENT_BYTES:
            raise ValueError("an event is too long")
        if b"\n" not in piece and b"\r" not in piece and not after_cr:
            return []
        lines = b"".join(self._unfinished).splitlines(keepends=True)
        # What ends in CR may go on with LF.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        self._unfinished = [rest]
        self._unfinished_bytes = len(rest)
        return [data for line in lines if (data := self._line(line.rstrip(b"\r\n"))) is not None]

    def finish(self) -> list[bytes]:
        """The data of an event whose last line end was a CR at the very end of the stream."""
        return self.feed(b"\n") if self._unfinished and self._unfinished[-1].endswith(b"\r") else []

    def _line(self, line: bytes) -> bytes | None:
        """Take in one line; an empty one completes an event."""
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
