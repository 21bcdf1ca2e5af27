"""Runs functions in separate processes that may crash, hang or kill themselves, and saves each a second of imports.

`python -m tests.support.fork_server MODULE` imports the module and Chroma, and forks for each request; the child calls
`MODULE.main` with the request's words. Forking is safe as long as the server has not opened a store, because then it
has no threads and no database connections.
"""

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Ended:
    """`status` is the exit code, or minus the signal that ended the process."""

    status: int
    stdout: str


class ForkServer:
    """A context manager for one server process, which runs one request at a time."""

    def __init__(self, module: str, *, time_limit_s: float = 60, within: Sequence[str] = ()) -> None:
        """`within` is a command that starts another one, such as `unshare -m`."""
        self._one_at_a_time = Lock()
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.support.fork_server", module, str(time_limit_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def run(self, *words: str) -> Ended:
        """Call `main(*words)` in a new process, which is killed with SIGALRM after the time limit."""
        assert self._process.stdin
        assert self._process.stdout
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            status, output = json.loads(self._process.stdout.readline())
        return Ended(status, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()


def serve(main: Callable[..., None], time_limit_s: float) -> None:
    for line in sys.stdin:
        ended = in_a_fork(main, json.loads(line), time_limit_s)
        sys.stdout.write(json.dumps([ended.status, ended.stdout]) + "\n")
        sys.stdout.flush()


def in_a_fork(main: Callable[..., None], words: list[str], time_limit_s: float) -> Ended:
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
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
    importlib.import_module("chromadb.api.rust")
    importlib.import_module("langchain_chroma")
    gc.freeze()  # garbage collection in a child would copy the imported objects
    serve(importlib.import_module(sys.argv[1]).main, float(sys.argv[2]))
