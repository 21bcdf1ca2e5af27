"""Transcripts: what commands print, kept as text files that a person can read and compare.

A transcript is a session: each command, what came out of it and where. What differs from run to run or from
machine to machine (times, sizes, scores, ids, the home directory) is replaced, so that all the rest must be equal.

To renew them after a change that is meant: `STREAMRAG_RENEW_TRANSCRIPTS=1 pytest tests/cli/test_commands.py`, and
read the difference before you commit it.
"""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command_line import CommandLine, at_once
from tests.support.pseudo_terminal import shown

FOLDER = Path(__file__).parents[1] / "cli" / "golden"
RENEW = "STREAMRAG_RENEW_TRANSCRIPTS"
_ALIKE = (
    (r'("\w+_ms"|"tokens_per_second"|"ms_per_query"|"size_bytes"|"free_bytes"):[\d.]+', r"\1:0"),
    (r'"chunk_id":"\w+"', '"chunk_id":"ID"'),
    (r'"score":[\d.]+', '"score":0.0'),
    (r"\b[01]\.\d\d\b", "0.00"),  # of the same width, so that tables stay in line
    (r"\d\d\d\d-\d\d-\d\dT[\d:.]+\+00:00", "DATE"),
    (r"\b\d[\d,]*(\.\d+)? (ms|s)\b", "TIME"),
    (r"(size +)[\d.]+ MB", r"\1SIZE"),
    (r"[\d,]+ MB free", "SIZE free"),
    (r"(no local model server is running|\S+( \S+)? runs at http://[^\"\n]*)", "MODEL SERVERS HERE"),
    (r"(ms_per_query +)[\d.]+", r"\1TIME"),
    (r"; (to connect one|\S+( \S+)? runs here): .* QUESTION", "; HOW TO CONNECT ONE"),
)


def in_a_pipe(user: CommandLine, command: str) -> str:
    """The part of a transcript that shows `command` with stdout and stderr in pipes."""
    outcome = user.run(*shlex.split(command)[1:])
    parts = [f"$ {command}"]
    for name, text in (("stdout", outcome.stdout.decode()), ("stderr", outcome.stderr)):
        if text:
            parts.append(f"--- {name}\n{_without_blanks_at_ends(text)}")
    parts.append(f"--- exit code {outcome.code}\n")
    return _alike("\n".join(parts), user)


def on_a_terminal(user: CommandLine, command: str, *, columns: int = 100) -> str:
    """The part of a transcript that shows what stays on a terminal of that width."""
    lines = shown(user, *shlex.split(command)[1:], columns=columns).lines
    return _alike("\n".join([f"$ {command}", f"--- screen of {columns} columns", *lines, ""]), user)


def side_by_side(*parts: Callable[[], str]) -> list[str]:
    """Parts that do not depend on each other, in this order."""
    return list(at_once({str(number): part for number, part in enumerate(parts)}).values())


def assert_same_transcript(name: str, *parts: str) -> None:
    """Compare with the file of that name, or write it where that is asked for."""
    file = FOLDER / f"{name}.txt"
    found = "\n".join(parts)
    if os.environ.get(RENEW):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8"), f"to renew it: {RENEW}=1 pytest tests/cli/test_commands.py"


def json_in(name: str, command: str) -> list[Any]:
    """The JSON that the transcript of that name shows under the first command that starts so."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    shown_part = text.partition(f"$ streamrag {command}")[2].partition("\n$ ")[0]
    return [json.loads(line) for line in shown_part.splitlines() if line.startswith("{")]


def _alike(text: str, user: CommandLine) -> str:
    text = text.replace(str(user.home), "HOME")
    for pattern, replacement in _ALIKE:
        text = re.sub(pattern, replacement, text)
    return text


def _without_blanks_at_ends(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))
