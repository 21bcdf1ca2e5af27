"""Makes stdin, stdout and stderr safe to use, even if they are closed, full, blocked or not UTF-8."""

import contextlib
import errno
import fcntl
import io
import os
import stat
import sys
from typing import Any, Final, TextIO

from streamrag_cli.errors import UsageError

UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF, errno.EFBIG})
"""Error numbers of writes to a full disk, a failing disk or an invalid descriptor. A closed pipe raises EPIPE."""
_STDIN_BYTES: Final = 1_000_000  # a longer text would not fit into a model's context


def prepare() -> None:
    """Make the three streams safe to use.

    Python sets a closed stream to None, and the next file that is opened would get its descriptor. A closed stream is
    therefore replaced by /dev/null, so that stdin is empty. If stderr is closed or its disk is full, messages are
    discarded without an error. Writes to a closed stdout fail, because a lost answer is an error.
    """
    for name, number, file_mode, mode in (
        ("stdin", 0, os.O_RDONLY, "r"),
        ("stdout", 1, os.O_RDONLY, "w"),
        ("stderr", 2, os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, file_mode)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace", newline="\n")  # type: ignore[union-attr]
    if isinstance(sys.stderr, io.TextIOWrapper) and not sys.stderr.isatty():
        buffer = io.BufferedWriter(_BestEffortWriter(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(buffer, sys.stderr.encoding, "replace", "\n", line_buffering=True)


class _BestEffortWriter(io.FileIO):
    """Discards output that cannot be written because of a full disk or a closed descriptor."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            return len(data)


def read_all(stdin: TextIO, err: TextIO) -> str:
    """Read all of stdin; if it is a terminal, print on `err` how to end the input.

    Raises UsageError `stdin_unreadable`, or `stdin_too_long` above 1 MB.
    """
    if stdin.isatty():
        err.write("streamrag: reading from the terminal; press Ctrl-D to end the input\n")
        err.flush()
    hint = 'streamrag ask --stdin "QUESTION" < FILE'
    try:
        os.set_blocking(stdin.fileno(), True)  # the parent process may have made it non-blocking
        data = stdin.buffer.read(_STDIN_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read stdin: {error.strerror}", code="stdin_unreadable", hint=hint) from None
    if len(data) > _STDIN_BYTES:
        raise UsageError("stdin is larger than 1 MB", code="stdin_too_long", hint="streamrag ingest FILE")
    return data.decode("utf-8", errors="replace")


def pipe_of(out: TextIO) -> int | None:
    """Return the file descriptor of a stream if it is the writing end of a pipe, else None."""
    try:
        number = out.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(number).st_mode)
        writes_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except (OSError, ValueError):
        return None
    return number if is_pipe and writes_only else None


def read_document(stdin: TextIO, err: TextIO, *, limit_mb: int) -> bytes:
    """Read all bytes of stdin; if it is a terminal, print on `err` how to end the input.

    Raises UsageError `stdin_unreadable`, `stdin_empty`, `stdin_too_long`.
    """
    if stdin.isatty():
        err.write("streamrag: reading from the terminal; press Ctrl-D to end the input\n")
        err.flush()
    limit_bytes, hint = limit_mb * 1_000_000, "pbpaste | streamrag ingest - --name notes/today.md"
    try:
        os.set_blocking(stdin.fileno(), True)  # the parent process may have made it non-blocking
        data = stdin.buffer.read(limit_bytes + 1)
    except OSError as error:
        raise UsageError(f"cannot read stdin: {error.strerror}", code="stdin_unreadable", hint=hint) from None
    if len(data) > limit_bytes:
        hint = f"export STREAMRAG_MAX_FILE_MB={limit_mb * 2}"
        message = f"stdin is larger than the limit of {limit_mb} MB"
        raise UsageError(message, code="stdin_too_long", hint=hint)
    if not data.strip():
        raise UsageError("stdin is empty, so nothing was ingested", code="stdin_empty", hint=hint)
    return data


def flush(out: TextIO, err: TextIO) -> None:
    out.flush()
    err.flush()


def discard_unwritten(out: TextIO, err: TextIO, *, blocked: bool) -> None:
    """Redirect to /dev/null all streams that cannot be flushed, so that the interpreter does not fail at exit.

    If `blocked` is True, do not try to flush the streams, because this might never return.
    """
    for stream, number in ((out, 1), (err, 2)):
        if blocked or not _flushes(stream):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)


def _flushes(stream: TextIO) -> bool:
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True
