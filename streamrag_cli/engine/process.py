"""The engine itself: answers one client after the other, or many at once, until nobody has asked for a while."""

import asyncio
import logging
import os
import socket
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

from streamrag_cli import __version__
from streamrag_cli.codec import DecodeError, event_line, to_line
from streamrag_cli.disconnect import cancel_on_disconnect
from streamrag_cli.engine.address import EngineAddress, UnsafeDirectoryError, fallback_address, identity, peer
from streamrag_cli.engine.messages import BEAT_S, LONGEST_LINE_BYTES, Request, read_request
from streamrag_cli.service.local import LocalService
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store
from streamrag_cli.system_errors import memory_bytes

_CHECK_EVERY_S: Final = 60.0  # 3 ms each time
_ASK_WITHIN_S: Final = 10.0
_TAKES_NOTHING_S: Final = 10.0
_FINISH_WITHIN_S: Final = 600.0
"""An engine that is no longer wanted ends after so many seconds, whatever its clients and their models do."""
_log = logging.getLogger(__name__)


class Engine:
    """Serves at one place. `run` returns when it is no longer wanted: idle, told to stop, or outdated."""

    def __init__(self, place: EngineAddress, *, idle_s: float) -> None:
        self._place = place
        self._idle_s = idle_s
        self._retired = asyncio.Event()
        self._asked_at_s = time.monotonic()
        self._started_at = time.time()
        self._serving: set[asyncio.Task[None]] = set()
        self._sending_since_s: dict[asyncio.Task[Any], float] = {}
        self._questions = 0
        self._secrets: set[str] = set()
        self._stores: dict[StoreAddress, int] = {}
        self._library: Any = None

    async def run(self) -> None:
        """Listen, answer, leave. An engine that lived at this place before finds itself outdated."""
        listening = _listen(self._place.socket)
        inode = self._place.socket.stat().st_ino
        server = await asyncio.start_unix_server(self._accept, sock=listening, limit=LONGEST_LINE_BYTES)
        _leave_link(self._place)
        try:
            await self._until_unwanted(inode)
        finally:
            if _inode(self._place.socket) == inode:
                self._place.socket.unlink(missing_ok=True)
            _remove_link(self._place)
            server.close()
            await self._finish()
            if self._library is not None:
                await self._library.aclose()

    async def _finish(self) -> None:
        """Let open answers come to their end, but do not wait for a client that takes nothing: it may be stopped."""
        until_s = time.monotonic() + _FINISH_WITHIN_S
        while self._serving:
            await asyncio.wait(self._serving, timeout=BEAT_S)
            now_s = time.monotonic()
            for task in list(self._serving):
                if now_s >= until_s or now_s - self._sending_since_s.get(task, now_s) >= _TAKES_NOTHING_S:
                    task.cancel()

    async def _until_unwanted(self, inode: int) -> None:
        while not self._retired.is_set():
            wait_s = min(_CHECK_EVERY_S, max(0.05, self._idle_s / 4))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._retired.wait()
            idle_s = 0.0 if self._serving else time.monotonic() - self._asked_at_s
            if idle_s >= self._idle_s or self._is_outdated(inode):
                return

    def _is_outdated(self, inode: int) -> bool:
        """Whether nobody will find this engine any more, or its store is another one than it has open."""
        try:
            if _inode(self._place.socket) != inode or identity(os.environ) != self._place.identity:
                return True
        except OSError:  # the package is gone
            return True
        return any(open_store(store).identity() != seen for store, seen in self._stores.items())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - streams run their callback in a task
        self._serving.add(task)
        try:
            _, uid = peer(writer.get_extra_info("socket"))
            if uid != os.getuid():
                return
            writer.write(to_line(self._state()))
            async with asyncio.timeout(_ASK_WITHIN_S):
                request = read_request(await reader.readline())
            beating = asyncio.create_task(_beat(writer))
            try:
                await cancel_on_disconnect(reader.read(1), self._serve(request, writer, task))
            finally:
                beating.cancel()
            self._sending_since_s[task] = time.monotonic()
            writer.close()
            await writer.wait_closed()
        except (OSError, ValueError) as error:
            _log.info("a client went away: %s", type(error).__name__)
        finally:
            self._sending_since_s.pop(task, None)
            self._serving.discard(task)
            self._asked_at_s = time.monotonic()
            writer.transport.abort()  # what was not taken by now is not waited for

    async def _serve(self, request: Request, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        """`connection` is the task that serves it, in which this does not run."""
        match request:
            case Request(wants="stop"):
                self._retired.set()
            case Request(wants="status"):
                pass  # its hello has said it
            case Request(question=None) | Request(settings=None):
                raise DecodeError("a question without words or settings")
            case _:
                await self._answer(request, writer, connection)
        await writer.drain()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        from streamrag_cli.answer.shared_resources import SharedResources

        question, settings = request.question, request.settings
        assert question is not None  # noqa: S101 - `_serve` has looked
        assert settings is not None  # noqa: S101
        self._library = self._library or SharedResources()
        service = LocalService(self._library)
        self._questions += 1
        if settings.api_key:
            self._secrets.add(settings.api_key)
        store = open_store(settings.store)
        if store.password:
            self._secrets.add(store.password)
        if (identity := store.identity()) is not None:
            self._stores.setdefault(settings.store, identity)
        act = service.ask if request.wants == "ask" else service.search
        async with aclosing(act(question, settings)) as events:
            async for event in events:
                writer.write(event_line(event))
                self._sending_since_s[connection] = time.monotonic()
                await writer.drain()
                del self._sending_since_s[connection]

    def masked(self, text: str) -> str:
        """`text` without any key that came with a question."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def _state(self) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "identity": self._place.identity,
            "running_s": round(time.time() - self._started_at, 1),
            "idle_s": round(time.monotonic() - self._asked_at_s, 1),
            "questions": self._questions,
            "open": len(self._serving) - 1,  # beside the connection that asks
            "rss_mb": memory_bytes()[1] // 1_000_000 or None,
            "stores": sorted(map(str, self._stores)),
            "log": str(self._place.log),
        }


async def _beat(writer: asyncio.StreamWriter) -> None:
    """Tell the client that this process is alive, however long the model thinks."""
    while True:
        await asyncio.sleep(BEAT_S)
        writer.write(b"\n")


def _listen(path: Path) -> socket.socket:
    """A socket at `path`, which replaces one that a dead engine has left."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(128)
    return listening


def _leave_link(place: EngineAddress) -> None:
    """Let a client find this engine that has nothing of the environment in which it was started."""
    with suppress(OSError, UnsafeDirectoryError):
        link = fallback_address(place).socket
        if link.parent != place.directory and not (link.is_socket() and not link.is_symlink()):
            for left in link.parent.glob("engine-*.sock"):
                if left.is_symlink() and not left.exists():  # by an engine that was killed
                    left.unlink(missing_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(place.socket)


def _remove_link(place: EngineAddress) -> None:
    with suppress(OSError, UnsafeDirectoryError):
        link = fallback_address(place).socket
        if link.parent != place.directory and link.readlink() == place.socket:
            link.unlink()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
