"""A real server on a real port, in a thread of the test's own process."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from streamrag_cli.server.limits import Limits
from streamrag_cli.server.run import StoppableServer, listening_socket, make_server
from streamrag_cli.settings import ServerSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """`url` has no slash at its end."""

    url: str
    port: int
    server: StoppableServer

    @property
    def open_streams(self) -> int:
        return len(self.server.serving.streams)


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
            running.stop()
            thread.join(timeout=20)
            assert not thread.is_alive()
