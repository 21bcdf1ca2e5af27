"""Where an engine listens, and which engine that is.

    DIRECTORY/engine-IDENTITY.sock     the socket, 0600, in a directory of the user's own, 0700
    DIRECTORY/engine-IDENTITY.start    held by the client that starts one
    DIRECTORY/engine-IDENTITY.log      what the engine had to say

The identity stands for the program itself and for what its libraries read from the environment. A client of another
version, or one that goes through another proxy, looks for another engine, and the old one finds itself outdated.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli import __version__
from streamrag_cli.engine import peer
from streamrag_cli.silence import SWITCHES

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT: Final = ("HOME", "PATH", "LANG", "LC_ALL", "TZ")


class UnsafePlaceError(Exception):
    """The directory for the socket is not the user's own, or open to others."""


@dataclass(frozen=True, slots=True)
class Place:
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


def place_for(environment: Mapping[str, str]) -> Place:
    """The place of the engine for this program. Raises UnsafePlaceError."""
    if not peer.KNOWN:
        raise UnsafePlaceError("this system does not tell who is at the other end of a socket")
    return Place(_directory(environment), identity(environment))


def places(environment: Mapping[str, str]) -> list[Place]:
    """Every engine's place, also those of other versions. Raises UnsafePlaceError."""
    directory = _directory(environment)
    return [Place(directory, each.stem.removeprefix("engine-")) for each in sorted(directory.glob("engine-*.sock"))]


def identity(environment: Mapping[str, str]) -> str:
    """Changes with the program's files, its interpreter and its packages, and with the proxies in the environment."""
    parts = [__version__, sys.executable, str(_PACKAGE), *_stamps(_PACKAGE), *_stamp(_PACKAGE.parent)]
    parts += [f"{name}={value}" for name, value in heeded(environment).items()]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def heeded(environment: Mapping[str, str]) -> dict[str, str]:
    """What libraries read from the environment on the way to a model's server. Paths are absolute."""
    proxies = [name for upper in _PROXIES for name in (upper, upper.lower())]
    certificates = {name: str(Path(environment[name]).absolute()) for name in _CERTIFICATES if environment.get(name)}
    return {name: environment[name] for name in proxies if environment.get(name)} | certificates


def environment_for_engine(environment: Mapping[str, str]) -> dict[str, str]:
    """What an engine gets of a caller's environment: nothing that is a setting or a secret."""
    kept = {name: environment[name] for name in _KEPT if name in environment}
    # One arena for all threads: freed memory goes back instead of staying with the thread that had it.
    return kept | heeded(environment) | SWITCHES | {"MALLOC_ARENA_MAX": "1"}


def _directory(environment: Mapping[str, str]) -> Path:
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and len(runtime) <= 50:  # a socket's path has at most 107 bytes
        directory = Path(runtime, "streamrag")
    else:
        directory = Path(environment.get("TMPDIR") or "/tmp", f"streamrag-{os.getuid()}")  # noqa: S108 - checked below
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise UnsafePlaceError(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnsafePlaceError(f"{directory} is not a directory of this user's alone")
    return directory


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
