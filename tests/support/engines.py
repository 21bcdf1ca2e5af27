"""Starts, lists and disables background engines."""

import json
import time
from dataclasses import replace
from typing import Any

from tests.support.command_line import LIMIT_S, CommandLine


def engines(user: CommandLine) -> list[dict[str, Any]]:
    """The status of every running engine."""
    listed: list[dict[str, Any]] = json.loads(user.run("engine", "status", "--json").stdout)
    return listed


def start_engine(user: CommandLine) -> dict[str, Any]:
    """Ask until an engine has answered, and return its status. On a busy machine, the first clients do not wait."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        outcome = user.run("search", "Who built the lighthouse?")
        assert outcome.code == 0, outcome
        answered = [each for each in engines(user) if each["questions"]]
        if answered:
            return answered[0]
        assert time.monotonic() < deadline_s, "no engine has answered"


def without_engine(user: CommandLine) -> CommandLine:
    return replace(user, variables={**user.variables, "STREAMRAG_ENGINE": "off"})
