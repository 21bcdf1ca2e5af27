"""Runs several worker processes that share one address.

Uvicorn starts the workers, replaces a worker that dies or hangs, restarts them one by one on SIGHUP, and stops them.
They share the socket and the metrics. Each worker opens the store separately, and applies the rate limit and the limit
on answers in progress on its own.
"""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Final

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from streamrag_cli.errors import StreamragError
from streamrag_cli.server.app import create_app
from streamrag_cli.settings import ServerSettings, Settings

START_TIMEOUT_S = 30
"""A worker that does not respond for this long counts as hung. Even on a busy machine, a worker starts in less time."""
_CTRL_C: Final = {signal.SIGINT}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerApp:
    """A factory for the application, which is pickled for a worker and called there. It calls `prepare` first.

    The call unblocks SIGINT, which `_Workers` blocked. At that point, uvicorn has installed its signal handlers.
    """

    settings: Settings
    server: ServerSettings
    prepare: Callable[[], None]

    def __call__(self) -> ASGIApp:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        self.prepare()
        threading.Thread(target=_exit_with_parent, name="parent", daemon=True).start()
        return create_app(self.settings, self.server)


def _exit_with_parent() -> None:
    """End this worker when its parent is killed. Otherwise the worker would continue to serve forever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def run_workers(config: uvicorn.Config, listening: socket.socket, shared_directory: str) -> None:
    """Serve on `listening` until SIGTERM or Ctrl-C, then raise that signal again. `config.app` is a `WorkerApp`.

    The workers keep their metrics in `shared_directory`. Raises StreamragError `worker_failed`.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared_directory  # prometheus_client reads it only from the environment
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    workers = _Workers(config, listening, shared_directory)
    workers.run()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if workers.ended_by is None:
        raise StreamragError(
            "a worker failed to start", code="worker_failed", hint="streamrag serve --workers 1 --debug"
        )
    signal.raise_signal(workers.ended_by)


class _Workers(Multiprocess):
    """A uvicorn supervisor that also records the signal that ended it and drops the metrics of dead workers.

    A terminal sends Ctrl-C to all processes, and a worker that is starting would end with a traceback. SIGINT is
    therefore blocked: in this process until `handle_signals`, and in the workers, which inherit the mask, until uvicorn
    handles signals there.
    """

    def __init__(self, config: uvicorn.Config, listening: socket.socket, shared_directory: str) -> None:
        super().__init__(config, [listening])
        self.ended_by: signal.Signals | None = None
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # set by `nohup`
        self._ends_with_terminal = not is_ignored and any(map(os.isatty, (0, 1, 2)))
        self._shared_directory = shared_directory

    def run(self) -> None:
        resource_tracker.ensure_running()  # starting it with the first worker would unblock Ctrl-C
        signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
        try:
            super().run()
            self.handle_signals()  # the signal may have ended a worker, and with it the supervisor
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)

    def handle_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
        super().handle_signals()

    def handle_int(self) -> None:
        self.ended_by = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        self.ended_by = signal.SIGTERM
        super().handle_term()

    def handle_hup(self) -> None:
        """Shut down if the terminal was closed; restart the workers if there is no terminal."""
        if not self._ends_with_terminal:
            super().handle_hup()
            return
        self.ended_by = signal.SIGHUP
        super().handle_term()

    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            process.child_conn.close()  # a worker's death is detected only if its end of the pipe is closed here
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid, self._shared_directory)  # type: ignore[no-untyped-call]
