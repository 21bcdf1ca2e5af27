"""The process that a command runs in, as one value: what the shell gave it, and what has reached it since.

It alone knows the arguments, the environment, the streams and the working directory; a command gets it as `obj` of its
context.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TextIO

from streamrag_cli.cli import streams
from streamrag_cli.cli.asked import Asked, shown_base_url
from streamrag_cli.cli.signals import Signals
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import ExitCode, StreamragError, with_target_flags
from streamrag_cli.events import Error
from streamrag_cli.settings import ServerSettings, Settings, read_server_settings, read_settings

_ABOUT_THE_STORE: Final = frozenset(
    {"confirmation_needed", "empty_folder", "not_ingested", "no_such_path", "interrupted", "terminated"}
)


@dataclass(slots=True, kw_only=True)
class Process:
    """`started_at` is the `perf_counter` reading at the first line of the program.

    `working_directory` is None if it no longer exists, or may not be looked at. `target` are the collection and the
    store that the command's flags name, as `with_target_flags` takes them; `asked` is what a hint to ask again repeats.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: TextIO
    out: TextIO
    err: TextIO
    working_directory: Path | None
    started_at: float
    signals: Signals = field(default_factory=Signals)
    target: Mapping[str, str] = field(default_factory=dict)
    asked: Asked = field(default_factory=lambda: Asked(command="ask"))

    @classmethod
    def of_this(cls, started_at: float, signals: Signals | None = None) -> Self:
        """The process that this code runs in, with its streams made safe to use."""
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
        """The arguments before `--`, among which flags are looked for before, or without, their being parsed."""
        return self.arguments[: self.arguments.index("--") if "--" in self.arguments else None]

    @property
    def debug(self) -> bool:
        """Whether tracebacks are wanted."""
        return "--debug" in self.flags

    @property
    def home(self) -> Path | None:
        """None if the environment names none."""
        home = Path(self.environment.get("HOME", ""))
        return home if home.is_absolute() else None

    @property
    def display_names(self) -> DisplayNames:
        """What files are called for whoever runs this process."""
        return DisplayNames(self.working_directory, self.home)

    def with_target_flags(self, message: str) -> str:
        """A message that ends in a command, for the collection and the store that this command's flags name."""
        return with_target_flags(message, **self.target)

    def hint_of(self, error: StreamragError | Error) -> str:
        """The hint: the same command once more if that is what it says, else for that collection and store."""
        again = self.asked.again(error.hint)
        if again != error.hint:
            return again
        about_them = error.exit_code in {ExitCode.STORE, ExitCode.NOTHING_RELEVANT} or error.code in _ABOUT_THE_STORE
        return self.with_target_flags(error.hint) if about_them else error.hint

    def exit_immediately(self, code: int) -> NoReturn:
        """End without waiting for threads in the middle of an import or a computation."""
        with contextlib.suppress(OSError, ValueError):
            streams.flush(self.out, self.err)
        os._exit(code)


def settings_from(process: Process, flags: Mapping[str, object | None]) -> Settings:
    """The settings of a process: its flags, its environment, its user's file.

    Of several collections that flags name, the first counts.
    """
    collections: Any = flags.get("collections") or ()
    named = flags.get("collection") or next(iter(collections), None)
    settings = read_settings({**flags, "collection": named}, process.environment)
    process.target = {"collection": str(named or ""), "store": settings.store_named_by(flags)}
    asked_with = {
        "--collection": process.target["collection"],
        "--store": process.target["store"],
        "--base-url": shown_base_url(str(flags.get("base_url") or ""), settings.api_key),
        "--model": str(flags.get("model") or ""),
    }
    process.asked = replace(process.asked, flags=asked_with)
    return settings


def server_settings_from(process: Process, flags: Mapping[str, object | None]) -> ServerSettings:
    """As `settings_from`, for `serve`."""
    return read_server_settings(flags, process.environment)


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None
