"""Measures the time from Enter until the question reaches the model server, and until the first token is shown.

    python -m venv PEER && PEER/bin/pip install llm
    python -m benchmarks.first_token PEER/bin/llm

These commands take turns in each round, so that a busy machine slows all of them. Figures are medians; ratios are
medians of the ratios per round. Each command is a separate process that asks the same server on this machine:

- `curl` only sends the question, which is the lower limit.
- `llm` is the command with that name, without documents. It uses the server as an OpenAI-compatible model.
- `plain` is `benchmarks/baseline.py` with documents. The server computes its embeddings immediately.
- `warm` is `streamrag ask` with a running engine, `cold` without a running engine, and `off` with `--no-engine`. All
  three embed the question themselves.
"""

import argparse
import json
import os
import pty
import select
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.recording_server import FIRST_TOKEN, RecordingServer

QUESTION: Final = "When do I get my deposit back?"
ROOT: Final = Path(__file__).resolve().parent.parent
PROGRAM: Final = str(Path(sysconfig.get_path("scripts"), "streamrag"))
PLAIN: Final = str(ROOT / "benchmarks" / "baseline.py")
SOURCE_ON_SCREEN: Final = b"tenant-faq"
_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The times of one question, in milliseconds. `token_ms` is the time from the server's write to the first byte of
    the answer on stdout, `first_byte_ms` the time from Enter to that byte.
    """

    request_ms: float
    token_ms: float
    first_byte_ms: float
    rss_mb: float


class Bench:
    """The server, the stores, and the commands to compare."""

    def __init__(self, scratch: Path, server: RecordingServer, llm: Path | None) -> None:
        self._scratch = scratch
        self._server = server
        self.environment = {
            "HOME": str(scratch),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "XDG_DATA_HOME": str(scratch / "data"),
            "TMPDIR": str(scratch),
            "LLM_USER_PATH": str(scratch / "llm"),
        }
        url, store = server.base_url, str(scratch / "plain")
        body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": QUESTION}]})
        self.commands = {
            "curl": ["curl", "-sN", f"{url}/chat/completions", "-H", "Content-Type: application/json", "-d", body],
            "plain": [sys.executable, PLAIN, "ask", store, url, QUESTION],
            "warm": [PROGRAM, "ask", "--base-url", url, "-m", "m", QUESTION],
            "cold": [PROGRAM, "ask", "--base-url", url, "-m", "m", QUESTION],
            "off": [PROGRAM, "ask", "--no-engine", "--base-url", url, "-m", "m", QUESTION],
        }
        if llm is not None:
            self.commands["llm"] = [str(llm), "-m", "here", QUESTION]

    def prepare(self) -> None:
        """Ingest the sample documents with both tools, configure `llm`, start the engine."""
        docs = str(ROOT / "sample_docs")
        self._call(PROGRAM, "ingest", docs)
        self._call(sys.executable, PLAIN, "ingest", str(self._scratch / "plain"), self._server.base_url, docs)
        model = f"- model_id: here\n  model_name: m\n  api_base: {self._server.base_url}\n"
        (self._scratch / "llm").mkdir()
        (self._scratch / "llm" / "extra-openai-models.yaml").write_text(model, encoding="utf-8")
        for name in self.commands:
            self.run(name)

    def _call(self, *command: str) -> bytes:
        finished = subprocess.run(command, check=True, capture_output=True, env=self.environment, cwd=self._scratch)
        return finished.stdout

    def run(self, name: str) -> Run:
        """Ask once through a pipe, and read the whole answer."""
        if name == "cold":
            self.stop()
        before = len(self._server.received)
        started = time.monotonic()
        process = subprocess.Popen(
            self.commands[name],
            cwd=self._scratch,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        seen, shown_at = b"", 0.0
        while piece := os.read(process.stdout.fileno(), 65536):
            seen += piece
            if not shown_at and FIRST_TOKEN.encode() in seen:
                shown_at = time.monotonic()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        assert process.returncode == 0, (name, process.returncode)
        assert shown_at, (name, seen)
        (received,) = self._server.received[before:]
        return Run(
            request_ms=(received.arrived_at_s - started) * 1000,
            token_ms=(shown_at - received.first_token_at_s) * 1000,
            first_byte_ms=(shown_at - started) * 1000,
            rss_mb=used.ru_maxrss / 1000 * 1.024,
        )

    def sources_ms(self, name: str) -> float:
        """Ask once on a terminal, and return the milliseconds until a source is shown."""
        master, slave = pty.openpty()
        started = time.monotonic()
        process = subprocess.Popen(
            self.commands[name],
            cwd=self._scratch,
            env=self.environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        shown_at = 0.0
        for seen in _reads(master):
            if not shown_at and SOURCE_ON_SCREEN in seen:
                shown_at = time.monotonic()
        os.close(master)
        assert process.wait() == 0, name
        assert shown_at, name
        return (shown_at - started) * 1000

    def engine(self) -> dict[str, Any]:
        (state,) = json.loads(self._call(PROGRAM, "engine", "status", "--json"))
        return dict(state)

    def stop(self) -> None:
        self._call(PROGRAM, "engine", "stop")


def _reads(terminal: int) -> Iterator[bytes]:
    """Read until the terminal is closed. After each read, yields everything read so far."""
    seen = b""
    while select.select([terminal], [], [], _LIMIT_S)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux reports the end of a pseudo-terminal
            return
        if not piece:
            return
        seen += piece
        yield seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("llm", type=Path, nargs="?", help="the `llm` command, installed anywhere")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--think-ms", type=float, default=500, help="delay of the model before its first token")
    parser.add_argument("--idle-s", type=float, default=20)
    arguments = parser.parse_args()
    llm = arguments.llm and Path(os.path.abspath(arguments.llm))  # noqa: PTH100 - `resolve` would leave the venv
    with bench(llm, arguments.think_ms / 1000) as running:
        compare_requests(running, arguments.rounds)
        compare_sources(running, arguments.rounds)
        measure_engine(running, arguments.idle_s)


@contextmanager
def bench(llm: Path | None, think_s: float) -> Iterator[Bench]:
    scratch = Path(tempfile.mkdtemp(prefix="first-"))
    try:
        with RecordingServer(think_s=think_s) as server:
            running = Bench(scratch, server, llm)
            try:
                running.prepare()
                yield running
            finally:
                running.stop()
    finally:
        shutil.rmtree(scratch)


def compare_requests(running: Bench, rounds: int) -> None:
    runs = [{name: running.run(name) for name in running.commands} for _ in range(rounds)]
    print(f"{rounds} rounds: question at the server, token from the server to stdout, first byte, peak memory")
    for name in running.commands:
        shown = [
            statistics.median(getattr(each[name], figure) for each in runs)
            for figure in ("request_ms", "token_ms", "first_byte_ms", "rss_mb")
        ]
        worst = max(each[name].token_ms for each in runs)
        request_ms, token_ms, first_ms, rss_mb = shown
        print(
            f"  {name:<6}{request_ms:8.0f} ms{token_ms:8.1f} ms (worst {worst:.1f}){first_ms:8.0f} ms{rss_mb:8.0f} MB"
        )
    for ours in ("warm", "cold", "off"):
        for theirs in ("llm", "plain"):
            if theirs in running.commands:
                request_ratio = _ratio(runs, ours, theirs, lambda run: run.request_ms)
                shown_ratio = _ratio(runs, ours, theirs, lambda run: run.first_byte_ms)
                print(f"  {ours} / {theirs}: question {request_ratio:.3f}, first byte {shown_ratio:.3f}")


def compare_sources(running: Bench, rounds: int) -> None:
    names = ("plain", "warm", "off")
    runs = [{name: running.sources_ms(name) for name in names} for _ in range(rounds)]
    print("sources on a terminal")
    for name in names:
        print(f"  {name:<6}{statistics.median(each[name] for each in runs):8.0f} ms")
    for ours in ("warm", "off"):
        print(f"  {ours} / plain: {_ratio(runs, ours, 'plain', lambda shown_ms: shown_ms):.3f}")


def _ratio(runs: Sequence[Mapping[str, Any]], ours: str, theirs: str, of: Callable[[Any], float]) -> float:
    return statistics.median(of(each[ours]) / of(each[theirs]) for each in runs)


def measure_engine(running: Bench, idle_s: float) -> None:
    plain_mb = running.run("plain").rss_mb
    pid = running.engine()["pid"]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    now_mb, most_mb = (int(status[name].split()[0]) * 1.024 / 1000 for name in ("VmRSS", "VmHWM"))
    print(
        f"engine after {running.engine()['questions']} questions: {now_mb:.0f} MB, peak {most_mb:.0f} MB;"
        f" baseline peak {plain_mb:.0f} MB: {most_mb / plain_mb:.2f}"
    )
    before_ms = _cpu_ms(pid)
    time.sleep(idle_s)
    print(f"engine idle for {idle_s:.0f} s: {_cpu_ms(pid) - before_ms:.2f} ms of CPU time")


def _cpu_ms(pid: int) -> float:
    """CPU time of all threads so far; the kernel counts it in nanoseconds."""
    return sum(int(each.read_text("ascii").split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


if __name__ == "__main__":
    main()
