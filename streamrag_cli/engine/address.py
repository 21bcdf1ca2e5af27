"""Where an engine listens, and which engine that is.

    DIRECTORY/engine-IDENTITY.sock     the socket, 0600, in a directory of the user's own, 0700
    DIRECTORY/engine-IDENTITY.start    held by the client that starts one
    DIRECTORY/engine-IDENTITY.log      what the engine had to say

An identity is HOME-PROGRAM-NETWORK, three hashes: of the home directory, of the program's files, and of what libraries
read from the environment on their way to a model's server. A client of another version looks for another engine, and
the old one finds itself outdated.

A terminal has XDG_RUNTIME_DIR and perhaps TMPDIR; cron, `su` and some SSH sessions have neither. So clients look in
every directory that may be meant, and an engine that listens where only its own environment leads leaves a link to its
socket where a client without any environment looks.
"""

import hashlib
import os
import pwd
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli import __version__
from streamrag_cli.telemetry import SWITCHES

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_MOST_DIRECTORY_CHARS: Final = 50  # a socket's path has at most 107 bytes
_ELSEWHERE: Final = 'export XDG_RUNTIME_DIR="$(mktemp -d)"'
_CREDENTIALS: Final = struct.Struct("3i")
_KEPT: Final = ("HOME", "PATH", "LANG", "LC_ALL", "TZ")


class UnsafeDirectoryError(Exception):
    """The directory for the socket is not the user's own, or open to others. `hint` is a command that helps."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """The files of one engine."""

    directory: Path
    identity: str

    @property
    def socket(self) -> Path:
        return self._file("sock")

    @property
    def start_lock(self) -> Path:
        return self._file("start")

    @property
    def log(self) -> Path:
        return self._file("log")

    def _file(self, suffix: str) -> Path:
        return self.directory / f"engine-{self.identity}.{suffix}"


def address_for(environment: Mapping[str, str]) -> EngineAddress:
    """The place of the engine for this program. Raises UnsafeDirectoryError."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise UnsafeDirectoryError("this system does not tell who is at the other end of a socket")
    return EngineAddress(_checked(_candidates(environment)[0]), identity(environment))


def fallback_address(place: EngineAddress) -> EngineAddress:
    """Where a client looks for the engine at `place` that has no variable of the environment but the same home.

    Raises UnsafeDirectoryError.
    """
    return EngineAddress(_checked(_candidates({})[0]), place.identity)


def all_addresses(environment: Mapping[str, str]) -> list[EngineAddress]:
    """The addresses of all engines, also of other versions, without duplicates. Raises UnsafeDirectoryError."""
    pattern = f"engine-{_home(environment)}-*.sock"
    found: dict[Path, EngineAddress] = {}
    own, *others = _candidates(environment)
    for directory in [_checked(own), *filter(_is_private, others)]:
        for each in sorted(directory.glob(pattern)):
            found.setdefault(each.resolve(), EngineAddress(directory, each.stem.removeprefix("engine-")))
    return list(found.values())


def candidate_addresses(
    own: EngineAddress, environment: Mapping[str, str], *, needs_network: bool
) -> list[EngineAddress]:
    """Where an engine may listen that can answer for `own`.

    Without `needs_network` that is one with another proxy in its environment, too.
    """
    return [
        each
        for each in all_addresses(environment)
        if each != own
        and (each.identity == own.identity or (not needs_network and _without_network(each) == _without_network(own)))
    ]


def _without_network(place: EngineAddress) -> str:
    return place.identity.rpartition("-")[0]


def identity(environment: Mapping[str, str]) -> str:
    """Changes with the home directory, with the program's files, interpreter and packages, and with the proxies."""
    program = [__version__, sys.executable, str(_PACKAGE), *_stamps(_PACKAGE), *_stamp(_PACKAGE.parent)]
    network = [f"{name}={value}" for name, value in network_variables(environment).items()]
    return f"{_home(environment)}-{_hash(program)[:12]}-{_hash(network)[:6]}"


def _home(environment: Mapping[str, str]) -> str:
    home = environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return _hash([home])[:6]


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def network_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What libraries read from the environment on the way to a model's server. Paths are absolute."""
    proxies = [name for upper in _PROXIES for name in (upper, upper.lower())]
    certificates = {name: str(Path(environment[name]).absolute()) for name in _CERTIFICATES if environment.get(name)}
    return {name: environment[name] for name in proxies if environment.get(name)} | certificates


def environment_for_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """What an engine gets of a caller's environment: nothing that is a setting or a secret."""
    kept = {name: environment[name] for name in _KEPT if name in environment}
    # One arena for all threads: freed memory goes back instead of staying with the thread that had it.
    return kept | network_variables(environment) | SWITCHES | {"MALLOC_ARENA_MAX": "1"}


def _candidates(environment: Mapping[str, str]) -> list[Path]:
    """The directories where engines of this user may listen; the first is where this environment has its own."""
    user = os.getuid()
    found: list[Path] = []
    runtime, temporary = environment.get("XDG_RUNTIME_DIR", ""), environment.get("TMPDIR", "")
    if runtime.startswith("/") and len(runtime) <= _MOST_DIRECTORY_CHARS:
        found.append(Path(runtime, "streamrag"))
    if _is_private(login := Path(f"/run/user/{user}")):
        found.append(login / "streamrag")
    found += [Path(each, f"streamrag-{user}") for each in (temporary, "/tmp") if each]  # noqa: S108 - checked before use
    return list(dict.fromkeys(found))


def _is_private(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _checked(directory: Path) -> Path:
    """The directory, made if there is none. Raises UnsafeDirectoryError."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        pass  # something that is not a directory
    except OSError as error:
        raise UnsafeDirectoryError(f"{directory}: {error.strerror}", hint=_ELSEWHERE) from error
    if _is_private(directory):
        return directory
    import shlex  # nothing else at the start of a command needs it

    found = directory.lstat()
    if found.st_uid != os.getuid():
        hint = _ELSEWHERE
    elif stat.S_ISDIR(found.st_mode):
        hint = f"chmod 700 {shlex.quote(str(directory))}"
    else:
        hint = f"rm {shlex.quote(str(directory))}"
    raise UnsafeDirectoryError(f"{directory} is not a directory of this user's alone", hint=hint)


def _stamps(directory: Path) -> Iterator[str]:
    """When each Python file of the package was last changed."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.name.endswith(".py"):
                seen = entry.stat()
                yield f"{entry.name} {seen.st_mtime_ns} {seen.st_size}"
            elif entry.is_dir() and entry.name not in {"__pycache__", "static"}:
                yield from _stamps(Path(entry.path))


def _stamp(directory: Path) -> Iterator[str]:
    # Installing or upgrading any package beside this one changes the directory they are in.
    if directory.name == "site-packages":
        yield str(directory.stat().st_mtime_ns)


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of who is at the other end of a Unix socket, as the kernel says."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(said)
    return pid, uid
