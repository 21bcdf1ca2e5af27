"""Runs one command and converts its result to messages and an exit code."""

import contextlib
import logging
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, takewhile
from typing import Any, Final

import typer
from typer.main import get_command

from streamrag_cli.cli import completion, streams
from streamrag_cli.cli.app import app
from streamrag_cli.cli.logging_setup import configure_library_logging, without_keys
from streamrag_cli.cli.process import Process
from streamrag_cli.codec import encode, to_json
from streamrag_cli.errors import ExitCode, StreamragError, UsageError
from streamrag_cli.events import Error, as_event
from streamrag_cli.json_objects import failure_object
from streamrag_cli.render.error_output import print_error
from streamrag_cli.system_errors import exhausted_resource
from streamrag_cli.text import sanitise, sanitise_line

# click's UsageError; recent versions of typer vendor click
_UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]
_MEANT: Final = (
    ("streamrag ingest PATH", "add index load reindex sync update upload import embed"),
    ("streamrag ingest --remove PATH", "delete drop forget purge remove rm undo"),
    ("streamrag ingest NEW && streamrag ingest --remove OLD", "move mv rename"),
    ('streamrag search "QUERY"', "find grep query retrieve"),
    ('streamrag ask "QUESTION"', "answer question run"),
    ("streamrag ls", "list files documents tags"),
    ("streamrag show PATH", "cat get open passage print read source view"),
    ("streamrag show 1", "sources"),
    ("streamrag show last", "last"),
    ("streamrag chat -C", "retry again resume continue"),
    ("streamrag --version", "version"),
    ("streamrag status", "info stats state"),
    ("streamrag doctor", "check config settings diagnose"),
    ("streamrag log", "conversations history"),
    ("streamrag serve", "api server web start"),
    ("streamrag engine stop", "stop kill"),
)
_COMMANDS: Final = {each.name for each in app.registered_commands} | {each.name for each in app.registered_groups}
MEANT_COMMANDS: Final = {name: hint for hint, names in _MEANT for name in names.split()}
"""The commands to suggest for command names that exist only in other programs."""
_REMOVAL: Final = frozenset("rm remove delete drop --rm --remove --delete --drop".split())
_MIN_QUESTION_WORDS: Final = 3
_MOVED_NAMES: Final = 2
_MAX_HINT_CHARS: Final = 200
_NARROW_COLUMNS: Final = 52
_MIN_HELP_COLUMNS: Final = 30
_log: Final = logging.getLogger(__name__)


def run_program(process: Process) -> int:
    """Run one command and return its exit code. An expected failure prints two lines on stderr."""
    configure_library_logging(process)
    try:
        code = _run(process)
        streams.flush(process.out, process.err)
    except BaseException as error:  # noqa: BLE001 - no traceback must reach the user without --debug
        code = process.signals.received or _report(error, process)
    streams.discard_unwritten(process.out, process.err, blocked=process.signals.received is not None)
    return process.signals.received or code


@cache
def parser() -> Any:
    """Return the click command that parses the arguments of all commands. Building it takes 35 ms."""
    return get_command(app)


def _run(process: Process) -> ExitCode:
    if completion.is_needed(process.arguments, process.environment):
        completion.prepare(process.environment)
    try:
        result = parser()(
            args=_completed(process.arguments),
            prog_name="streamrag",
            standalone_mode=False,
            obj=process,
            terminal_width=_help_columns(),
        )
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.Exit as request:
        return ExitCode(request.exit_code)
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # typer has converted it to exit code 1
            sys.stdout, sys.stderr = process.out, process.err
            raise leaving.__context__ from None
        raise
    except _UsageError as error:
        message = error.format_message()
        unknown = re.match(r"""No such command (['"])(?P<name>.*?)\1""", message)
        is_similar = unknown and message != f"{unknown[0]}."  # click suggests a similar name
        if unknown and _command_in(process) == "log":
            meant = "" if is_similar else _log_search(process.arguments, unknown["name"])
        else:
            meant = meant_command(process.arguments) if unknown else _collection_removal(process.arguments)
        if unknown and meant:
            message = f"{unknown[0]}."  # without click's suggestion of a similar name, which would be misleading
        raise UsageError(message, code="usage", hint=meant or _help_command(process)) from None
    return ExitCode(result or 0)


def meant_command(arguments: Sequence[str]) -> str:
    """Return the command that the user probably meant by arguments that do not begin with a command; "" if unknown.

    >>> meant_command(["what", "is", "the", "rent?", "-c", "home"]), meant_command(["open", "1"])
    ("streamrag ask 'what is the rent?' -c home", 'streamrag show 1')
    """
    words = list(takewhile(lambda each: not each.startswith("-"), arguments))
    if not words:
        return ""
    hint, rest = MEANT_COMMANDS.get(words[0], ""), words[1:]
    is_short = len(" ".join(words)) <= _MAX_HINT_CHARS and all(sanitise_line(each) == each for each in words)
    if not is_short:
        return hint
    if len(words) >= _MIN_QUESTION_WORDS:
        if not hint:
            return f"streamrag ask {shlex.quote(' '.join(words))}{_collection_flag(arguments)}"
        hint = re.sub('"(QUERY|QUESTION)"', lambda _: shlex.quote(" ".join(rest)), hint)
    if not rest and hint.endswith("--remove PATH") and (flag := _collection_flag(arguments)):
        return hint.replace(" PATH", flag)
    if len(rest) == _MOVED_NAMES and "NEW" in hint:
        old, new = map(shlex.quote, rest)
        return f"streamrag ingest {new} && streamrag ingest --remove {old}"
    if rest and (len(rest) == 1 or not hint.startswith("streamrag show")):
        hint = hint.replace("PATH", shlex.join(rest))
    return hint


