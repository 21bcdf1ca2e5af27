"""The client of the engine: finds or starts an engine, sends it a question, and falls back if it fails.

This module avoids slow imports: a question is sent to the engine a few milliseconds after the arguments are parsed. An
engine that is dead, hangs before its hello, or belongs to another user delays the answer by at most `HELLO_TIMEOUT_S`.
"""

import fcntl
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from streamrag_cli.codec import DecodeError, read_event, read_line, to_line
from streamrag_cli.engine.address import (
    EngineAddress,
    UnsafeDirectoryError,
    address_for,
    candidate_addresses,
    environment_for_engine,
    peer,
)
from streamrag_cli.engine.heartbeat import HELLO_TIMEOUT_S, HeartbeatMonitor, watch
from streamrag_cli.engine.messages import LONGEST_LINE_BYTES, Request
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Done, Error, QuestionAsked, Sources, Status
from streamrag_cli.model import DocumentEntry, Passage, Question
from streamrag_cli.service.interface import Listing, Selection, Service
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store

_POLL_S: Final = 0.004
_MIN_LIMITS: Final = {
    resource.RLIMIT_NOFILE: 256,
    resource.RLIMIT_NPROC: 256,
    resource.RLIMIT_FSIZE: None,
    resource.RLIMIT_CPU: None,
    resource.RLIMIT_DATA: None,
    resource.RLIMIT_AS: None,
}
"""A client with a lower soft limit starts no engine, because the engine would inherit it. None means unlimited."""
_HOME: Final = Path(__file__).resolve().parent.parent.parent
# `python -m` would not find a package that is only in the caller's PYTHONPATH, which the engine does not have.
_PROGRAM: Final = (
    "import sys; home = sys.argv.pop(1); home in sys.path or sys.path.insert(0, home);"
    " from streamrag_cli.engine.__main__ import main; main()"
)
_log: Final = logging.getLogger("streamrag.engine")
_LOST: Final = Error(
    message="the engine stopped while writing the answer, so the answer is cut off",
    code="engine_lost",
    hint="ask again, or ask without the engine: streamrag ask --no-engine QUESTION",
    retryable=True,
    exit_code=ExitCode.MODEL_SERVER,
)


class EngineService:
    """A `Service` that uses the engine, or `fallback` if the engine fails before anything is shown."""

    def __init__(self, environment: Mapping[str, str], fallback: Service) -> None:
        self._environment = environment
        self._fallback = fallback

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        request = Request(wants="ask", question=question, settings=settings)
        return self._run(request, settings, partial(self._fallback.ask, question, settings))

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        request = Request(wants="search", question=question, settings=settings)
        return self._run(request, settings, partial(self._fallback.search, question, settings))

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        """Read with `fallback`, not with the engine: only the catalog is needed, which opens in a few milliseconds."""
        return await self._fallback.read(selection, settings)

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        """List with `fallback`, not with the engine: only the catalog is needed, which opens in a few milliseconds."""
        return await self._fallback.list(listing, settings)

    def _run(
        self, request: Request, settings: Settings, fallback: Callable[[], AsyncGenerator[AskEvent, None]]
    ) -> AsyncGenerator[AskEvent, None]:
        """Send the request before returning, so that the caller can import its renderer while the engine works."""
        try:
            if variables := open_store(settings.store).environment_overrides(self._environment):
                # libpq reads these variables, such as PGPASSWORD, from the environment, and the engine lacks them.
                raise EngineUnavailableError(
                    f"the engine does not receive these environment variables: {', '.join(variables)}"
                )
            connection = connect(request, self._environment, idle_s=settings.engine_idle_s)
        except EngineUnavailableError as error:
            _log.debug("continuing without the engine: %s", error)
            return fallback()
        return _events(connection, fallback)


class EngineUnavailableError(Exception):
    """No engine can be used. The message is the reason, which `--debug` shows."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to an engine that has received a request. The last event has one of the types in `ends_with`."""

    socket: socket.socket
    address: EngineAddress
    ends_with: tuple[type[AskEvent], ...]

    async def events(self) -> AsyncGenerator[AskEvent, None]:
        """The engine's events. Raises EngineUnavailableError if it hangs, or exits before the last event."""
        import asyncio

        reader, writer = await asyncio.open_unix_connection(sock=self.socket, limit=LONGEST_LINE_BYTES)
        heartbeat = HeartbeatMonitor()
        watch_task = asyncio.create_task(watch(reader, heartbeat))
        try:
            if not await reader.readline():  # the hello
                raise EngineUnavailableError("the engine exited")
            heartbeat.received()
            while line := await reader.readline():
                heartbeat.received()
                if line == b"\n":
                    continue
                event = read_event(line)
                if not isinstance(event, AskEvent):
                    raise DecodeError("the engine sent an event that belongs to an ingest, not to an answer")
                yield event
                if isinstance(event, self.ends_with):
                    return
            raise EngineUnavailableError("the engine exited")
        except TimeoutError:
            raise self._disown() from None
        except (OSError, DecodeError) as error:
            raise EngineUnavailableError(str(error) or type(error).__name__) from error
        finally:
            watch_task.cancel()
            writer.close()

    def _disown(self) -> EngineUnavailableError:
        """Remove the socket, so that the next client starts another engine.

        This engine is not stopped, because it may only be busy.
        """
        self.address.socket.unlink(missing_ok=True)
        return EngineUnavailableError("the engine does not respond")


