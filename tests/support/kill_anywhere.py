"""Kills an ingest at each of its write system calls, including those of Chroma's and SQLite's threads.

    python -m tests.support.kill_anywhere              every step of an update and of a first ingest; about an hour
    python -m tests.support.kill_anywhere --sample 40  40 steps, spread evenly

The steps are recorded with `strace`: every write to one of the store's files by an uninterrupted ingest is a step. To
kill at a step, the ingest is repeated and `strace --inject` sends SIGKILL at the n-th call on that file, counted per
thread. The store must then open and answer, and the next ingest must produce the same content as an uninterrupted one.
"""

import argparse
import json
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.collection import DOCUMENTS
from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "What does a berth cost for the night?"
ANSWERS = (b"docs/harbour.md:",)
CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,rename,renameat,renameat2,"
    "link,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
_TRACED = re.compile(r"^(\d+) +(\w+)\((?:\d+<([^>]*)>|AT_FDCWD[^,]*, \"([^\"]*)\"|\"([^\"]*)\")")


@dataclass(frozen=True, slots=True)
class Step:
    """The `count`-th system call `call` on `path` by one thread; on any path if `path` is empty."""

    call: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A command line with documents to ingest. `before` is a copy of its store before the ingest; None for a first
    ingest.
    """

    user: WarmCommandLine
    before: Path | None

    def set(self) -> None:
        """Restore the store from before the ingest."""
        shutil.rmtree(self.user.home / "data", ignore_errors=True)
        if self.before:
            shutil.copytree(self.before, self.user.home / "data")

    def content(self) -> Any:
        run = self.user.measured(str(self.user.store), "default", module="tests.support.store_content")
        assert run.outcome.code == 0, run
        return json.loads(run.outcome.stdout)

    def ingest(self, *strace: str) -> int:
        """Run the ingest under `strace` and return its exit code, or minus the signal that killed it."""
        return self.user.measured("ingest", "-q", "docs", strace=("-qq", "-y", *strace)).outcome.code

    def steps(self) -> list[Step]:
        """Run an uninterrupted ingest and return its writes."""
        self.set()
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            assert self.ingest("-o", log.name, "-e", f"trace={CALLS}") == 0
            calls = [match.groups() for line in log if (match := _TRACED.match(line))]
        store = str(self.user.store)
        by_thread: Counter[tuple[str, str, str]] = Counter()
        for thread, call, *paths in calls:
            path = next((each for each in paths if each), "")
            if path.startswith(store):
                # The file names of a first ingest differ between runs.
                by_thread[thread, call, path if self.before else ""] += 1
        deepest: Counter[tuple[str, str]] = Counter()
        for (_, call, path), count in by_thread.items():
            deepest[call, path] = max(deepest[call, path], count)
        return [Step(*which, count) for which, most in sorted(deepest.items()) for count in range(1, most + 1)]

    def killed_at(self, step: Step) -> bool:
        """Run the ingest up to `step`, and return whether it was killed. It is not killed if a file name differs in
        this run.
        """
        self.set()
        only = ("-P", step.path) if step.path else ()
        inject = f"inject={step.call}:signal=SIGKILL:when={step.count}"
        return self.ingest("-o", "/dev/null", *only, "-e", f"trace={step.call}", "-e", inject) == -signal.SIGKILL

    def outcome(self) -> tuple[bool, Any]:
        """Whether the killed store answers correctly, and its content after the next ingest."""
        searched = self.user.run("search", QUESTION, "-k", "1")
        answers = searched.stdout.startswith(ANSWERS)
        hints = ("\nhint: streamrag ingest PATH\n", "\nhint: streamrag ingest\n")
        empty = self.before is None and searched.code == 5 and searched.stderr.endswith(hints)
        ingested = self.user.run("ingest", "-q", "docs")
        assert ingested.code == 0, ingested
        return answers or empty, self.content()


@contextmanager
def stages(folder: Path) -> Iterator[dict[str, Stage]]:
    """An update of a store and a first ingest, in separate homes, so that they can run concurrently."""
    with warm(_user(folder / "update")) as update, warm(_user(folder / "first")) as first:
        old = {"old.md": "# Old\n\nThis will be gone.\n", "changed.md": "# A\n\nas it was\n"}
        write_files(update.directory / "docs", {**DOCUMENTS, **old})
        assert update.run("ingest", "docs").code == 0
        before = folder / "before"
        shutil.copytree(update.home / "data", before)
        new = {"new.md": "# New\n\nThis came later.\n", "changed.md": "# A\n\nas it is\n"}
        for user in (update, first):
            write_files(user.directory / "docs", {**DOCUMENTS, **new})
        (update.directory / "docs" / "old.md").unlink()
        yield {"update": Stage(update, before), "first": Stage(first, None)}


def _user(home: Path) -> CommandLine:
    (home / "work").mkdir(parents=True)
    return CommandLine(home=home, directory=home / "work")


def sample(steps: Sequence[Step], count: int) -> list[Step]:
    """Choose `count` steps, spread evenly, including the first and the last."""
    if count >= len(steps):
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / max(1, count - 1))] for index in range(count)]


def try_steps(stage: Stage, count: int, *, say: Any = lambda _: None) -> tuple[int, list[Step]]:
    """Kill at `count` steps; return the number of kills and the steps with a wrong result. `say` receives progress."""
    steps = stage.steps()
    expected = stage.content()
    killed, wrong = 0, []
    for step in sample(steps, count):
        killed += stage.killed_at(step)
        answered, left = stage.outcome()
        if not answered or left != expected:
            wrong.append(step)
        verdict = "WRONG" if step in wrong else "correct"
        say(f"{step.call} {step.count} of {step.path or 'anything'}: {verdict}\n")
    return killed, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1_000_000)
    count = parser.parse_args().sample
    with tempfile.TemporaryDirectory() as folder, stages(Path(folder)) as named:
        results = {name: try_steps(stage, count, say=sys.stdout.write) for name, stage in named.items()}
    for name, (killed, wrong) in results.items():
        sys.stdout.write(f"{name}: killed {killed} times, {len(wrong)} wrong\n")
    sys.exit(any(wrong for _, wrong in results.values()))


if __name__ == "__main__":
    main()
