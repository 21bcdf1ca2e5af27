"""`kill -9` at every write of an ingest, down to the system calls of Chroma's and SQLite's own threads.

    python -m tests.support.kill_anywhere              every step of an update and of a first ingest; about an hour
    python -m tests.support.kill_anywhere --sample 40  so many, spread evenly

The steps are not listed anywhere: an undisturbed ingest is traced, and each write to a file of the store that it makes
is a step. To kill at one, the same ingest is run once more with the kernel told to do so at the n-th call on that
file (`strace --inject`), counted in whichever thread comes there first. The killed store must open and answer; the
next ingest must leave what one that was never disturbed leaves (`content`).
"""

import argparse
import json
import re
import shutil
import subprocess
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
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "What does a berth cost for the night?"
ANSWERS = (b"docs/harbour.md:",)
CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,rename,renameat,renameat2,"
    "link,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
KILLED = 137
_TRACED = re.compile(r"^(\d+) +(\w+)\((?:\d+<([^>]*)>|AT_FDCWD[^,]*, \"([^\"]*)\"|\"([^\"]*)\")")


@dataclass(frozen=True, slots=True)
class Step:
    """The `count`-th such call on `path` by one thread. Without a path, on anything."""

    call: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A store as it was before the ingest, the documents as they are now, and where a copy of the store is used."""

    user: WarmCommandLine
    before: Path | None

    def set(self) -> None:
        """Put the store in place as it was before."""
        shutil.rmtree(self.user.home / "data", ignore_errors=True)
        if self.before:
            shutil.copytree(self.before, self.user.home / "data")

    def content(self) -> Any:
        ran = self.user.measured(str(self.user.store), "default", module="tests.support.store_content")
        assert ran.outcome.code == 0, ran
        return json.loads(ran.outcome.stdout)

    def ingest(self, *strace: str) -> int:
        """Run the ingest under `strace`; 137 where it was killed."""
        command = ("strace", "-f", "-qq", "-y", *strace, *self.user.program, "ingest", "-q", "docs")
        ran = subprocess.run(command, cwd=self.user.directory, env=self.user.environment, check=False, timeout=120)
        return ran.returncode if ran.returncode >= 0 else 128 - ran.returncode

    def steps(self) -> list[Step]:
        """The writes of an undisturbed ingest, which is made here."""
        self.set()
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            assert self.ingest("--seccomp-bpf", "-o", log.name, "-e", f"trace={CALLS}") == 0
            made = [found.groups() for line in log if (found := _TRACED.match(line))]
        store = str(self.user.store)
        by_thread: Counter[tuple[str, str, str]] = Counter()
        for thread, call, *paths in made:
            path = next((each for each in paths if each), "")
            if path.startswith(store):
                # The names of a first ingest's files are known only when it has made them.
                by_thread[thread, call, path if self.before else ""] += 1
        deepest: Counter[tuple[str, str]] = Counter()
        for (_, call, path), count in by_thread.items():
            deepest[call, path] = max(deepest[call, path], count)
        return [Step(*which, count) for which, most in sorted(deepest.items()) for count in range(1, most + 1)]

    def killed_at(self, step: Step) -> bool:
        """Whether the ingest was killed: a file's name may differ from run to run, and then nothing is."""
        self.set()
        only = ("-P", step.path) if step.path else ()
        inject = f"inject={step.call}:signal=SIGKILL:when={step.count}"
        return self.ingest("-o", "/dev/null", *only, "-e", f"trace={step.call}", "-e", inject) == KILLED

    def outcome(self) -> tuple[bool, Any]:
        """Whether the killed store answers as it may, and what the next ingest leaves."""
        asked = self.user.run("search", QUESTION, "-k", "1")
        answers = asked.stdout.startswith(ANSWERS)
        empty = self.before is None and asked.code == 5 and asked.stderr.endswith("hint: streamrag ingest PATH\n")
        ingested = self.user.run("ingest", "-q", "docs")
        assert ingested.code == 0, ingested
        return answers or empty, self.content()


@contextmanager
def stages(folder: Path) -> Iterator[dict[str, Stage]]:
    """An update of a store and a first ingest, each at a place of its own, to be used side by side."""
    with warm(_user(folder / "update")) as update, warm(_user(folder / "first")) as first:
        _write(update, {**DOCUMENTS, "old.md": "# Old\n\nThis will be gone.\n", "changed.md": "# A\n\nas it was\n"})
        assert update.run("ingest", "docs").code == 0
        before = folder / "before"
        shutil.copytree(update.home / "data", before)
        for user in (update, first):
            _write(user, {**DOCUMENTS, "new.md": "# New\n\nThis came later.\n", "changed.md": "# A\n\nas it is\n"})
        (update.directory / "docs" / "old.md").unlink()
        yield {"update": Stage(update, before), "first": Stage(first, None)}


def _user(home: Path) -> CommandLine:
    (home / "work").mkdir(parents=True)
    return CommandLine(home=home, directory=home / "work")


def _write(user: CommandLine, documents: dict[str, str]) -> None:
    (user.directory / "docs").mkdir(exist_ok=True)
    for name, text in documents.items():
        (user.directory / "docs" / name).write_text(text, encoding="utf-8")


def sample(steps: Sequence[Step], count: int) -> list[Step]:
    """So many of them, spread evenly, the first and the last among them."""
    if count >= len(steps):
        return list(steps)
    return [steps[round(place * (len(steps) - 1) / max(1, count - 1))] for place in range(count)]


def try_steps(stage: Stage, count: int, *, say: Any = lambda _: None) -> tuple[int, list[Step]]:
    """How many of the sampled steps did kill, and those after which something was not as it should be."""
    steps = stage.steps()
    expected = stage.content()
    killed, wrong = 0, []
    for step in sample(steps, count):
        killed += stage.killed_at(step)
        answered, left = stage.outcome()
        if not answered or left != expected:
            wrong.append(step)
        verdict = "WRONG" if step in wrong else "as it should be"
        say(f"{step.call} {step.count} of {step.path or 'anything'}: {verdict}\n")
    return killed, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1_000_000)
    count = parser.parse_args().sample
    with tempfile.TemporaryDirectory() as folder, stages(Path(folder)) as found:
        results = {name: try_steps(stage, count, say=sys.stdout.write) for name, stage in found.items()}
    for name, (killed, wrong) in results.items():
        sys.stdout.write(f"{name}: killed {killed} times, {len(wrong)} wrong\n")
    sys.exit(any(wrong for _, wrong in results.values()))


if __name__ == "__main__":
    main()
