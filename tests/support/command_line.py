"""Runs `streamrag` like a shell: in a new process, with a clean environment and pipes."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from tests.support.openai_server import OpenAIServer, Script

Key = TypeVar("Key")
Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "streamrag_cli")
# Ctrl-C reaches only processes whose controlling terminal this is.
_TAKE_TERMINAL = "import fcntl,os,sys,termios; fcntl.ioctl(0,termios.TIOCSCTTY,0); os.execv(sys.argv[1],sys.argv[1:])"
LIMIT_S = 60.0
SOON_S = 5.0
"""Time limit on a busy machine for operations that take less than a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The exit code and output of a process. A negative `code` is the signal that killed it."""

    code: int
    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """`streamrag` with its own home directory. `variables` are added to an otherwise clean environment."""

    home: Path
    directory: Path
    program: Sequence[str] = PROGRAM
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.home / "data" / "streamrag"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", ""),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "STREAMRAG_ENGINE": "off",  # tests leave no engine running
            "STREAMRAG_OCR": "off",  # outputs must not depend on whether tesseract is installed
            "STREAMRAG_LOG_QUESTIONS": "off",  # most tests compare outputs, which must not depend on earlier questions
            **self.variables,
        }

    def having(self, **variables: str) -> Self:
        """A copy of this command line with these variables set."""
        return replace(self, variables={**self.variables, **variables})

    def run(self, *arguments: str | bytes, stdin: bytes | int = subprocess.DEVNULL) -> Outcome:
        """Run the program and wait for its end. `stdin` is the piped input or a file descriptor."""
        stdin_option: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        ended = subprocess.run(
            (*self.program, *arguments),
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            **stdin_option,
        )
        return Outcome(code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr.decode())

    def ask(self, chat: Script, question: str, *flags: str) -> Outcome:
        """Ask a model that answers with `chat`."""
        with OpenAIServer(chat=chat) as server:
            return self.run("ask", question, "--base-url", server.base_url, *flags)

    def shell(self, script: str) -> Outcome:
        """Run a line of shell in which `streamrag` is this program."""
        program = " ".join(self.program)
        with_program = f'streamrag() {{ {program} "$@"; }}\n{script}'
        return replace(self, program=("bash", "-c", with_program)).run()

    @contextmanager
    def running(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start the program and kill it at the end of the block."""
        with subprocess.Popen(
            (*self.program, *arguments),
            cwd=self.directory,
            env=self.environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def on_terminal(self, terminal: int, *arguments: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        """Start the program with `terminal` as its controlling terminal and its streams, except a given `stdout`."""
        return subprocess.Popen(
            (sys.executable, "-SE", "-c", _TAKE_TERMINAL, *self.program, *arguments),
            cwd=self.directory,
            env=self.environment,
            stdin=terminal,
            stdout=terminal if stdout is None else stdout,
            stderr=terminal,
            start_new_session=True,
        )


def run_concurrently(runs: Mapping[Key, Callable[[], Result]]) -> dict[Key, Result]:
    """Run several functions concurrently, with one thread per core, and return their results."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(runs, pool.map(lambda run: run(), runs.values()), strict=True))


def read_until(stream: IO[bytes] | None, expected: bytes, *, limit_s: float = LIMIT_S) -> bytes:
    """Read the output as it arrives until it contains `expected`."""
    assert stream is not None
    seen = b""
    deadline_s = time.monotonic() + limit_s
    while expected not in seen:
        left_s = deadline_s - time.monotonic()
        assert left_s > 0, seen
        assert select.select([stream], [], [], left_s)[0], seen
        piece = os.read(stream.fileno(), 65536)
        assert piece, seen
        seen += piece
    return seen


def ended_within(process: subprocess.Popen[bytes], limit_s: float) -> int:
    """Wait for the process and return its exit code. Fails if it does not end within `limit_s`."""
    return process.wait(timeout=limit_s)
