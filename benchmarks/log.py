"""Measures the log: `log -q` among many turns, and the cost of recording an answer.

    python -m benchmarks.log search [TURNS]
    python -m benchmarks.log record [ROUNDS]
    python -m benchmarks.log start [ROUNDS]

`search` fills a log with TURNS turns of 1,500 characters each and starts `streamrag log -q` in new processes. The
baseline is a process that imports the same modules and exits. The figures are processor time, which a busy machine
changes less than elapsed time; these commands wait for nothing.

`record` streams answers of 300 tokens through `ConversationLog.record` and directly, in alternation. `start` measures
the first recording of a process with its imports, in processes that have imported everything else that `ask` needs.
Other programs only add to a time, so the minimum is more exact than the median on a busy machine.
"""

import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from streamrag_cli.events import AskEvent, Done, Status, Token
from streamrag_cli.model import Question, Timings
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.history.conversation_log import ConversationLog

_RUNS = 15
_IMPORTS = (
    "import streamrag_cli.cli.app, streamrag_cli.history.reading, streamrag_cli.history.conversation_log,"
    " streamrag_cli.render.log"
)
_TOKENS = 300


def main(what: str, number: str = "") -> None:
    with tempfile.TemporaryDirectory() as home:
        if what == "search":
            _search(Path(home), int(number or 10_000))
        elif what == "record":
            _record(Path(home), int(number or 200))
        else:
            _start(Path(home), int(number or 20))


def _search(home: Path, turns: int) -> None:
    from streamrag_cli.history.conversation_log import ConversationLog

    environment = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home)}
    log = ConversationLog.open(environment)
    words = _fill(log, turns)
    print(f"{turns:,} turns, {log.counts()['bytes'] / 1e6:.0f} MB")
    commands: Mapping[str, tuple[str, ...]] = {
        "imports only": ("-c", _IMPORTS),
        "log -q, rare word": ("-m", "streamrag_cli", "log", "-q", words[-1]),
        "log -q, frequent word": ("-m", "streamrag_cli", "log", "-q", words[0]),
        "log -q, three words": ("-m", "streamrag_cli", "log", "-q", " ".join(words[2:5])),
        "log": ("-m", "streamrag_cli", "log"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_RUNS):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    base = statistics.median(times["imports only"])
    for name, each in times.items():
        median = statistics.median(each)
        print(f"{name:24}{median:8.0f} ms  {median - base:+8.0f} ms")


def _fill(log: "ConversationLog", turns: int) -> list[str]:
    """Write turns of random words with a language's word frequencies; returns the words, the most frequent first."""
    from streamrag_cli.history.database import open_to_write
    from streamrag_cli.history.entry import Entry
    from streamrag_cli.history.rows import insert, update

    chosen = random.Random(1)
    words = ["".join(chosen.choices("abcdefghijklmnoprstuvw", k=chosen.randint(3, 9))) for _ in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    settings = Settings(store=log.file.parent)
    db = open_to_write(log.file)
    for number in range(turns):
        text = chosen.choices(words, weights, k=240)
        entry = Entry(
            Question(text=" ".join(text[:10]), accepted_at=0.0),
            settings,
            thread=f"t{number // 4}",
            terminal="",
            started_at=f"2026-01-01T00:{number // 600:02}:{number // 10 % 60:02}.{number % 10}00+00:00",
        )
        entry.pieces, entry.state = [" ".join(text[10:])], "complete"
        row = insert(db, entry)
        update(db, row, entry, finished=True)
    db.close()
    return words


async def _answer() -> AsyncGenerator[AskEvent, None]:
    yield Status(status="generating")
    for _ in range(_TOKENS):
        await asyncio.sleep(0)
        yield Token(text="token ")
    yield Done(finish_reason="stop", model="model", usage=None, timings=Timings())


def _record(home: Path, rounds: int) -> None:
    from streamrag_cli.history.conversation_log import ConversationLog

    log = ConversationLog(home / "streamrag" / "log.db")
    settings = Settings(store=home)

    async def timed(stream: Callable[[], AsyncGenerator[AskEvent, None]]) -> tuple[float, ...]:
        """Milliseconds until the first token, of the slowest token after it, in total, and of processor time."""
        started_cpu_s = time.process_time()
        started_s = last_s = time.perf_counter()
        first_ms = slowest_ms = 0.0
        async with aclosing(stream()) as events:
            async for event in events:
                now_s = time.perf_counter()
                if isinstance(event, Token):
                    first_ms = first_ms or (now_s - started_s) * 1000
                    slowest_ms = max(slowest_ms, (now_s - last_s) * 1000)
                last_s = now_s
        total_ms, cpu_ms = (time.perf_counter() - started_s) * 1000, (time.process_time() - started_cpu_s) * 1000
        return first_ms, slowest_ms, total_ms, cpu_ms

    def recorded() -> AsyncGenerator[AskEvent, None]:
        return log.record(_answer(), Question(text="What?", accepted_at=0.0), settings, terminal="")

    async def run() -> None:
        await timed(recorded)  # creates the log
        pairs = [(await timed(_answer), await timed(recorded)) for _ in range(rounds)]
        for position, name in enumerate(("first token", "slowest token", "whole answer", "processor time")):
            _compare(name, [pair[0][position] for pair in pairs], [pair[1][position] for pair in pairs])

    asyncio.run(run())


def _compare(name: str, direct: list[float], logged: list[float]) -> None:
    for kind, of in (("median", statistics.median), ("minimum", min)):
        without, with_log = of(direct), of(logged)
        difference = with_log - without
        print(f"{name:16}{kind:10}{without:8.2f} ms without,{with_log:8.2f} ms with the log, {difference:+.2f} ms")


_FIRST_RECORDING = """
import asyncio, os, sys, time
import rich.console, streamrag_cli.cli.app, streamrag_cli.cli.run, streamrag_cli.codec, streamrag_cli.engine.client
from pathlib import Path
from benchmarks.log import _answer
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings
async def answer():
    events, settings = _answer(), Settings(store=Path(sys.argv[1]))
    if sys.argv[2] == "with":
        from streamrag_cli.history.conversation_log import ConversationLog
        from streamrag_cli.history.terminal import current_terminal
        log = ConversationLog(Path(sys.argv[1], "streamrag", "log.db"))
        question = Question(text="What?", accepted_at=0.0)
        events = log.record(events, question, settings, terminal=current_terminal())
    async for _ in events:
        pass
async def nothing():
    pass
asyncio.run(nothing())
started_s = time.process_time()
asyncio.run(answer())
print((time.process_time() - started_s) * 1000, flush=True)
os._exit(0)
"""


def _start(home: Path, rounds: int) -> None:
    def milliseconds(how: str) -> float:
        command = [sys.executable, "-c", _FIRST_RECORDING, str(home), how]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    milliseconds("with")  # creates the log
    pairs = [(milliseconds("without"), milliseconds("with")) for _ in range(rounds)]
    _compare("processor time", [pair[0] for pair in pairs], [pair[1] for pair in pairs])


if __name__ == "__main__":
    main(*sys.argv[1:])
