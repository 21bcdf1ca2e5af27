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
from typing import Any, Self

from streamrag_cli.telemetry import disable_telemetry
from tests.support.command_line import PROGRAM, CommandLine, Outcome
from tests.support.fork_server import ForkServer
from tests.support.warm_process import WarmProcess

_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))
_READ_BY_PYTHON = ("PYTHON", "LANG", "LC_")
_MODULE = "tests.support.warm_command_line"
_LIMIT_S = 60.0
_PR_SET_PTRACER = 0x59616D61
_free: list[ForkServer] = []
"""This process's idle servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The outcome, duration and peak memory of a run."""

    outcome: Outcome
    took_s: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class WarmCommandLine(CommandLine):
    """A command line whose processes share the imports, except in `shell`, with another program, or with variables
    that Python reads when it starts.
    """

    server: ForkServer

    @property
    def cold(self) -> CommandLine:
        """A copy of this command line that does not share imports."""
        return CommandLine(home=self.home, directory=self.directory, program=self.program, variables=self.variables)

    def run(self, *arguments: str | bytes, stdin: bytes | int = subprocess.DEVNULL) -> Outcome:
        words = [os.fsdecode(each) for each in arguments]
        if not self._starts_cold and stdin == subprocess.DEVNULL:
            return self.measured(*words).outcome
        if self._starts_cold or not isinstance(stdin, bytes):
            return super().run(*arguments, stdin=stdin)
        with self.running(*words, stdin=subprocess.PIPE) as process:
            stdout, stderr = process.communicate(stdin, timeout=_LIMIT_S)
        return Outcome(code=process.returncode, stdout=stdout, stderr=stderr.decode())

    @contextmanager
    def running(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> Iterator[subprocess.Popen[bytes]]:
        if self._starts_cold or not {stdin, stdout, stderr} <= {subprocess.DEVNULL, subprocess.PIPE}:
            with super().running(*arguments, stdin=stdin, stdout=stdout, stderr=stderr) as process:
                yield process
            return
        with self._process(arguments, stdin=stdin, stdout=stdout, stderr=stderr) as process:
            try:
                yield process
            finally:
                process.kill()

    def on_terminal(self, terminal: int, *arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        if self._starts_cold or stdout is not None:
            return super().on_terminal(terminal, *arguments, stdout=stdout)
        return self._process(arguments, stdin=terminal, stdout=terminal, stderr=terminal)

    @property
    def _starts_cold(self) -> bool:
        return self.program != PROGRAM or any(each.startswith(_READ_BY_PYTHON) for each in self.variables)

    def _process(self, arguments: Sequence[str], *, stdin: int, stdout: int, stderr: int) -> WarmProcess:
        return WarmProcess(_MODULE, self._spec(arguments), stdin=stdin, stdout=stdout, stderr=stderr)

    def _spec(self, arguments: Sequence[str]) -> dict[str, Any]:
        return {"arguments": arguments, "environment": self.environment, "directory": str(self.directory)}

    def measured(self, *arguments: str, module: str = "", strace: Sequence[str] = ()) -> Run:
        """Run the program, or `main` of another module, and measure it; `strace` are options with which to trace it."""
        with _Pipe() as stdout, _Pipe() as stderr, tempfile.NamedTemporaryFile() as peak_mb:
            spec = {
                **self._spec(arguments),
                "module": module,
                "strace": strace,
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
    if strace := run.get("strace"):
        _attach_strace(strace)
    os.environ.clear()
    os.environ.update(run["environment"])
    disable_telemetry()  # as the program does in a new process
    os.chdir(run["directory"])
    if "started" in run:
        os.setsid()  # a terminal that is opened next becomes the controlling terminal
    for number, (name, mode) in enumerate(_STREAMS):
        opened = os.open(run.get(name, os.devnull), mode)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(each, "w", encoding="utf-8", closefd=False) for each in (1, 2))  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
    if "started" in run:
        Path(run["started"]).write_text(f"{os.getpid()}\n", encoding="ascii")
    if run.get("module"):
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
    if "peak_mb" in run:
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
