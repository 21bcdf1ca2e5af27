"""Several processes that answer at one address, each as if it were alone.

Uvicorn starts them, starts another for one that dies or hangs, renews them one by one on SIGHUP, and ends them. They
share the socket and what they count for `/metrics`; each has its own store, rates and open answers.
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

START_WITHIN_S = 30
"""A worker that does not answer for so long, as while it starts on a busy machine, counts as hung."""
_CTRL_C: Final = {signal.SIGINT}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerApp:
    """Makes the application in a worker, to which this is sent. `prepare` is called before.

    Uvicorn takes signals by then, so a Ctrl-C that `_Workers` held back may come.
    """

    settings: Settings
    server: ServerSettings
    prepare: Callable[[], None]

    def __call__(self) -> ASGIApp:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        self.prepare()
        threading.Thread(target=_leave_with_the_parent, name="parent", daemon=True).start()
        return create_app(self.settings, self.server)


def _leave_with_the_parent() -> None:
    """A parent that is killed cannot end its workers, which would go on answering for nobody who could stop them."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def run_workers(config: uvicorn.Config, listening: socket.socket, shared_directory: str) -> None:
    """Answer at `listening` until SIGTERM or Ctrl-C, which is then raised again. `config.app` is a `WorkerApp`.

    In `shared_directory` the workers count for `/metrics`. Raises StreamragError `worker_failed`.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared_directory  # prometheus_client takes it from nowhere else
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
    """Uvicorn's supervisor, which says what ended it and forgets the open answers of a worker that died.

    A terminal sends Ctrl-C to all. Python would end a worker that is starting with a traceback, so it is held back: in
    workers, which inherit that, until uvicorn takes signals there; here until `handle_signals`.
    """

    def __init__(self, config: uvicorn.Config, listening: socket.socket, shared_directory: str) -> None:
        super().__init__(config, [listening])
        self.ended_by: signal.Signals | None = None
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as by `nohup`
        self._ends_with_terminal = not is_ignored and any(map(os.isatty, (0, 1, 2)))
        self._shared_directory = shared_directory

    def run(self) -> None:
        resource_tracker.ensure_running()  # started with the first worker, it would let Ctrl-C through again
        signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
        try:
            super().run()
            self.handle_signals()  # a worker may have ended of the signal, and the rest with it
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
        """The terminal was closed; without one, somebody wants other workers."""
        if not self._ends_with_terminal:
            super().handle_hup()
            return
        self.ended_by = signal.SIGHUP
        super().handle_term()

    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            process.child_conn.close()  # a worker that dies is silent for as long as anybody has its end open
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid, self._shared_directory)  # type: ignore[no-untyped-call]
