"""Runs the server in one process, or in several that share its address, until it is stopped."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from streamrag_cli.cores import usable_cores
from streamrag_cli.errors import ConfigurationError
from streamrag_cli.scratch import ScratchDirectory
from streamrag_cli.server.app import create_app
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.protocol import LimitedProtocol
from streamrag_cli.server.security import check_access
from streamrag_cli.server.workers import START_TIMEOUT_S, WorkerApp, run_workers
from streamrag_cli.settings import ServerSettings, Settings

_MAX_DEFAULT_WORKERS: Final = 4
"""The maximum number of workers by default, because each process uses about 200 MB of memory."""


def make_server(settings: Settings, server: ServerSettings, limits: Limits | None = None) -> uvicorn.Server:
    """Create a server that runs in this process. Raises the errors of `create_app`."""
    limits = limits or Limits()
    return _Server(_config(create_app(settings, server, limits), server, limits))


class _Server(uvicorn.Server):
    """A uvicorn server that also shuts down gracefully on SIGHUP, unless it was started with `nohup`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():  # raises the captured signals again when it ends
            if threading.current_thread() is not threading.main_thread() or _is_ignored(signal.SIGHUP):
                yield
                return
            before = signal.signal(signal.SIGHUP, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, before)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _config(app: Any, server: ServerSettings, limits: Limits, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=max(1, round(server.grace_s)),
        timeout_keep_alive=round(limits.idle_s),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(server.trusted_proxy),
        forwarded_allow_ips=list(server.trusted_proxy),  # otherwise uvicorn trusts every process on this machine
        **more,
    )


def serve(
    settings: Settings,
    server: ServerSettings,
    *,
    announce: Callable[[str], None],
    prepare_worker: Callable[[], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C, then raise that signal again. `announce` is called with the URL.

    With several workers, `prepare_worker` is pickled and called in each of them. Raises ConfigurationError:
    `server_key_missing`, `bad_setting`, `cannot_listen`.
    """
    check_access(server)
    with listening_socket(server.host, server.port) as listening:
        port = listening.getsockname()[1]
        host = f"[{server.host}]" if ":" in server.host else server.host
        announce(f"http://{host}:{port}")
        workers = server.workers or min(_MAX_DEFAULT_WORKERS, usable_cores())
        if workers == 1:
            make_server(settings, server).run(sockets=[listening])
        else:
            app = WorkerApp(settings=settings, server=server, prepare=prepare_worker)
            config = _config(
                app,
                server,
                Limits(),
                factory=True,
                workers=workers,
                timeout_worker_healthcheck=START_TIMEOUT_S,
            )
            with ScratchDirectory("streamrag-metrics-") as shared:
                run_workers(config, listening, str(shared.path))


def listening_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises ConfigurationError `cannot_listen`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            code="cannot_listen",
            hint="use any free port: streamrag serve --port 0",
        ) from None
