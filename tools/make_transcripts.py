"""Runs the commands of all transcripts in README.md and docs/, and writes their real output below them.

    make transcripts

A transcript is a block marked `console`. Lines that begin with `$ ` are commands; everything up to the next command is
output. The commands of all pages run in one home directory, in the order of `pages`, on a terminal of `COLUMNS`
columns, in a folder with the sample documents. Another question is asked after the first command without being shown,
so that the transcripts have no notices that appear once a day, and the engine is running, as for most questions.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.support.command_line import PROGRAM, CommandLine
from tests.support.pseudo_terminal import on_terminal

ROOT: Final = Path(__file__).resolve().parent.parent
COLUMNS: Final = 80
_ROWS: Final = 60
_LIMIT_S: Final = 600.0
_FIRST_QUESTION: Final = "When does the library open?"
_BLOCK: Final = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_FIRST_WORDS: Final = re.compile(r"(?<=^first words )[\d.,]+ m?s", re.MULTILINE)
_FIRST_WORDS_IN_PROSE: Final = re.compile(r"(?<=first words after )[\d.,]+ m?s")


def pages() -> list[Path]:
    """The pages that contain transcripts, README.md first."""
    candidates = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in candidates if _BLOCK.search(page.read_text(encoding="utf-8"))]


class Session:
    """A user in a folder with the sample documents. The user's store is empty at first."""

    def __init__(self, scratch: Path, **variables: str) -> None:
        work = scratch / "work"
        shutil.copytree(ROOT / "sample_docs", work / "sample_docs")
        user = CommandLine(home=scratch, directory=work)
        self.user = user.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(scratch / "state"), **variables)
        self._started = False

    def output(self, command: str) -> str:
        """Run a line of shell in which `streamrag` is this program; return what a terminal shows."""
        line = f'streamrag() {{ {" ".join(PROGRAM)} "$@"; }}\n{command}'
        shell = replace(self.user, program=("/bin/bash", "-c", line))
        with on_terminal(shell, columns=COLUMNS, rows=_ROWS) as (terminal, process):
            terminal.wait_for_end(process, limit_s=_LIMIT_S)
        if not self._started:
            self._started = True
            self._ask_first_question()
        return "".join(f"{line}\n" for line in terminal.lines)

    def _ask_first_question(self) -> None:
        """Ask until the engine, which starts in the background, has answered once. If it is off, ask only once."""
        while True:
            with on_terminal(self.user, "ask", _FIRST_QUESTION, columns=COLUMNS, rows=_ROWS) as (terminal, process):
                terminal.wait_for_end(process, limit_s=_LIMIT_S)
            if self.user.environment["STREAMRAG_ENGINE"] == "off":
                return
            engines = json.loads(self.user.run("engine", "status", "--json").stdout or "[]")
            if any(engine["questions"] for engine in engines):
                return
            time.sleep(0.2)


def with_real_output(page: str, output: Callable[[str], str]) -> str:
    """The text of a page with the output of each command replaced by `output(command)`.

    >>> with_real_output("```console\\n$ date\\nMonday\\n```\\n", lambda command: f"the {command}\\n")
    '```console\\n$ date\\nthe date\\n```\\n'
    """

    def rerun(block: re.Match[str]) -> str:
        commands = [line for line in block[0].splitlines() if line.startswith("$ ")]
        return "".join(f"{command}\n{output(command[2:])}" for command in commands)

    return _BLOCK.sub(rerun, page)


def _with_time_of_first_words(page: str) -> str:
    """Replace the time next to the slogan by the time in the first transcript."""
    shown = _FIRST_WORDS.search(page)
    return _FIRST_WORDS_IN_PROSE.sub(shown[0], page, count=1) if shown else page


@contextmanager
def session_with_engine() -> Iterator[Session]:
    """A session in a temporary folder. The engine is on, as by default."""
    with tempfile.TemporaryDirectory() as scratch:
        runtime = Path(scratch, "run")
        runtime.mkdir(mode=0o700)
        session = Session(Path(scratch), STREAMRAG_ENGINE="on", XDG_RUNTIME_DIR=str(runtime))
        try:
            yield session
        finally:
            session.user.run("engine", "stop")


def main() -> None:
    with session_with_engine() as session:
        for page in pages():
            text = with_real_output(page.read_text(encoding="utf-8"), session.output)
            page.write_text(_with_time_of_first_words(text), encoding="utf-8")


if __name__ == "__main__":
    main()
