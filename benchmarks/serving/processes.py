"""The processes of the benchmark, with their CPU time, memory and open files."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.serving.client import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process that serves on `port`, with its workers."""

    name: str
    pid: int
    port: int

    @property
    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [self.pid, *map(int, children.split())]

    @property
    def processor_s(self) -> float:
        """The CPU time of all threads of the process so far, in seconds."""
        stats = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split() for pid in self.pids]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        lines = [line for pid in self.pids for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    @property
    def open_files(self) -> int:
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids)


class Client:
    """The client process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._next_number = 0

    def ask(self, server: Server, *, streams: int, tokens: int, pace_ms: int = 0) -> Report:
        assert self._process.stdin is not None
        round_of = {"port": server.port, "streams": streams, "tokens": tokens, "pace_ms": pace_ms}
        self._process.stdin.write(json.dumps({**round_of, "first_number": self._next_number}) + "\n")
        self._process.stdin.flush()
        self._next_number += streams
        return Report(**json.loads(_line(self._process.stdout)))


@contextmanager
def model_server() -> Iterator[int]:
    with _running([sys.executable, "-m", "benchmarks.serving.model"], stdout=subprocess.PIPE) as process:
        yield int(_line(process.stdout))


@contextmanager
def bare_server(model_port: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(model_port)]
    with _running(command, stdout=subprocess.PIPE) as process:
        yield Server(name="bare", pid=process.pid, port=int(_line(process.stdout)))


@contextmanager
def our_server(store: Path, model_port: int) -> Iterator[Server]:
    flags = ["--store", str(store), "--base-url", f"http://127.0.0.1:{model_port}/v1", "-m", "m", "--min-score", "0"]
    limits = ["--port", "0", "--rate-limit", "1000000/minute"]
    with _running(_streamrag("serve", *flags, *limits), stderr=subprocess.PIPE) as process:
        address = _line(process.stderr).split("://")[1].split()[0]
        yield Server(name="streamrag", pid=process.pid, port=int(address.rpartition(":")[2]))


@contextmanager
def client() -> Iterator[Client]:
    command = [sys.executable, "-m", "benchmarks.serving.client"]
    with _running(command, stdout=subprocess.PIPE) as process:
        yield Client(process)


def ingest(store: Path, documents: Path) -> None:
    subprocess.run(_streamrag("ingest", "-q", "--store", str(store), str(documents)), check=True)


def _streamrag(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streamrag_cli", *arguments]


@contextmanager
def _running(command: list[str], **pipes: Any) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()


def _line(pipe: IO[str] | None) -> str:
    assert pipe is not None
    line = pipe.readline()
    assert line, "the process has ended"
    return line
