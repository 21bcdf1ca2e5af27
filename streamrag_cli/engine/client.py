"""A client of the engine: finds it or starts it, asks it, and does without it where it fails.

Nothing heavy is imported here: a question is on its way to the engine some milliseconds after the process has its
arguments. A dead, hung or foreign engine costs at most `HELLO_TIMEOUT_S`.
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
from streamrag_cli.events import AskEvent, Done, Error, Sources, Status
from streamrag_cli.model import Question
from streamrag_cli.service.interface import Service
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store

_POLL_S: Final = 0.004
_FEWEST_DESCRIPTORS: Final = 256
"""No system allows a process fewer unless it is told to."""
_HOME: Final = Path(__file__).resolve().parent.parent.parent
# Not `-m`: the program may run from a folder that only its own environment names.
_PROGRAM: Final = (
    "import sys; home = sys.argv.pop(1); home in sys.path or sys.path.insert(0, home);"
    " from streamrag_cli.engine.__main__ import main; main()"
)
_log: Final = logging.getLogger("streamrag.engine")
_LOST: Final = Error(
    message="the engine that was writing the answer has ended: the answer is cut off",
    code="engine_lost",
    hint="ask again, or without it: streamrag ask --no-engine QUESTION",
    retryable=True,
    exit_code=ExitCode.MODEL_SERVER,
)


class EngineService:
    """A `Service` over the socket. Where the engine fails before anything was shown, another one answers."""

    def __init__(self, environment: Mapping[str, str], otherwise: Service) -> None:
        self._environment = environment
        self._otherwise = otherwise

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        request = Request(wants="ask", question=question, settings=settings)
        return self._act(request, settings, partial(self._otherwise.ask, question, settings))

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        request = Request(wants="search", question=question, settings=settings)
        return self._act(request, settings, partial(self._otherwise.search, question, settings))

    def _act(
        self, request: Request, settings: Settings, otherwise: Callable[[], AsyncGenerator[AskEvent, None]]
    ) -> AsyncGenerator[AskEvent, None]:
        """When this returns the engine is at work: what shows its events can be imported beside that."""
        try:
            if variables := open_store(settings.store).environment_overrides(self._environment):
                # libpq would get more here than the store's address says, as by PGPASSWORD
                raise EngineUnavailableError(f"{', '.join(variables)} is for this process alone")
            connection = connect(request, self._environment, idle_s=settings.engine_idle_s)
        except EngineUnavailableError as error:
            _log.debug("not used: %s", error)
            return otherwise()
        return _events(connection, otherwise)


class EngineUnavailableError(Exception):
    """No engine that can be asked; the message says why, for `--debug`."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A question that is on its way to an engine; `ends_with` is what may be the last event."""

    socket: socket.socket
    place: EngineAddress
    ends_with: tuple[type[AskEvent], ...]

    async def events(self) -> AsyncGenerator[AskEvent, None]:
        """The engine's events. Raises EngineUnavailableError if it hangs, or ends before its stream does."""
        import asyncio

        reader, writer = await asyncio.open_unix_connection(sock=self.socket, limit=LONGEST_LINE_BYTES)
        silence = HeartbeatMonitor()
        watching = asyncio.create_task(watch(reader, silence))
        try:
            if not await reader.readline():  # it says hello
                raise EngineUnavailableError("it has ended")
            silence.end()
            while line := await reader.readline():
                silence.end()
                if line == b"\n":
                    continue
                event = read_event(line)
                if not isinstance(event, AskEvent):
                    raise DecodeError("an event of an ingest")
                yield event
                if isinstance(event, self.ends_with):
                    return
            raise EngineUnavailableError("it has ended")
        except TimeoutError:
            raise self._abandoned() from None
        except (OSError, DecodeError) as error:
            raise EngineUnavailableError(str(error) or type(error).__name__) from error
        finally:
            watching.cancel()
            writer.close()

    def _abandoned(self) -> EngineUnavailableError:
        """It may only be busy, so it is left alone; but the next client shall find another."""
        self.place.socket.unlink(missing_ok=True)
        return EngineUnavailableError("it does not answer")


