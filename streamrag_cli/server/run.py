"""Runs the server until it is told to stop."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server.app import create_app
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.protocol import protocol_with
from streamrag_cli.server.serving import Serving
from streamrag_cli.settings import ServerSettings, Settings


class StoppableServer(uvicorn.Server):
    """Uvicorn's server, which on SIGTERM or Ctrl-C ends open streams with an error event instead of cutting them."""

    def __init__(self, config: uvicorn.Config, serving: Serving) -> None:
        super().__init__(config)
        self.serving = serving
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)  # a second Ctrl-C does not wait
        self.stop()

    def stop(self) -> None:
        """End open streams and then the server. May be called from any thread."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.serving.streams.shut_down)


def make_server(settings: Settings, server: ServerSettings, limits: Limits | None = None) -> StoppableServer:
    app = create_app(settings, server, limits)
    config = uvicorn.Config(
        app,
        http=protocol_with(limits or Limits()),
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=max(1, round(server.grace_s)),
        timeout_keep_alive=round((limits or Limits()).idle_s),
        log_config=None,
        access_log=False,
        server_header=False,
    )
    return StoppableServer(config, app.state.serving)


def serve(settings: Settings, server: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `announce` is told the address once it takes connections.

    Raises ConfigurationError: `server_key_missing`, `cannot_listen`.
    """
    running = make_server(settings, server)
    with listening_socket(server.host, server.port) as listening:
        port = listening.getsockname()[1]
        host = f"[{server.host}]" if ":" in server.host else server.host
        announce(f"http://{host}:{port}")
        running.run(sockets=[listening])


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that takes connections already. Raises ConfigurationError `cannot_listen`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            code="cannot_listen",
            hint="streamrag serve --port 0   (takes a free port)",
        ) from None
