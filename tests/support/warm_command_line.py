"""Runs `streamrag` in a fork of a process that has already imported everything and loaded the model.

Each run calls the program's entry point with its own arguments, environment, working directory, stdout and stderr. Only
the imports and the embedding model are shared.
"""

import atexit
import ctypes
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamrag_cli.telemetry import disable_telemetry
from tests.support.command_line import PROGRAM, CommandLine, Outcome
from tests.support.fork_server import ForkServer

OUT = ("stdout", "stderr")
_MODULE = "tests.support.warm_command_line"
_LIMIT_S = 60.0
_PR_SET_PTRACER = 0x59616D61
_free: list[ForkServer] = []
"""Idle servers of this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The outcome, duration and peak memory of a run."""

    outcome: Outcome
    took_s: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class WarmCommandLine(CommandLine):
    """A command line whose `run` shares the imports; `running` and `shell` do not."""

    server: ForkServer

    @property
    def cold(self) -> CommandLine:
        """A copy of this command line that does not share imports."""
        return CommandLine(home=self.home, directory=self.directory, program=self.program, variables=self.variables)

    def run(self, *arguments: str | bytes, stdin: bytes | int = subprocess.DEVNULL) -> Outcome:
        if self.program != PROGRAM or stdin != subprocess.DEVNULL:
            return super().run(*arguments, stdin=stdin)
        return self.measured(*map(os.fsdecode, arguments)).outcome

    def measured(self, *arguments: str, module: str = "", strace: Sequence[str] = ()) -> Run:
        """Run the program, or `main` of another module, and measure it; `strace` are options with which to trace it."""
        with _Pipe() as stdout, _Pipe() as stderr, tempfile.NamedTemporaryFile() as peak_mb:
            spec = {
                "arguments": arguments,
                "module": module,
                "strace": strace,
                "environment": self.environment,
                "directory": str(self.directory),
                "stdout": stdout.path,
                "stderr": stderr.path,
                "peak_mb": peak_mb.name,
            }
            started_s = time.monotonic()
            ended = self.server.run(json.dumps(spec))
            took_s = time.monotonic() - started_s
            outcome = Outcome(code=ended.status, stdout=stdout.text(), stderr=stderr.text().decode())
            return Run(outcome=outcome, took_s=took_s, peak_mb=float(peak_mb.read() or 0))


class _Pipe:
    """A pipe that another process opens by its path; a thread reads it continuously."""

    def __enter__(self) -> Self:
        reading, self._writing = os.pipe()
        self.path = f"/proc/{os.getpid()}/fd/{self._writing}"
        self._pool = ThreadPoolExecutor(1)
        self._content = self._pool.submit(_read_all, reading)
        return self

    def text(self) -> bytes:
        """Wait until the last writer has closed the pipe, and return everything that was written."""
        os.close(self._writing)
        self._writing = -1
        return self._content.result()

    def __exit__(self, *_: object) -> None:
        if self._writing >= 0:
            os.close(self._writing)
        self._pool.shutdown()


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read()


@contextmanager
def warm(user: CommandLine) -> Iterator[WarmCommandLine]:
    """A warm copy of `user`. During the block, it has exclusive use of a fork server, idle or new."""
    server = _free.pop() if _free else _started()
    try:
        yield _with(server, user)
    finally:
        _free.append(server)


@contextmanager
def warm_apart(
    user: CommandLine, *, time_limit_s: float = _LIMIT_S, mounting: Sequence[str] = (), within: Sequence[str] = ()
) -> Iterator[WarmCommandLine]:
    """Like `warm`, but with a new server; see `ForkServer` for `mounting` and `within`."""
    with ForkServer(_MODULE, time_limit_s=time_limit_s, mounting=mounting, within=within) as server:
        yield _with(server, user)


def _started() -> ForkServer:
    server = ForkServer(_MODULE, time_limit_s=_LIMIT_S)
    atexit.register(server.__exit__, None, None, None)
    return server


def _with(server: ForkServer, user: CommandLine) -> WarmCommandLine:
    return WarmCommandLine(home=user.home, directory=user.directory, variables=user.variables, server=server)


def main(spec: str) -> None:
    """Run the program in this fork, as described by `spec`, and exit."""
    run = json.loads(spec)
    if run["strace"]:
        _attach_strace(run["strace"])
    os.environ.clear()
    os.environ.update(run["environment"])
    disable_telemetry()  # as the program does in a new process
    os.chdir(run["directory"])
    for number, (path, mode) in enumerate(((os.devnull, os.O_RDONLY), *((run[name], os.O_WRONLY) for name in OUT))):
        os.dup2(os.open(path, mode), number)
    sys.stdout, sys.stderr = (open(each, "w", encoding="utf-8", closefd=False) for each in (1, 2))  # noqa: SIM115
    if run["module"]:
        importlib.import_module(run["module"]).main(*run["arguments"])
        sys.stdout.flush()
        os._exit(0)
    sys.argv = ["streamrag", *run["arguments"]]
    from streamrag_cli.cli.main import main as program

    code = 1
    try:
        program()
    except SystemExit as error:
        code = int(error.code or 0)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(run["peak_mb"]).write_text(str(peak_mb), encoding="ascii")
    sys.stdout.flush()
    os._exit(code)


def _attach_strace(options: Sequence[str]) -> None:
    """Trace this process and its threads from here on. The run ends when `strace` does, because it holds stdout."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)  # any process; fails where that needs no permission
    subprocess.Popen(
        ["strace", "-f", *options, "-p", str(os.getpid())], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline_s = time.monotonic() + _LIMIT_S
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text(encoding="ascii"):
        assert time.monotonic() < deadline_s, "strace did not attach"
        time.sleep(0.005)