def connect(request: Request, environment: Mapping[str, str], *, idle_s: float, start: bool = True) -> Connection:
    """Send a request to the engine, which is started if there is none. Raises EngineUnavailableError."""
    try:
        own = place = address_for(environment)
        connection = _connected(own.socket)
        if connection is None:
            for place in candidate_addresses(own, environment, needs_network=_needs_network(request)):
                if (connection := _connected(place.socket)) is not None:
                    break
            else:
                place = own
        if connection is None and start and not _is_limited():
            connection = _started(place, environment, idle_s)
        if connection is None:
            raise EngineUnavailableError("none is running")
        connection.sendall(to_line(request))
    except (OSError, UnsafeDirectoryError) as error:
        raise EngineUnavailableError(str(error)) from error
    connection.settimeout(None)
    return Connection(connection, place, (Sources if request.wants == "search" else Done, Error))


def _is_limited() -> bool:
    """Whether an engine would inherit limits that are meant for this process alone, and keep them for later clients."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_unlimited = descriptors == resource.RLIM_INFINITY or descriptors >= _FEWEST_DESCRIPTORS
    return not is_unlimited or address_space != resource.RLIM_INFINITY


def _needs_network(request: Request) -> bool:
    """Whether a model's server may be asked, through the proxies that the environment names."""
    asked = request.settings
    return asked is None or asked.names_a_model or bool(asked.embedding)


def state_of(place: EngineAddress, wants: Literal["status", "stop"]) -> dict[str, Any] | None:
    """What the engine at `place` says of itself in its hello; None where it is dead. It stops if that is wanted.

    Raises EngineUnavailableError where it is alive and does not answer.
    """
    connection = _connected(place.socket)
    if connection is None:
        return None
    with connection, connection.makefile("rb") as replies:
        try:
            connection.sendall(to_line(Request(wants=wants)))
            return read_line(replies.readline())
        except (OSError, DecodeError) as error:
            raise EngineUnavailableError("it does not answer") from error


async def _events(
    connection: Connection, otherwise: Callable[[], AsyncGenerator[AskEvent, None]]
) -> AsyncGenerator[AskEvent, None]:
    from contextlib import aclosing

    shown = False
    try:
        async with aclosing(connection.events()) as events:
            async for event in events:
                shown = shown or not isinstance(event, Status)
                yield event
    except EngineUnavailableError as error:
        _log.debug("not used: %s", error)
        if shown:
            yield _LOST
            return
    else:
        return
    async with aclosing(otherwise()) as events:
        async for event in events:
            yield event


def _connected(path: Path) -> socket.socket | None:
    """A connection to the engine at `path`; None where nobody listens. Raises OSError and EngineUnavailableError."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(HELLO_TIMEOUT_S)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    _, uid = peer(connection)
    if uid != os.getuid():
        connection.close()
        raise EngineUnavailableError("it is another user's")
    return connection


def _started(place: EngineAddress, environment: Mapping[str, str], idle_s: float) -> socket.socket | None:
    """A connection to a new engine, or to the one that another client is starting; None where none comes up in time."""
    deadline_s = time.monotonic() + HELLO_TIMEOUT_S
    with open(place.start_lock, "ab", opener=_for_this_user) as start_lock:
        spawned = False
        while time.monotonic() < deadline_s:
            connection = _connected(place.socket)
            if connection is not None:
                return connection
            if not spawned and _locked(start_lock):
                _spawn(place, environment, idle_s)
                spawned = True
            time.sleep(_POLL_S)
    return None


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(place: EngineAddress, environment: Mapping[str, str], idle_s: float) -> None:
    """Start an engine that belongs to nobody: its own session, no descriptors of ours, none of our environment.

    Not by `subprocess`, whose import takes as long as asking a warm engine; and twice forked, so that init reaps it.
    """
    arguments = [sys.executable, "-P", "-c", _PROGRAM, str(_HOME), str(place.directory), place.identity, str(idle_s)]
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
        log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execve(sys.executable, arguments, child_environment)  # noqa: S606 - our own interpreter, no shell
    finally:
        os._exit(1)


def pid_of(place: EngineAddress) -> int | None:
    """The process that listens at `place`, also one that does not answer."""
    connection = _connected(place.socket)
    if connection is None:
        return None
    with connection:
        return peer(connection)[0]
