"""A real server on a real port: in a thread of the test's own process, or as a user starts it."""

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
    """`url` has no slash at its end."""

    url: str
    port: int
    server: uvicorn.Server

    @property
    def open_streams(self) -> int:
        return len(self.server.config.app.state.serving.streams)  # type: ignore[union-attr]


@contextlib.contextmanager
def running_server(
    settings: Settings, server: ServerSettings | None = None, limits: Limits | None = None
) -> Iterator[RunningServer]:
    """Serve on a free port of this machine while the block runs, then stop and wait for the end."""
    wanted = server or ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
    with listening_socket(wanted.host, 0) as listening:
        port = listening.getsockname()[1]
        running = make_server(settings, replace(wanted, port=port), limits)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, name="server")
        thread.start()
        try:
            yield RunningServer(url=f"http://{wanted.host}:{port}", port=port, server=running)
        finally:
            running.should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive()


@dataclass(slots=True, kw_only=True)
class ServedProcess:
    """`streamrag serve` in a process group of its own, as on a terminal of its own.

    `said` is what it wrote to stderr after its first line, once it has ended.
    """

    url: str
    process: "subprocess.Popen[str]"
    said: str = ""

    def workers(self) -> set[int]:
        """The processes that it has started and that answer."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def served(settings: Settings, *flags: str, **variables: str) -> AbstractContextManager[ServedProcess]:
    """The command on a free port, killed with all it has started at the end of the block."""
    return served_from(subprocess.DEVNULL, settings, flags, variables)


@contextlib.contextmanager
def served_from(
    stdin: int, settings: Settings, flags: Sequence[str], variables: Mapping[str, str]
) -> Iterator[ServedProcess]:
    """`served`, with this as stdin."""
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
            found = re.search(r"http://\S+", stderr.readline())
            assert found is not None
            server = ServedProcess(url=found.group(), process=process)
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        server.said = stderr.read()
