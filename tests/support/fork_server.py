"""Runs functions in separate processes that may crash, hang or kill themselves, without repeating a second of imports.

`python -m tests.support.fork_server FD` imports the program and loads the embedding model once, and forks a server for
each request on its socket. A server imports one module and forks for each of its requests; the child calls
`MODULE.main` with the request's words.

Forking is safe because neither process has opened a store, so there are no threads and no database connections.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from streamrag_cli.cli.program import parser
from streamrag_cli.retrieval.builtin_embedding import shared_embedder
from streamrag_cli.telemetry import disable_telemetry

_HEAVY: Final = (
    "chromadb.api.rust",
    "langchain_chroma",
    "onnxruntime",
    "tokenizers",
    "streamrag_cli.cli.app",
    "streamrag_cli.cli.program",
    "streamrag_cli.answer.pipeline",
    "streamrag_cli.doctor.checks",
    "streamrag_cli.ingest.pipeline",
    "streamrag_cli.model_server.client",
    "streamrag_cli.store.local.integrity",
    "streamrag_cli.store.local.reader",
    "streamrag_cli.store.local.writer",
)
_HEAVY_TOGETHER: Final = (
    "cli",
    "documents",
    "documents.loaders",
    "history",
    "remote",
    "remote.web",
    "render",
    "service",
)
"""Packages whose modules a command imports as it needs them."""
_NEW_MOUNTS: Final = 0x20000  # CLONE_NEWNS


@dataclass(frozen=True)
class Ended:
    """`status` is the exit code, or minus the signal that ended the process."""

    status: int
    stdout: str


class ForkServer:
    """A context manager for one server process, which runs one request at a time."""

    def __init__(
        self, module: str, *, time_limit_s: float = 60, mounting: Sequence[str] = (), within: Sequence[str] = ()
    ) -> None:
        """`mounting` is a command that is run once, in a mount namespace that only this server sees.

        `within` is a command that starts another one, such as `setpriv`. It needs its own imports, and loads no model.
        """
        self._one_at_a_time = Lock()
        self._imports = _Imports(within) if within else _shared_imports()
        self._has_own_imports = bool(within)
        self._connection, theirs = socket.socketpair()
        self._lines = self._connection.makefile("r")
        with theirs:
            self._imports.serve(theirs, [module, time_limit_s, *mounting])

    def run(self, *words: str) -> Ended:
        """Call `main(*words)` in a new process, which is killed with SIGALRM after the time limit."""
        with self._one_at_a_time:
            self._connection.sendall(json.dumps(words).encode() + b"\n")
            status, output = json.loads(self._lines.readline())
        return Ended(status, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.shutdown(socket.SHUT_WR)
        self._lines.read()  # until the server has ended
        self._lines.close()
        self._connection.close()
        if self._has_own_imports:
            self._imports.close()


class _Imports:
    """A process that has imported the program and forks servers."""

    def __init__(self, within: Sequence[str] = ()) -> None:
        model = () if within else ("model",)
        self._connection, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*within, sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno()), *model],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
            )

    def serve(self, connection: socket.socket, request: Sequence[object]) -> None:
        """Fork a server that reads requests from the connection."""
        socket.send_fds(self._connection, [json.dumps(request).encode()], [connection.fileno()])

    def close(self) -> None:
        self._connection.close()
        self._process.wait()


@cache
def _shared_imports() -> _Imports:
    imports = _Imports()
    atexit.register(imports.close)
    return imports


def fork_servers(requests: socket.socket, *, with_model: bool) -> None:
    """Fork a server for each request, until the other end closes the connection."""
    disable_telemetry()  # onnxruntime reads the switch when it is imported
    _import_program()
    embedder = shared_embedder()  # the program loads the model only if the process has none
    if with_model:
        embedder.embed_query("any text")
    gc.freeze()  # garbage collection in a child would copy the imported objects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel removes servers that have ended
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, 65536, 1)
        if not request:
            return
        with socket.socket(fileno=descriptors[0]) as connection:
            if not os.fork():
                requests.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _serve(connection, *json.loads(request))
                os._exit(0)


def _import_program() -> None:
    for each in _HEAVY:
        importlib.import_module(each)
    for package in _HEAVY_TOGETHER:
        name = f"streamrag_cli.{package}"
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}."):
            importlib.import_module(module.name)
    parser()  # the program builds it only if the process has none


def _serve(connection: socket.socket, module: str, time_limit_s: float, *mounting: str) -> None:
    if mounting:
        _mount(mounting)
    main = importlib.import_module(module).main
    with connection.makefile("r") as lines:
        for line in lines:
            ended = in_a_fork(main, json.loads(line), time_limit_s, connection)
            connection.sendall(json.dumps([ended.status, ended.stdout]).encode() + b"\n")


def _mount(command: Sequence[str]) -> None:
    """Run a command in a new mount namespace, which this process and its children share."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(command, check=True)


def in_a_fork(main: Callable[..., None], words: list[str], time_limit_s: float, connection: socket.socket) -> Ended:
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        os.close(connection.detach())
        _run_child(main, words, write_end)
    os.close(write_end)
    output = _read_output(read_end, child, time_limit_s)
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output)


def _run_child(main: Callable[..., None], words: list[str], write_end: int) -> None:
    os.dup2(write_end, 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    code = 1
    try:
        main(*words)
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - the child must never continue with the server's code
        traceback.print_exc()
    finally:
        os._exit(code)


def _read_output(read_end: int, child: int, time_limit_s: float) -> str:
    deadline_s = time.monotonic() + time_limit_s
    parts: list[bytes] = []
    while True:
        if not select.select([read_end], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            os.kill(child, signal.SIGALRM)
            deadline_s = time.monotonic() + time_limit_s
        part = os.read(read_end, 65536)
        if not part:
            os.close(read_end)
            return b"".join(parts).decode()
        parts.append(part)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        fork_servers(requests, with_model="model" in sys.argv)
