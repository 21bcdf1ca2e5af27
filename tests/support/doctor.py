"""Runs `streamrag doctor`, parses its findings, and runs the commands in its hints."""

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
    """Run `doctor`; return its exit code and its findings."""
    outcome = user.run("doctor", "--json", *flags)
    report = json.loads(outcome.stdout)
    assert (report["version"], report["exit_code"], outcome.stderr) == (1, outcome.code, "")
    return outcome.code, report["checks"]


def of_check(findings: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [each for each in findings if each["check"] == check]


def bad(findings: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """State, check, code and hint for every finding that is not ok."""
    return [(each["state"], each["check"], each["code"], each["hint"]) for each in findings if each["state"] != "ok"]


def follow(user: CommandLine, hint: str, *, path: str = "library") -> Outcome:
    """Run the command in a hint as a shell would, without the note in parentheses after it."""
    command = hint.split("   (", maxsplit=1)[0].replace("PATH", path)
    program, *arguments = shlex.split(command)
    return user.run(*arguments) if program == "streamrag" else user.shell(command)


def copy_of(user: CommandLine, home: Path) -> CommandLine:
    """Copy the command line and its store to another home. The documents stay at their path."""
    shutil.copytree(user.home / "data", home / "data")
    return replace(user, home=home)
