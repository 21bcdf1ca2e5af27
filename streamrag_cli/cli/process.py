"""A running command's environment: arguments, variables, streams, working directory and signals.

Commands receive a `Process` as the `obj` in the typer context, and never read this information from global state.
"""

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TextIO

from streamrag_cli.cli import streams
from streamrag_cli.cli.hint_command import HintCommand, shown_base_url
from streamrag_cli.cli.signals import Signals
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import ExitCode, StreamragError, with_target_flags
from streamrag_cli.events import Error
from streamrag_cli.settings import ServerSettings, Settings, read_server_settings, read_settings

_STORE_HINT_CODES: Final = frozenset(
    {"confirmation_needed", "empty_folder", "not_ingested", "no_such_path", "interrupted", "terminated"}
    | {"no_such_document", "ambiguous_document", "no_such_line"}
)
_ASKING_COMMANDS: Final = frozenset({"ask", "search", "chat"})
_LISTING_COMMANDS: Final = frozenset({"ls", "status", "doctor"})
"""Commands that need no argument."""


@dataclass(slots=True, kw_only=True)
class Process:
    """One command's environment.

    `started_at` is the `perf_counter` time at the start of the program. `working_directory` is None if the directory no
    longer exists or is not accessible. `hint_command` is the command that hints repeat, with its question and flags.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: TextIO
    out: TextIO
    err: TextIO
    working_directory: Path | None
    started_at: float
    signals: Signals = field(default_factory=Signals)
    hint_command: HintCommand = field(default_factory=lambda: HintCommand(command="ask"))

    @classmethod
    def current(cls, started_at: float, signals: Signals | None = None) -> Self:
        """Create the running process's environment, and make the standard streams safe to use."""
        streams.prepare()
        return cls(
            arguments=sys.argv[1:],
            environment=os.environ,
            stdin=sys.stdin,
            out=sys.stdout,
            err=sys.stderr,
            working_directory=_working_directory(),
            started_at=started_at,
            signals=signals or Signals(),
        )

    @property
    def flags(self) -> Sequence[str]:
        """The arguments before `--`, for flags that are read before the command line is parsed."""
        return self.arguments[: self.arguments.index("--") if "--" in self.arguments else None]

    @property
    def debug(self) -> bool:
        """Whether to print tracebacks and log messages."""
        return "--debug" in self.flags

    @property
    def in_ci(self) -> bool:
        """Whether this process runs in CI, where it must not leave an engine running or write the log."""
        return self.environment.get("CI", "").lower() not in {"", "0", "false"}

    @property
    def home(self) -> Path | None:
        """The home directory; None if HOME is not an absolute path."""
        home = Path(self.environment.get("HOME", ""))
        return home if home.is_absolute() else None

    @property
    def display_names(self) -> DisplayNames:
        """Converts paths to names relative to the working directory or the home directory."""
        return DisplayNames(self.working_directory, self.home)

    def with_target_flags(self, message: str) -> str:
        """Add this command's `-c` and `--store` flags to the command at the end of `message`."""
        flags = self.hint_command.flags
        return with_target_flags(message, collection=flags.get("-c", ""), store=flags.get("--store", ""))

    def hint_of(self, error: StreamragError | Error) -> str:
        """Return the error's hint, with this command's question and flags added to the command at its end."""
        if similar := self._similar_collection(error):
            return similar
        completed = self.hint_command.complete(error.hint)
        if completed != error.hint:
            return completed
        store_codes = {ExitCode.STORE, ExitCode.NOTHING_RELEVANT}
        concerns_store = error.exit_code in store_codes or error.code in _STORE_HINT_CODES
        return self.with_target_flags(error.hint) if concerns_store else error.hint

    def _similar_collection(self, error: StreamragError | Error) -> str:
        """Return the hint that names an existing collection if the command does not ask questions; otherwise ""."""
        named = re.fullmatch(r'streamrag ask -c (\S+) "QUESTION"', error.hint)
        command = next((each for each in self.arguments if not each.startswith("-")), "")
        if error.code != "store_missing" or not named or command in _ASKING_COMMANDS or " " in command:
            return ""
        command = command if command in _LISTING_COMMANDS else "ls"
        return self.with_target_flags(f"streamrag {command} -c {named[1]}")

    def exit_immediately(self, code: int) -> NoReturn:
        """Exit without waiting for other threads, which may be importing or computing."""
        with contextlib.suppress(OSError, ValueError):
            streams.flush(self.out, self.err)
        os._exit(code)


def settings_from(process: Process, flags: Mapping[str, object | None]) -> Settings:
    """Read the settings, and store the flags that hints must repeat in `process`.

    If `serve` is called with several collections, the first is used.
    """
    collections: Any = flags.get("collections") or ()
    collection = flags.get("collection") or next(iter(collections), None)
    settings = read_settings({**flags, "collection": collection}, process.environment)
    hint_flags = {
        "-c": settings.collection if collection else "",
        "--store": settings.store_named_by(flags),
        "--base-url": shown_base_url(str(flags.get("base_url") or ""), settings.api_key),
        "-m": str(flags.get("model") or ""),
    }
    process.hint_command = replace(process.hint_command, flags=hint_flags)
    return settings


def server_settings_from(process: Process, flags: Mapping[str, object | None]) -> ServerSettings:
    """Read the additional settings for `serve`."""
    return read_server_settings(flags, process.environment)


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None