def _log_search(arguments: Sequence[str], name: str) -> str:
    """Return the command that finds the words after `streamrag log`, of which `name` is the first, in the log."""
    if name not in arguments:  # click has escaped it
        return ""
    words = [name, *takewhile(lambda each: not each.startswith("-"), arguments[arguments.index(name) + 1 :])]
    text = " ".join(words)
    if len(text) > _MAX_HINT_CHARS or sanitise_line(text) != text:
        return ""
    is_turn = len(words) == 1 and (name.isdecimal() or name == "last")
    return f"streamrag log show {name}" if is_turn else f"streamrag log -q {shlex.quote(text)}"


def _collection_removal(arguments: Sequence[str]) -> str:
    """Return the command that removes a collection if these arguments of `collections` request a removal; else ""."""
    if arguments[:1] != ["collections"] or not _REMOVAL.intersection(arguments[1:]):
        return ""
    names = [each for each in arguments[1:] if each not in {*_REMOVAL, "-c", "--collection"} and each[:1] != "-"]
    is_known = len(names) == 1 and sanitise_line(names[0]) == names[0]
    return f"streamrag ingest --remove -c {shlex.quote(names[0]) if is_known else 'NAME'}"


def _collection_flag(arguments: Sequence[str]) -> str:
    values = [value for flag, value in pairwise(arguments) if flag in {"-c", "--collection"}]
    return f" -c {shlex.quote(sanitise_line(values[0]))}" if values else ""


def _help_columns() -> int | None:
    """Return the width of help texts if the terminal is narrower than click's default; else None."""
    columns = shutil.get_terminal_size().columns
    return max(columns - 1, _MIN_HELP_COLUMNS) if columns <= _NARROW_COLUMNS else None


def _completed(arguments: Sequence[str]) -> list[str]:
    """Add the missing command to the arguments: help, or `ask` if they are a quoted question."""
    if not arguments or list(arguments) == ["engine"]:
        return [*arguments, "--help"]
    place = next((n for n, each in enumerate(arguments) if not each.startswith("-")), None)
    if place is not None and " " in arguments[place].strip() and "--" not in arguments[:place]:
        return [*arguments[:place], "ask", *arguments[place:]]
    return list(arguments)


def _help_command(process: Process) -> str:
    return f"streamrag {_command_in(process)} --help".replace("  ", " ")


def _command_in(process: Process) -> str:
    command = next((each for each in process.arguments if not each.startswith("-")), "")
    return command if command in _COMMANDS else ""


def _report(error: BaseException, process: Process) -> ExitCode:
    """Print why the command failed and return its exit code."""
    expected = error if isinstance(error, StreamragError) else exhausted_resource(error)
    if expected is not None:
        _log.debug("the command failed", exc_info=error)
        hint = _help_command(process) if expected.code == "bad_flag" else process.hint_of(expected)
        event = replace(as_event(expected), hint=hint)
        _print_json(process, event)
        _print_error(process, expected.message, event.hint)
        return expected.exit_code
    match error:
        case BrokenPipeError():
            return ExitCode.BROKEN_PIPE
        case OSError() if error.errno in streams.UNWRITABLE:
            _print_error(
                process, f"cannot write the output: {error.strerror}", "redirect the output to another file or disk"
            )
            return ExitCode.BUG
        case SystemExit():
            raise error
    return _bug(error, process)


def _print_json(process: Process, error: Error) -> None:
    """With `--json` or `--jsonl`, print the failure as JSON unless the command has already printed its result."""
    if "--json" in process.flags:
        line = encode(failure_object(_command_in(process), error))
    elif "--jsonl" in process.flags:
        line = to_json(error)
    else:
        return
    with contextlib.suppress(OSError, ValueError):
        process.out.buffer.write(without_keys(line, process.environment).encode() + b"\n")
        process.out.flush()


def _print_error(process: Process, message: str, hint: str = "") -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed; the exit code still reports the failure
        process.out.flush()
    with contextlib.suppress(OSError, ValueError):
        print_error(process.err, without_keys(message, process.environment), hint)


def _bug(error: BaseException, process: Process) -> ExitCode:
    if process.debug:
        with contextlib.suppress(OSError, ValueError):
            text = sanitise("".join(traceback.format_exception(error)))
            process.err.write(without_keys(text, process.environment))
    hint = "run the command again with --debug and report its output"
    _print_error(process, f"internal error: {type(error).__name__}: {error}", hint)
    return ExitCode.BUG
