"""Two ingests, five people who ask and a server, all on one store at the same time.

    python -m tests.support.two_at_once --seconds 60

Every ingest writes the same folder, whose documents are made anew all the while, but for one that stays. Nothing may
fail but an ingest that finds the store busy, and the document that stays must be found by every question, first and
word for word.
"""

import argparse
import itertools
import json
import sys
import tempfile
import threading
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
from tests.support.running_server import running_server
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "What does a berth cost for the night?"
RIGHT = ("docs/harbour.md", "The fee is 18 euros a night")
ASKERS = 5
INGESTS = 2


@dataclass(slots=True)
class Seen:
    """How often what happened, and everything that should not have."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(folder: Path, seconds: float, *, askers: int = ASKERS) -> Seen:
    """Let them all at one store for so long; at the end an ingest alone must bring it in line."""
    (folder / "work" / "docs").mkdir(parents=True)
    user = CommandLine(home=folder, directory=folder / "work")
    for name, text in DOCUMENTS.items():
        (user.directory / "docs" / name).write_text(text, encoding="utf-8")
    with warm(user) as soon:
        assert soon.run("ingest", "docs").code == 0
    seen = Seen()
    until_s = time.monotonic() + seconds
    people: list[Callable[[WarmCommandLine], None]] = [
        *[lambda machine, at=number: _ingest(machine, seen, at) for number in range(INGESTS)],
        *[lambda machine: _ask(machine, seen) for _ in range(askers)],
    ]

    def busy(act: Callable[[WarmCommandLine], None]) -> None:
        with warm(user) as machine:
            while time.monotonic() < until_s:
                act(machine)

    settings = Settings(store=user.store)
    with running_server(settings) as server, ThreadPoolExecutor(len(people) + 1) as pool:
        served = threading.Event()

        def ask_the_server() -> None:
            while time.monotonic() < until_s or not served.is_set():
                _ask_over_http(server.url, seen)
                served.set()

        for done in [pool.submit(ask_the_server), *[pool.submit(busy, person) for person in people]]:
            done.result()
    with warm(user) as alone:
        last = alone.run("ingest", "docs")
        if last.code:
            seen.wrong.append(f"the last ingest: {last}")
        _check(alone.run("search", QUESTION, "--jsonl").stdout.decode(), seen, who="the last question")
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
        _check(outcome.stdout.decode(), seen, who="asked")


def _ask_over_http(url: str, seen: Seen) -> None:
    with urllib.request.urlopen(f"{url}/search?query={quote(QUESTION)}", timeout=30) as reply:
        found = json.load(reply)
    _check("\n".join(json.dumps(each) for each in found["hits"]), seen, who="served")


def _check(lines: str, seen: Seen, *, who: str) -> None:
    first = json.loads(lines.splitlines()[0]) if lines.strip() else {}
    seen.counts[who] += 1
    if first.get("source") != RIGHT[0] or RIGHT[1] not in first.get("content", ""):
        seen.wrong.append(f"{who}: {lines[:500]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        seen = run(Path(folder), seconds)
    sys.stdout.write("".join(f"{count:5} {what}\n" for what, count in sorted(seen.counts.items())))
    sys.stdout.write("".join(f"WRONG {each}\n" for each in seen.wrong))
    sys.exit(bool(seen.wrong))


if __name__ == "__main__":
    main()
