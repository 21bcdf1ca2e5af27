"""Runs the server on a free port, in a thread of the test process or with `streamrag serve`."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvicorn

from streamrag_cli.server.limits import Limits
from streamrag_cli.server.run import listening_socket, make_server
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.store.registry import open_store

STREAMRAG: Final = (sys.executable, "-c", "from streamrag_cli.cli.main import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A running server and its address. `url` has no trailing slash."""

    url: str
    port: int
    server: uvicorn.Server

    @property
    def open_streams(self) -> int:
        return len(self.server.config.app.state.serving.streams)  # type: ignore[union-attr]


@contextlib.contextmanager
def running_server(
    settings: Settings, server: ServerSettings | None = None, limits: Limits | None = None, *, port: int = 0
) -> Iterator[RunningServer]:
    """Serve on `port`, or on a free port, during the block, then stop the server and wait for it."""
    server_settings = server or ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
    with listening_socket(server_settings.host, port) as listening:
        port = listening.getsockname()[1]
        running = make_server(settings, replace(server_settings, port=port), limits)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, name="server")
        thread.start()
        try:
            yield RunningServer(url=f"http://{server_settings.host}:{port}", port=port, server=running)
        finally:
            running.should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive()


@dataclass(slots=True, kw_only=True)
class ServedProcess:
    """`streamrag serve` in a separate session. `stderr` is set, without its first line, when it ends."""

    url: str
    process: "subprocess.Popen[str]"
    stderr: str = ""

    def workers(self) -> set[int]:
        """The ids of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in _command_line(pid)}


def _command_line(pid: str) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""  # the process has ended since it was listed


def served(settings: Settings, *flags: str, **variables: str) -> AbstractContextManager[ServedProcess]:
    """Run `streamrag serve` on a free port, and kill it with all its child processes at the end of the block."""
    return served_from(subprocess.DEVNULL, settings, flags, variables)


@contextlib.contextmanager
def served_from(
    stdin: int, settings: Settings, flags: Sequence[str], variables: Mapping[str, str]
) -> Iterator[ServedProcess]:
    """Like `served`, with `stdin` as the standard input."""
    store = open_store(settings.store).with_secret()
    process = subprocess.Popen(
        [*STREAMRAG, "serve", "--port", "0", *flags],
        stdin=stdin,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STREAMRAG_STORE": store, "STREAMRAG_GRACE": "3", "STREAMRAG_WORKERS": "1", **variables},
        start_new_session=True,
    )
    assert process.stderr is not None
    with process, process.stderr as stderr:
        try:
            match = re.search(r"http://\S+", stderr.readline())
            assert match is not None
            server = ServedProcess(url=match.group(), process=process)
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        server.stderr = stderr.read()
