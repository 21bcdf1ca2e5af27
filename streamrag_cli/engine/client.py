"""A client of the engine: finds it or starts it, asks it, and does without it where it fails.

Nothing heavy is imported here: a question is on its way to the engine some milliseconds after the process has its
arguments. A dead, hung or foreign engine costs at most `PATIENCE_S`.
"""

import fcntl
import os
import resource
import socket
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from streamrag_cli.codec import GarbledError, read_event, read_line, to_line
from streamrag_cli.engine.liveness import PATIENCE_S, TICK_S, Silence, watch
from streamrag_cli.engine.messages import Request
from streamrag_cli.engine.peer import peer
from streamrag_cli.engine.place import Place, UnsafePlaceError, environment_for_engine, place_for, places_to_look
from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Done, Error, Status
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings

_POLL_S: Final = 0.004
_FEWEST_DESCRIPTORS: Final = 256
"""No system allows a process fewer unless it is told to."""
_HOME: Final = Path(__file__).resolve().parent.parent.parent
# Not `-m`: the program may run from a folder that only its own environment names.
_PROGRAM: Final = (
    "import sys; home = sys.argv.pop(1); home in sys.path or sys.path.insert(0, home);"
    " from streamrag_cli.engine.__main__ import main; main()"
)
_LOST: Final = Error(
    message="the engine that was writing the answer has ended: the answer is cut off",
    code="engine_lost",
    hint="ask again, or without it: streamrag ask --no-engine QUESTION",
    retryable=True,
    exit_code=ExitCode.MODEL_SERVER,
)


class NoEngineError(Exception):
    """No engine that can be asked; the message says why, for `--debug`."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A question that is on its way to an engine."""

    socket: socket.socket
    place: Place

    def only_event(self) -> AskEvent:
        """The one event that a search has. Raises NoEngineError."""
        try:
            with self.socket:
                lines = self._lines()
                next(lines)
                return cast("AskEvent", read_event(next(line for line in lines if line)))
        except StopIteration:
            raise NoEngineError("it has ended") from None
        except TimeoutError:
            raise self._abandoned() from None
        except (OSError, GarbledError) as error:
            raise NoEngineError(str(error) or type(error).__name__) from error

    def _lines(self) -> Iterator[bytes]:
        """What the engine sends, without line ends. Raises TimeoutError when it is silent."""
        silence = Silence()
        self.socket.settimeout(TICK_S)
        buffer = bytearray()
        while True:
            try:
                data = self.socket.recv(2**18)
            except TimeoutError:
                silence.check()
                continue
            if not data:
                return
            silence.end()
            buffer += data
            if b"\n" in data:
                *lines, rest = buffer.split(b"\n")
                buffer = bytearray(rest)
                yield from map(bytes, lines)

    async def events(self) -> AsyncGenerator[AskEvent, None]:
        """The engine's events. Raises NoEngineError if it hangs, or ends before its stream does."""
        import asyncio

        reader, writer = await asyncio.open_unix_connection(sock=self.socket, limit=2**28)
        silence = Silence()
        watching = asyncio.create_task(watch(reader, silence))
        try:
            if not await reader.readline():  # it says hello
                raise NoEngineError("it has ended")
            silence.end()
            while line := await reader.readline():
                silence.end()
                if line == b"\n":
                    continue
                event = read_event(line)
                if not isinstance(event, AskEvent):
                    raise GarbledError("an event of an ingest")
                yield event
                if isinstance(event, Done | Error):
                    return
            raise NoEngineError("it has ended")
        except TimeoutError:
            raise self._abandoned() from None
        except (OSError, GarbledError) as error:
            raise NoEngineError(str(error) or type(error).__name__) from error
        finally:
            watching.cancel()
            writer.close()

    def _abandoned(self) -> NoEngineError:
        """It may only be busy, so it is left alone; but the next client shall find another."""
        self.place.socket.unlink(missing_ok=True)
        return NoEngineError("it does not answer")


def connect(request: Request, environment: Mapping[str, str], *, idle_s: float, start: bool = True) -> Connection:
    """Send a request to the engine, which is started if there is none. Raises NoEngineError."""
    try:
        own = place = place_for(environment)
        connection = _connected(own.socket)
        if connection is None:
            for place in places_to_look(own, environment, needs_network=_needs_network(request)):
                if (connection := _connected(place.socket)) is not None:
                    break
            else:
                place = own
        if connection is None and start and not _is_limited():
            connection = _started(place, environment, idle_s)
        if connection is None:
            raise NoEngineError("none is running")
        connection.sendall(to_line(request))
    except (OSError, UnsafePlaceError) as error:
        raise NoEngineError(str(error)) from error
    connection.settimeout(None)
    return Connection(connection, place)


def _is_limited() -> bool:
    """Whether an engine would inherit limits that are meant for this process alone, and keep them for later clients."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_unlimited = descriptors == resource.RLIM_INFINITY or descriptors >= _FEWEST_DESCRIPTORS
    return not is_unlimited or address_space != resource.RLIM_INFINITY


def _needs_network(request: Request) -> bool:
    """Whether a model's server may be asked, through the proxies that the environment names."""
    asked = request.settings
    return asked is None or bool(asked.model or asked.base_url or asked.api_key or asked.embedding)


def state_of(place: Place, wants: Literal["status", "stop"]) -> dict[str, Any] | None:
    """What the engine at `place` says about itself, and tell it to stop if that is wanted; None where it is dead.

    Raises NoEngineError where it is alive and does not answer.
    """
    connection = _connected(place.socket)
    if connection is None:
        return None
    with connection, connection.makefile("rb") as replies:
        try:
            connection.sendall(to_line(Request(wants=wants)))
            return read_line(replies.readline())
        except (OSError, GarbledError) as error:
            raise NoEngineError("it does not answer") from error


async def ask(
    connection: Connection, question: Question, settings: Settings, *, debug: bool
) -> AsyncGenerator[AskEvent, None]:
    """The engine's answer; where it fails before anything was shown, this process's own."""
    from contextlib import aclosing

    shown = False
    try:
        async with aclosing(connection.events()) as events:
            async for event in events:
                shown = shown or not isinstance(event, Status)
                yield event
    except NoEngineError as error:
        say_without(error, debug=debug)
        if shown:
            yield _LOST
            return
    else:
        return
    from streamrag_cli.answer.pipeline import ask_once

    async with aclosing(ask_once(question, settings)) as events:
        async for event in events:
            yield event


def say_without(error: NoEngineError, *, debug: bool) -> None:
    """Tell who debugs why the engine was not used."""
    if debug:
        sys.stderr.write(f"streamrag.engine: not used: {error}\n")


def _connected(path: Path) -> socket.socket | None:
    """A connection to the engine at `path`; None where nobody listens. Raises OSError and NoEngineError."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE_S)
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
        raise NoEngineError("it is another user's")
    return connection


def _started(place: Place, environment: Mapping[str, str], idle_s: float) -> socket.socket | None:
    """A connection to a new engine, or to the one that another client is starting; None where none comes up in time."""
    deadline_s = time.monotonic() + PATIENCE_S
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


def _spawn(place: Place, environment: Mapping[str, str], idle_s: float) -> None:
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


def pid_of(place: Place) -> int | None:
    """The process that listens at `place`, also one that does not answer."""
    connection = _connected(place.socket)
    if connection is None:
        return None
    with connection:
        return peer(connection)[0]
