"""Stress test: two ingests, five clients and a server use one store concurrently.

    python -m tests.support.concurrent_use --seconds 60

The ingests read the same folder, in which some documents keep changing. Only an ingest that finds the store busy may
fail, and the first hit of every question must be a document that never changes.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from streamrag_cli.settings import Settings
from tests.support.collection import DOCUMENTS
from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.running_server import running_server
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "What does a berth cost for the night?"
EXPECTED = ("docs/harbour.md", "The fee is 18 euros a night")
CLIENTS = 5
INGESTS = 2


@dataclass(slots=True)
class Seen:
    """The number of events of each kind, and a description of every failure."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(folder: Path, seconds: float, *, askers: int = CLIENTS) -> Seen:
    """Run everything for `seconds`; then a single ingest must succeed, and a question must be answered correctly."""
    user = CommandLine(home=folder, directory=folder / "work")
    write_files(user.directory / "docs", DOCUMENTS)
    with warm(user) as machine:
        assert machine.run("ingest", "docs").code == 0
    seen = Seen()
    jobs: list[Callable[[WarmCommandLine], None]] = [
        *[lambda machine, at=number: _ingest(machine, seen, at) for number in range(INGESTS)],
        *[lambda machine: _ask(machine, seen) for _ in range(askers)],
    ]

    def repeat(job: Callable[[WarmCommandLine], None]) -> None:
        with warm(user) as machine:
            job(machine)
            while time.monotonic() < deadline_s:
                job(machine)

    settings = Settings(store=user.store)
    with running_server(settings) as server, ThreadPoolExecutor(len(jobs) + 1) as pool:
        deadline_s = time.monotonic() + seconds

        def ask_the_server() -> None:
            _ask_over_http(server.url, seen)
            while time.monotonic() < deadline_s:
                _ask_over_http(server.url, seen)

        for future in [pool.submit(ask_the_server), *[pool.submit(repeat, job) for job in jobs]]:
            future.result()
    with warm(user) as machine:
        last = machine.run("ingest", "docs")
        if last.code:
            seen.wrong.append(f"the last ingest: {last}")
        _check(machine.run("search", QUESTION, "--jsonl").stdout.decode(), seen, kind="the last question")
    return seen


_numbers = itertools.count()


def _ingest(machine: WarmCommandLine, seen: Seen, at: int) -> None:
    number = next(_numbers)
    changing = machine.directory / "docs" / f"changing{at}.md"
    changing.write_text(
        f"# Version {number}\n\nThis is version {number} of a document that changes.\n", encoding="utf-8"
    )
    outcome = machine.run("ingest", "-q", "docs")
    if outcome.code == 5 and "the store is busy" in outcome.stderr:
        seen.counts["busy"] += 1
    elif outcome.code == 0:
        seen.counts["ingested"] += 1
    else:
        seen.wrong.append(f"ingest: {outcome}")


def _ask(machine: WarmCommandLine, seen: Seen) -> None:
    outcome = machine.run("search", QUESTION, "--jsonl")
    if outcome.code:
        seen.wrong.append(f"search: {outcome}")
    else:
        _check(outcome.stdout.decode(), seen, kind="asked")


def _ask_over_http(url: str, seen: Seen) -> None:
    with urllib.request.urlopen(f"{url}/search?query={quote(QUESTION)}", timeout=30) as reply:
        result = json.load(reply)
    _check("\n".join(json.dumps(each) for each in result["hits"]), seen, kind="served")


def _check(lines: str, seen: Seen, *, kind: str) -> None:
    first = json.loads(lines.splitlines()[0]) if lines.strip() else {}
    seen.counts[kind] += 1
    if first.get("source") != EXPECTED[0] or EXPECTED[1] not in first.get("content", ""):
        seen.wrong.append(f"{kind}: {lines[:500]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        seen = run(Path(folder), seconds)
    sys.stdout.write("".join(f"{count:5} {kind}\n" for kind, count in sorted(seen.counts.items())))
    sys.stdout.write("".join(f"WRONG {each}\n" for each in seen.wrong))
    sys.exit(bool(seen.wrong))


if __name__ == "__main__":
    main()
