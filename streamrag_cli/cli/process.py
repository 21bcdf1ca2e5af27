"""What every command has in common with the shell that started it: streams, signals, errors, exit codes."""

import contextlib
import errno
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.render.complaint import complain
from streamrag_cli.settings import Settings, read_settings
from streamrag_cli.text import sanitise

# click's, which recent versions of typer carry inside
_UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]


class Terminated(BaseException):
    """SIGTERM came; unwinds like KeyboardInterrupt, so that screens and sockets are put back in order."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. An expected failure is two lines on stderr."""
    _prepare_streams()
    signal.signal(signal.SIGTERM, _on_sigterm)
    debug = "--debug" in arguments
    if debug:
        logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    else:
        logging.getLogger("streamrag_cli").addHandler(logging.NullHandler())
    try:
        code = _run(arguments)
        _flush()
    except StreamragError as error:
        _complain(error.message, error.hint)
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Terminated:
        code = ExitCode.TERMINATED
    except BrokenPipeError:
        code = ExitCode.BROKEN_PIPE
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF}:
            code = _bug(error, debug=debug)
        else:
            _complain(f"the output cannot be written: {error.strerror}", "write it somewhere else")
            code = ExitCode.BUG
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback unless asked for
        code = _bug(error, debug=debug)
    _abandon_unwritten_output()
    return code


def _run(arguments: Sequence[str]) -> ExitCode:
    from streamrag_cli.cli.app import app

    try:
        result = app(args=list(arguments), prog_name="streamrag", standalone_mode=False)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.Exit as request:
        return ExitCode(request.exit_code)
    except _UsageError as error:
        command = next((each for each in arguments if not each.startswith("-")), "")
        known = command if command in _command_names() else ""
        _complain(error.format_message(), f"streamrag {known} --help".replace("  ", " "))
        return ExitCode.USAGE
    return ExitCode(result or 0)


def _command_names() -> set[str]:
    from streamrag_cli.cli.app import app

    return {each.name for each in app.registered_commands if each.name}


def settings_from(flags: Mapping[str, object | None]) -> Settings:
    """The settings of this process: its flags, its environment, its user's file."""
    return read_settings(flags, os.environ)


def startup_ms(now: float) -> float | None:
    """Milliseconds from the start of this process to the `perf_counter` reading `now`; None if the system hides it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    started = ticks / os.sysconf("SC_CLK_TCK")
    elapsed = time.clock_gettime(time.CLOCK_BOOTTIME) - started - (time.perf_counter() - now)
    return max(0.0, elapsed * 1000)


def environment() -> Mapping[str, str]:
    return os.environ


def _complain(message: str, hint: str = "") -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads stdout or stderr: the exit code still says it
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        complain(sys.stderr, message, hint)


def leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for threads in the middle of an import or a computation."""
    with contextlib.suppress(OSError, ValueError):
        _flush()
    os._exit(code)


def _bug(error: BaseException, *, debug: bool) -> ExitCode:
    if debug:
        sys.stderr.write(sanitise("".join(traceback.format_exception(error))))
    _complain(f"internal error: {type(error).__name__}: {error}", "run it again with --debug and report what it prints")
    return ExitCode.BUG


def _prepare_streams() -> None:
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if (
            getattr(sys, name) is None
        ):  # closed by the caller; Python leaves None, and the next file would get its number
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace", newline="\n")  # type: ignore[union-attr]


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _abandon_unwritten_output() -> None:
    """Keep the interpreter from failing once more on what could not be written."""
    try:
        _flush()
    except (OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
