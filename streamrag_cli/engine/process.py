"""The engine process: answers clients concurrently, and exits when it has been idle for a while."""

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
from streamrag_cli.engine.leftovers import remove_leftovers
from streamrag_cli.engine.messages import BEAT_S, LONGEST_LINE_BYTES, Request, read_request
from streamrag_cli.service.local import LocalService
from streamrag_cli.store.address import StoreAddress
from streamrag_cli.store.registry import open_store
from streamrag_cli.system_errors import memory_bytes

_CHECK_EVERY_S: Final = 60.0  # each check takes 3 ms
_REQUEST_TIMEOUT_S: Final = 10.0
_SEND_TIMEOUT_S: Final = 10.0
_FINISH_TIMEOUT_S: Final = 600.0
"""An engine that is shutting down exits after this time, even if clients or models are still busy."""
_log = logging.getLogger(__name__)


class Engine:
    """Serves clients at one address. `run` returns if the engine has been idle too long, is stopped or outdated."""

    def __init__(self, address: EngineAddress, *, idle_s: float) -> None:
        self._address = address
        self._idle_s = idle_s
        self._retired = asyncio.Event()
        self._last_request_s = time.monotonic()
        self._started_at = time.time()
        self._serving: set[asyncio.Task[None]] = set()
        self._sending_since_s: dict[asyncio.Task[Any], float] = {}
        self._questions = 0
        self._secrets: set[str] = set()
        self._stores: dict[StoreAddress, int] = {}
        self._resources: Any = None

    async def run(self) -> None:
        """Listen and answer until the engine must exit. An earlier engine at this address becomes outdated."""
        listening = _listen(self._address.socket)
        inode = self._address.socket.stat().st_ino
        server = await asyncio.start_unix_server(self._accept, sock=listening, limit=LONGEST_LINE_BYTES)
        _create_link(self._address)
        remove_leftovers(self._address.directory)
        try:
            await self._wait_until_idle(inode)
        finally:
            if _inode(self._address.socket) == inode:
                self._address.socket.unlink(missing_ok=True)
            _remove_link(self._address)
            server.close()
            await self._finish()
            if self._resources is not None:
                await self._resources.aclose()

    async def _finish(self) -> None:
        """Finish the answers in progress. Skip clients that read nothing: they may have been suspended with Ctrl-Z."""
        until_s = time.monotonic() + _FINISH_TIMEOUT_S
        while self._serving:
            await asyncio.wait(self._serving, timeout=BEAT_S)
            now_s = time.monotonic()
            for task in list(self._serving):
                if now_s >= until_s or now_s - self._sending_since_s.get(task, now_s) >= _SEND_TIMEOUT_S:
                    task.cancel()

    async def _wait_until_idle(self, inode: int) -> None:
        while not self._retired.is_set():
            wait_s = min(_CHECK_EVERY_S, max(0.05, self._idle_s / 4))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._retired.wait()
            idle_s = 0.0 if self._serving else time.monotonic() - self._last_request_s
            if idle_s >= self._idle_s or self._is_outdated(inode):
                return

    def _is_outdated(self, inode: int) -> bool:
        """Whether clients can no longer find this engine, or a store's directory has been replaced."""
        try:
            if _inode(self._address.socket) != inode or identity(os.environ) != self._address.identity:
                return True
        except OSError:  # the package no longer exists
            return True
        return any(open_store(store).identity() != opened for store, opened in self._stores.items())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this callback in a task
        self._serving.add(task)
        try:
            _, uid = peer(writer.get_extra_info("socket"))
            if uid != os.getuid():
                return
            writer.write(to_line(self._state()))
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                request = read_request(await reader.readline())
            heartbeats = asyncio.create_task(_send_heartbeats(writer))
            try:
                await cancel_on_disconnect(reader.read(1), self._serve(request, writer, task))
            finally:
                heartbeats.cancel()
            self._sending_since_s[task] = time.monotonic()
            writer.close()
            await writer.wait_closed()
        except (OSError, ValueError) as error:
            _log.info("closed the connection to a client: %s", type(error).__name__)
        finally:
            self._sending_since_s.pop(task, None)
            self._serving.discard(task)
            self._last_request_s = time.monotonic()
            writer.transport.abort()  # do not wait for a client that has not read everything

    async def _serve(self, request: Request, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        """Run one request. `connection` is the task that handles its connection, which is not the current task."""
        match request:
            case Request(wants="stop"):
                self._retired.set()
            case Request(wants="status"):
                pass  # the hello contains the status
            case Request(question=None) | Request(settings=None):
                raise DecodeError("the request lacks a question or settings")
            case _:
                await self._answer(request, writer, connection)
        await writer.drain()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        from streamrag_cli.answer.shared_resources import SharedResources

        question, settings = request.question, request.settings
        assert question is not None  # noqa: S101 - checked in `_serve`
        assert settings is not None  # noqa: S101
        self._resources = self._resources or SharedResources()
        service = LocalService(self._resources)
        self._questions += 1
        if settings.api_key:
            self._secrets.add(settings.api_key)
        store = open_store(settings.store)
        self._secrets.update(store.secrets)
        if (identity := store.identity()) is not None:
            self._stores.setdefault(settings.store, identity)
        operation = service.ask if request.wants == "ask" else service.search
        async with aclosing(operation(question, settings)) as events:
            async for event in events:
                writer.write(event_line(event))
                self._sending_since_s[connection] = time.monotonic()
                await writer.drain()
                del self._sending_since_s[connection]

    def masked(self, text: str) -> str:
        """`text` with the API keys and store passwords from all questions masked."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def _state(self) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "version": __version__,
            "identity": self._address.identity,
            "running_s": round(time.time() - self._started_at, 1),
            "idle_s": round(time.monotonic() - self._last_request_s, 1),
            "questions": self._questions,
            "open": len(self._serving) - 1,  # excludes this request's own connection
            "rss_mb": memory_bytes()[1] // 1_000_000 or None,
            "stores": sorted(map(str, self._stores)),
            "log": str(self._address.log),
        }


async def _send_heartbeats(writer: asyncio.StreamWriter) -> None:
    """Send heartbeats, so that the client can distinguish a slow model from a hung engine."""
    while True:
        await asyncio.sleep(BEAT_S)
        writer.write(b"\n")


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, which replaces the socket of a dead engine."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(128)
    return listening


def _create_link(address: EngineAddress) -> None:
    """Create the link through which clients without XDG_RUNTIME_DIR and TMPDIR find the engine."""
    with suppress(OSError, UnsafeDirectoryError):
        link = fallback_address(address).socket
        if link.parent != address.directory and not (link.is_socket() and not link.is_symlink()):
            for stale in link.parent.glob("engine-*.sock"):
                if stale.is_symlink() and not stale.exists():  # the engine was killed
                    stale.unlink(missing_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(address.socket)


def _remove_link(address: EngineAddress) -> None:
    with suppress(OSError, UnsafeDirectoryError):
        link = fallback_address(address).socket
        if link.parent != address.directory and link.readlink() == address.socket:
            link.unlink()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
