"""What every command has in common with the shell that started it: settings, errors, exit codes."""

import contextlib
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

import typer

from streamrag_cli.cli import streams
from streamrag_cli.cli.interruption import received
from streamrag_cli.codec import encode, to_json
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import ExitCode, StreamragError, UsageError, aimed
from streamrag_cli.events import Error, as_event
from streamrag_cli.json_objects import failure_object
from streamrag_cli.render.complaint import complain
from streamrag_cli.server_keys import split_keys
from streamrag_cli.setting_names import SERVER_SETTING_NAMES, SETTING_NAMES
from streamrag_cli.settings import ServerSettings, Settings, read_server_settings, read_settings
from streamrag_cli.store_place import PostgresUrl, store_place
from streamrag_cli.system_errors import lack_of
from streamrag_cli.text import sanitise, without_secret

# click's, which recent versions of typer carry inside
_UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]
_KEY_VARIABLES: Final = tuple(
    variable
    for setting in (*SETTING_NAMES, *SERVER_SETTING_NAMES)
    for variable in setting.variables
    if setting.name in {"api_key", "server_key"}
)
_ABOUT_THE_STORE: Final = frozenset({"confirmation_needed", "empty_folder", "not_ingested", "no_such_path"})
_SERVER_KEY_VARIABLES: Final = {
    variable for setting in SERVER_SETTING_NAMES if setting.name == "server_key" for variable in setting.variables
}
_named: Final[dict[str, str]] = {}
_log: Final = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. An expected failure is two lines on stderr."""
    streams.prepare()
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    tame_libraries(debug=debug)
    try:
        code = _run(arguments)
        streams.flush()
    except BaseException as error:  # noqa: BLE001 - the last line of defence: no traceback unless asked for
        code = received() or _explained(error, arguments, debug=debug)
    streams.abandon_unwritten(blocked=received() is not None)
    return received() or code


def _explained(error: BaseException, arguments: Sequence[str], *, debug: bool) -> ExitCode:
    """Say what ended the command, and return the code for it."""
    expected = error if isinstance(error, StreamragError) else lack_of(error)
    if expected is not None:
        _log.debug("the command failed", exc_info=error)
        event = replace(as_event(expected), hint=hint_of(expected))
        _print_for_programs(arguments, event)
        _complain(expected.message, event.hint)
        return expected.exit_code
    match error:
        case BrokenPipeError():
            return ExitCode.BROKEN_PIPE
        case OSError() if error.errno in streams.UNWRITABLE:
            _complain(f"the output cannot be written: {error.strerror}", "write it somewhere else")
            return ExitCode.BUG
        case SystemExit():
            raise error
    return _bug(error, debug=debug)


def _run(arguments: Sequence[str]) -> ExitCode:
    from streamrag_cli.cli.app import app

    out, err = sys.stdout, sys.stderr
    try:
        result = app(args=list(arguments), prog_name="streamrag", standalone_mode=False)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.Exit as request:
        return ExitCode(request.exit_code)
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # typer makes it an exit with 1 and wraps the streams
            sys.stdout, sys.stderr = out, err
            raise leaving.__context__ from None
        raise
    except _UsageError as error:
        if not arguments:
            sys.stderr.write(f"{error.format_message()}\n")  # it is the help
            return ExitCode.USAGE
        known = _command_in(arguments)
        raise UsageError(
            error.format_message(), code="usage", hint=f"streamrag {known} --help".replace("  ", " ")
        ) from None
    return ExitCode(result or 0)


def _command_in(arguments: Sequence[str]) -> str:
    from streamrag_cli.cli.app import app

    command = next((each for each in arguments if not each.startswith("-")), "")
    return command if command in {each.name for each in app.registered_commands} else ""


def _print_for_programs(arguments: Sequence[str], error: Error) -> None:
    """What `--json` and `--jsonl` promise of a command that failed before it printed anything."""
    flags = arguments[: arguments.index("--") if "--" in arguments else None]
    if "--json" in flags:
        line = encode(failure_object(_command_in(arguments), error))
    elif "--jsonl" in flags:
        line = to_json(error)
    else:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.buffer.write(_without_keys(line).encode() + b"\n")
        sys.stdout.flush()


def settings_from(flags: Mapping[str, object | None]) -> Settings:
    """The settings of this process: its flags, its environment, its user's file."""
    settings = read_settings(flags, os.environ)
    _named.update(collection=str(flags.get("collection") or ""), store=settings.store_named_by(flags))
    return settings


