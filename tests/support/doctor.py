"""Helpers for tests of `streamrag doctor`: read its JSON and run its hints."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.command_line import CommandLine, Outcome

QUESTION = "When does the library open?"
ANSWER = "The library opens at nine in the morning."


def doctor(user: CommandLine, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the findings of a run."""
    outcome = user.run("doctor", "--json", *flags)
    result = json.loads(outcome.stdout)
    assert (result["version"], result["exit_code"], outcome.stderr) == (1, outcome.code, "")
    return outcome.code, result["checks"]


def of_check(findings: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [each for each in findings if each["check"] == check]


def bad(findings: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """State, check, code and hint of all findings that are not ok."""
    return [(each["state"], each["check"], each["code"], each["hint"]) for each in findings if each["state"] != "ok"]


def follow(user: CommandLine, hint: str, *, path: str = "library") -> Outcome:
    """Run the command in the hint, without the remark in parentheses after it."""
    command = hint.split("   (", maxsplit=1)[0].replace("PATH", path)
    program, *arguments = shlex.split(command)
    return user.run(*arguments) if program == "streamrag" else user.shell(command)


def copy_of(user: CommandLine, home: Path) -> CommandLine:
    """The same user with a copy of the store in a new home; the documents are not copied."""
    shutil.copytree(user.home / "data", home / "data")
    return replace(user, home=home)
