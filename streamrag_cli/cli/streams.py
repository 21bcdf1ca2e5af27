"""stdin, stdout and stderr as the shell gave them: closed, full, abandoned, in any encoding."""

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
"""What a write to a full disk or a lost file says; a pipe that nobody reads says otherwise."""
_STDIN_BYTES: Final = 1_000_000  # more is no question, and would not fit into a model's context


def prepare() -> None:
    """Make the three streams safe to use.

    Python leaves None where the caller closed one, and the next file opened would get its number. A closed stdin
    reads as empty, a closed stderr swallows, and so does one on a full disk; a closed stdout refuses, and so does a
    full one: an answer that nobody can get is a failure, a remark is not.
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
        remarks = io.BufferedWriter(_BestEffortWriter(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(remarks, sys.stderr.encoding, "replace", "\n", line_buffering=True)


class _BestEffortWriter(io.FileIO):
    """Writes what can be written and lets go of the rest."""

    def write(self, remark: Any) -> int:
        try:
            return super().write(remark)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            return len(remark)


def read_all(stdin: TextIO, err: TextIO) -> str:
    """All of stdin; at a terminal `err` says how to end it.

    Raises UsageError where it cannot be read or holds more than a megabyte.
    """
    if stdin.isatty():
        err.write("streamrag: reading from the terminal; end with Ctrl-D\n")
        err.flush()
    hint = 'streamrag ask --stdin "QUESTION" < FILE'
    try:
        os.set_blocking(stdin.fileno(), True)  # who started us may have left it so that a read gives up at once
        found = stdin.buffer.read(_STDIN_BYTES + 1)
    except OSError as error:
        raise UsageError(f"stdin cannot be read: {error.strerror}", code="stdin_unreadable", hint=hint) from None
    if len(found) > _STDIN_BYTES:
        raise UsageError("stdin holds more than a megabyte", code="stdin_too_long", hint="streamrag ingest FILE")
    return found.decode("utf-8", errors="replace")


def pipe_of(out: TextIO) -> int | None:
    """The file descriptor of a stream where it is the writing end of a pipe, else None."""
    try:
        number = out.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(number).st_mode)
        writes_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except (OSError, ValueError):
        return None
    return number if is_pipe and writes_only else None


def flush(out: TextIO, err: TextIO) -> None:
    out.flush()
    err.flush()


def discard_unwritten(out: TextIO, err: TextIO, *, blocked: bool) -> None:
    """Keep the interpreter from failing once more on what could not be written.

    `blocked` says that even trying might last for ever.
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
