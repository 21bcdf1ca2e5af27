"""The address of an engine, which consists of its directory and its identity.

    DIRECTORY/engine-IDENTITY.sock     the socket (0600), in a private directory that the user owns (0700)
    DIRECTORY/engine-IDENTITY.start    the lock of the client that starts the engine
    DIRECTORY/engine-IDENTITY.log      the engine's log

An identity is HOME-PROGRAM-NETWORK: hashes of the home directory, of the program's files, and of those environment
variables that libraries read to connect to a model server. Another version's client looks for another engine, and
the old engine detects that it is outdated.

A login session sets XDG_RUNTIME_DIR and perhaps TMPDIR; cron, `su` and some SSH sessions set neither. So clients look
in every possible directory. An engine whose directory depends on these variables also creates a link to its socket; the
link is in the directory that is used without them.
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
_MAX_DIRECTORY_CHARS: Final = 50  # a socket's path is limited to 107 bytes
_USE_NEW_DIRECTORY: Final = 'export XDG_RUNTIME_DIR="$(mktemp -d)"'
_CREDENTIALS: Final = struct.Struct("3i")
_INHERITED: Final = ("HOME", "PATH", "LANG", "LC_ALL", "TZ", "OPENBLAS_NUM_THREADS")


class UnsafeDirectoryError(Exception):
    """The engine cannot have a private socket. `hint` is a command that fixes this, or "" if there is none."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """The directory and identity of an engine, and the paths of its files."""

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
    """The address of the engine for this program and environment. Raises UnsafeDirectoryError."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise UnsafeDirectoryError("this system does not report the user at the other end of a socket")
    return EngineAddress(_checked(_candidates(environment)[0]), identity(environment))


def fallback_address(address: EngineAddress) -> EngineAddress:
    """The address at which a client with the same HOME, but without XDG_RUNTIME_DIR and TMPDIR, looks for the engine.

    Raises UnsafeDirectoryError.
    """
    return EngineAddress(_checked(_candidates({})[0]), address.identity)


def all_addresses(environment: Mapping[str, str]) -> list[EngineAddress]:
    """The addresses of all engines for this user and home directory, in any version. Some of them may have exited.

    Directories that other users can read are included, so that engines that are no longer used can be stopped.
    Directories in which other users can create files are not.
    """
    pattern = f"engine-{_home(environment)}-*.sock"
    addresses: dict[Path, EngineAddress] = {}
    for directory in filter(_is_only_written_by_user, _candidates(environment)):
        for each in filter(_may_be_socket, sorted(directory.glob(pattern))):
            addresses.setdefault(each.resolve(), EngineAddress(directory, each.stem.removeprefix("engine-")))
    return list(addresses.values())


def _may_be_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return True  # a link to the socket of an engine that has ended
    except OSError:
        return False  # such as a loop of links


def candidate_addresses(
    own: EngineAddress, environment: Mapping[str, str], *, needs_network: bool
) -> list[EngineAddress]:
    """The addresses of other engines that a client can use instead of the one at `own`.

    Unless `needs_network`, these include engines with other proxies or certificates in their environment.
    """
    return [
        each
        for each in all_addresses(environment)
        if each != own
        and _is_private(each.directory)
        and (each.identity == own.identity or (not needs_network and _without_network(each) == _without_network(own)))
    ]


def _without_network(address: EngineAddress) -> str:
    return address.identity.rpartition("-")[0]


def identity(environment: Mapping[str, str]) -> str:
    """A name derived from the home directory, the program (files, interpreter, packages) and the network variables."""
    program = [__version__, sys.executable, str(_PACKAGE), *_stamps(_PACKAGE), *_stamp(_PACKAGE.parent)]
    network = [f"{name}={value}" for name, value in network_variables(environment).items()]
    return f"{_home(environment)}-{_hash(program)[:12]}-{_hash(network)[:6]}"


def _home(environment: Mapping[str, str]) -> str:
    home = environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return _hash([home])[:6]


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def network_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that libraries read to connect to a model server. Paths are made absolute."""
    proxies = [name for upper in _PROXIES for name in (upper, upper.lower())]
    certificates = {name: str(Path(environment[name]).absolute()) for name in _CERTIFICATES if environment.get(name)}
    return {name: environment[name] for name in proxies if environment.get(name)} | certificates


def environment_for_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for an engine, without the caller's settings and keys."""
    inherited = {name: environment[name] for name in _INHERITED if name in environment}
    # With a single malloc arena, freed memory is returned to the system instead of being kept for its thread.
    return inherited | network_variables(environment) | SWITCHES | {"MALLOC_ARENA_MAX": "1"}


def _candidates(environment: Mapping[str, str]) -> list[Path]:
    """The directories where this user's engines may listen; the first is the one for this environment."""
    user = os.getuid()
    directories: list[Path] = []
    runtime, temporary = environment.get("XDG_RUNTIME_DIR", ""), environment.get("TMPDIR", "")
    if runtime.startswith("/") and len(runtime) <= _MAX_DIRECTORY_CHARS:
        directories.append(Path(runtime, "streamrag"))
    if _is_private(login := Path(f"/run/user/{user}")):
        directories.append(login / "streamrag")
    directories += [Path(each, f"streamrag-{user}") for each in (temporary, "/tmp") if each]  # noqa: S108 - checked before use
    return list(dict.fromkeys(directories))


def _is_private(directory: Path) -> bool:
    return _is_closed_to_others(directory, 0o077)


def _is_only_written_by_user(directory: Path) -> bool:
    return _is_closed_to_others(directory, 0o022)


def _is_closed_to_others(directory: Path, forbidden: int) -> bool:
    """Whether `directory` is a directory that this user owns, without any of the `forbidden` permissions."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & forbidden


def _checked(directory: Path) -> Path:
    """`directory`, created if necessary. Raises UnsafeDirectoryError if it is not private to the user."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        pass  # not a directory; handled below
    except OSError as error:
        raise UnsafeDirectoryError(f"{directory}: {error.strerror}", hint=_USE_NEW_DIRECTORY) from error
    if _is_private(directory):
        return directory
    import shlex  # rarely needed, and not imported otherwise

    status = directory.lstat()
    if status.st_uid != os.getuid():
        hint = _USE_NEW_DIRECTORY
    elif stat.S_ISDIR(status.st_mode):
        hint = f"chmod 700 {shlex.quote(str(directory))}"
    else:
        hint = f"rm {shlex.quote(str(directory))}"
    raise UnsafeDirectoryError(f"the directory {directory} is not private to this user", hint=hint)


def _stamps(directory: Path) -> Iterator[str]:
    """Yield the name, modification time and size of each Python file in the package."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{entry.name} {status.st_mtime_ns} {status.st_size}"
            elif entry.is_dir() and entry.name not in {"__pycache__", "static"}:
                yield from _stamps(Path(entry.path))


def _stamp(directory: Path) -> Iterator[str]:
    # Installing or upgrading any package changes the modification time of site-packages.
    if directory.name == "site-packages":
        yield str(directory.stat().st_mtime_ns)


def peer(connection: socket.socket) -> tuple[int, int]:
    """The process ID and user ID at the other end of a Unix socket, as reported by the kernel."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    return pid, uid