def hint_of(error: StreamragError | Error) -> str:
    """The hint, for the collection and the store that this command's flags name."""
    about_the_store = error.exit_code in {ExitCode.STORE, ExitCode.NOTHING_RELEVANT} or error.code in _ABOUT_THE_STORE
    return aimed(error.hint, **_named) if about_the_store else error.hint


def with_target_flags(message: str) -> str:
    """A message that ends in a command, for the collection and the store that this command's flags name."""
    return aimed(message, **_named)


def server_settings_from(flags: Mapping[str, object | None]) -> ServerSettings:
    """As `settings_from`, for `serve`."""
    return read_server_settings(flags, os.environ)


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


def working_directory() -> Path | None:
    """None if it no longer exists, or may not be looked at."""
    try:
        return Path.cwd()
    except OSError:
        return None


def home_directory() -> Path | None:
    """None if the environment names none."""
    home = Path(os.environ.get("HOME", ""))
    return home if home.is_absolute() else None


def display_names() -> DisplayNames:
    """What files are called for whoever runs this process."""
    return DisplayNames(working_directory(), home_directory())


def leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for threads in the middle of an import or a computation."""
    with contextlib.suppress(OSError, ValueError):
        streams.flush()
    os._exit(code)


class SafeFormatter(logging.Formatter):
    """Log lines of any library, safe for a terminal and without the key."""

    def format(self, record: logging.LogRecord) -> str:
        return _without_keys(sanitise(super().format(record)))


def tame_libraries(*, debug: bool) -> None:
    """Without --debug what libraries log or warn of stays off stderr, which is a person's."""
    if debug:
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(SafeFormatter("%(name)s: %(message)s"))
        logging.captureWarnings(True)
        logging.getLogger("streamrag_cli").setLevel(logging.DEBUG)  # expected failures, too, have a traceback
    else:
        handler = logging.NullHandler()
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda _: None
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
    logging.getLogger().addHandler(handler)


def _complain(message: str, hint: str = "") -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads stdout or stderr: the exit code still says it
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        complain(sys.stderr, _without_keys(message), hint)


def _bug(error: BaseException, *, debug: bool) -> ExitCode:
    if debug:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(_without_keys(sanitise("".join(traceback.format_exception(error)))))
    _complain(f"internal error: {type(error).__name__}: {error}", "run it again with --debug and report what it prints")
    return ExitCode.BUG


def _without_keys(text: str) -> str:
    """`text` without the keys of this environment: exceptions and log lines of other libraries may hold one."""
    for variable in _KEY_VARIABLES:
        for key in _keys_in(variable):
            text = without_secret(text, key, "[key]")
    return _without_password(text)


def _keys_in(variable: str) -> list[str]:
    """The keys that a variable holds; a server's may hold several, each of which could be shown by itself."""
    raw = os.environ.get(variable, "").strip()
    return [raw] if variable not in _SERVER_KEY_VARIABLES else [raw, *(each.key for each in split_keys(raw))]


def _without_password(text: str) -> str:
    """`text` without the password that the environment's store address may hold."""
    try:
        place = store_place(os.environ.get("STREAMRAG_STORE", "").strip())
    except ValueError:
        return text
    password = place.password if isinstance(place, PostgresUrl) else ""
    return text.replace(password, "[password]") if password else text