def connect(request: Request, environment: Mapping[str, str], *, idle_s: float, start: bool = True) -> Connection:
    """Send a request to a running engine or, with `start`, to a new one. Raises EngineUnavailableError."""
    try:
        own = address = address_for(environment)
        connection = _connected(own.socket)
        if connection is None:
            for address in candidate_addresses(own, environment, needs_network=_needs_network(request)):
                if (connection := _connected(address.socket)) is not None:
                    break
            else:
                address = own
        if connection is None and start and not _is_limited():
            connection = _started(address, environment, idle_s)
        if connection is None:
            raise EngineUnavailableError("no engine is running")
        connection.sendall(to_line(request))
    except (OSError, UnsafeDirectoryError) as error:
        raise EngineUnavailableError(str(error)) from error
    connection.settimeout(None)
    return Connection(connection, address, (Sources if request.wants == "search" else Done, Error))


def _is_limited() -> bool:
    """Whether this process has limits or a low priority that an engine would inherit and keep for later clients."""
    limits = {each: resource.getrlimit(each)[0] for each in _MIN_LIMITS}
    is_below = any(
        soft != resource.RLIM_INFINITY and (minimum is None or soft < minimum)
        for soft, minimum in zip(limits.values(), _MIN_LIMITS.values(), strict=True)
    )
    return is_below or os.getpriority(os.PRIO_PROCESS, 0) > 0


def _needs_network(request: Request) -> bool:
    """Whether the request may use a model server, and therefore the proxies in the environment."""
    settings = request.settings
    return settings is None or settings.names_a_model or bool(settings.embedding)


def state_of(address: EngineAddress, wants: Literal["status", "stop"]) -> dict[str, Any] | None:
    """The state that the engine at `address` reports; None if it is dead. If `wants` is "stop", stop the engine.

    Raises EngineUnavailableError if the engine is alive but does not respond.
    """
    connection = _connected(address.socket)
    if connection is None:
        return None
    with connection, connection.makefile("rb") as replies:
        try:
            connection.sendall(to_line(Request(wants=wants)))
            return read_line(replies.readline())
        except (OSError, DecodeError) as error:
            raise EngineUnavailableError("the engine does not respond") from error


async def _events(
    connection: Connection, fallback: Callable[[], AsyncGenerator[AskEvent, None]]
) -> AsyncGenerator[AskEvent, None]:
    from contextlib import aclosing

    shown = has_question = False
    try:
        async with aclosing(connection.events()) as events:
            async for event in events:
                has_question = has_question or isinstance(event, QuestionAsked)
                shown = shown or not isinstance(event, Status | QuestionAsked)
                yield event
    except EngineUnavailableError as error:
        _log.debug("continuing without the engine: %s", error)
        if shown:
            yield _LOST
            return
    else:
        return
    async with aclosing(fallback()) as events:
        async for event in events:
            if not (has_question and isinstance(event, QuestionAsked)):
                yield event


def _connected(path: Path) -> socket.socket | None:
    """A connection to the engine at `path`; None if no engine listens. Raises OSError and EngineUnavailableError."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(HELLO_TIMEOUT_S)
    try:
        connection.connect(str(path))
        _, uid = peer(connection)
        if uid != os.getuid():
            raise EngineUnavailableError("the engine belongs to another user")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def _started(address: EngineAddress, environment: Mapping[str, str], idle_s: float) -> socket.socket | None:
    """A connection to a new engine, or to an engine that another client starts; None if no engine is ready in time."""
    deadline_s = time.monotonic() + HELLO_TIMEOUT_S
    with open(address.start_lock, "ab", opener=_open_private) as start_lock:
        spawned = False
        while time.monotonic() < deadline_s:
            connection = _connected(address.socket)
            if connection is not None:
                return connection
            if not spawned and _locked(start_lock):
                _spawn(address, environment, idle_s)
                spawned = True
            time.sleep(_POLL_S)
    return None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)  # opening a FIFO fails instead of blocking


def _locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(address: EngineAddress, environment: Mapping[str, str], idle_s: float) -> None:
    """Start an engine as a daemon in its own session, without this process's descriptors, in a minimal environment.

    Does not use `subprocess`, whose import takes as long as a question to a running engine. Forks twice, so that init
    reaps the engine.
    """
    arguments = [
        sys.executable,
        "-P",
        "-c",
        _PROGRAM,
        str(_HOME),
        str(address.directory),
        address.identity,
        str(idle_s),
    ]
    child_environment = environment_for_engine(environment)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        log = _open_private(str(address.log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        fcntl.flock(log, fcntl.LOCK_SH)  # locked until the engine ends; see `leftovers`
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execve(sys.executable, arguments, child_environment)  # noqa: S606 - our own interpreter, no shell
    finally:
        os._exit(1)


def pid_of(address: EngineAddress) -> int | None:
    """The ID of the process that listens at `address`, even if it does not respond; None if there is none."""
    connection = _connected(address.socket)
    if connection is None:
        return None
    with connection:
        return peer(connection)[0]
