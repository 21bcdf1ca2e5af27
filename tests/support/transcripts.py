"""Golden transcripts: the output of commands as text files.

A transcript is a session of commands with their output and streams. Values that differ between runs or machines (times,
sizes, scores, ids, the home directory) are replaced; everything else must be equal.

To write them again after an intended change, run `STREAMRAG_RENEW_TRANSCRIPTS=1 pytest tests/cli/test_commands.py`
and review the diff.
"""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command_line import CommandLine, run_concurrently
from tests.support.pseudo_terminal import shown

FOLDER = Path(__file__).parents[1] / "cli" / "golden"
UPDATE_VARIABLE = "STREAMRAG_RENEW_TRANSCRIPTS"
_REPLACEMENTS = (
    (r'(?m)^(\{"type":"progress",.*|\.\.\. .* passages.*)\n', ""),  # only if an ingest takes longer than a second
    (r'("\w+_ms"|"tokens_per_second"|"ms_per_query"|"size_bytes"|"free_bytes"):[\d.]+', r"\1:0"),
    (r'"new_documents":\d+', '"new_documents":0'),  # depends on whether the files are older than two seconds
    (r'"chunk_id":"\w+"', '"chunk_id":"ID"'),
    (r'"score":[\d.]+', '"score":0.0'),
    (r"\b[01]\.\d\d\b", "0.00"),  # with the same width, so that tables stay aligned
    (r"\d\d\d\d-\d\d-\d\dT[\d:.]+\+00:00", "DATE"),
    (r"\b\d\d\d\d-\d\d-\d\d \d\d:\d\d\b", "DATE AND MINUTE "),  # of the same width
    (r"\b\d[\d,]*(\.\d+)? (ms|s)\b", "TIME"),
    (r"\b\d+\.\d MB\b", "0.0 MB"),
    (r"[\d,]+ [MG]B free", "SIZE free"),
    (r"(no local model\s+server is\s+running|\S+( \S+)? is running at http://[^\"\n]*)", "MODEL SERVERS HERE"),
    (r"(ms_per_query +)[\d.]+", r"\1TIME"),
    (r"; (to connect a model|to use \S+( \S+)? on this machine): .* QUESTION", "; HOW TO CONNECT A MODEL"),
)


def in_a_pipe(user: CommandLine, command: str) -> str:
    """Run `command` with stdout and stderr in pipes, and return its part of a transcript."""
    outcome = user.run(*shlex.split(command)[1:])
    parts = [f"$ {command}"]
    for name, text in (("stdout", outcome.stdout.decode()), ("stderr", outcome.stderr)):
        if text:
            parts.append(f"--- {name}\n{_without_trailing_blanks(text)}")
    parts.append(f"--- exit code {outcome.code}\n")
    return _normalised("\n".join(parts), user)


def on_a_terminal(user: CommandLine, command: str, *, columns: int = 100) -> str:
    """Run `command` on a terminal of that width, and return its final screen as a part of a transcript."""
    lines = shown(user, *shlex.split(command)[1:], columns=columns).lines
    return _normalised("\n".join([f"$ {command}", f"--- screen of {columns} columns", *lines, ""]), user)


def concurrently(*parts: Callable[[], str]) -> list[str]:
    """Run independent parts concurrently; return them in this order."""
    return list(run_concurrently({str(number): part for number, part in enumerate(parts)}).values())


def assert_same_transcript(name: str, *parts: str) -> None:
    """Compare the transcript with its golden file. If `STREAMRAG_RENEW_TRANSCRIPTS` is set, write the file first."""
    file = FOLDER / f"{name}.txt"
    transcript = "\n".join(parts)
    if os.environ.get(UPDATE_VARIABLE):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(transcript, encoding="utf-8")
    assert transcript == file.read_text(encoding="utf-8"), (
        f"to update it: {UPDATE_VARIABLE}=1 pytest tests/cli/test_commands.py"
    )


def json_in(name: str, command: str) -> list[Any]:
    """The JSON lines in a transcript after the first command that starts with `command`."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    shown_part = text.partition(f"$ streamrag {command}")[2].partition("\n$ ")[0]
    return [json.loads(line) for line in shown_part.splitlines() if line.startswith("{")]


def _normalised(text: str, user: CommandLine) -> str:
    text = text.replace(str(user.home), "HOME")
    for pattern, replacement in _REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def _without_trailing_blanks(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))
