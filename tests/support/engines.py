"""A user's background engines: what they report, and how to do without."""

import json
from dataclasses import replace
from typing import Any

from tests.support.command_line import CommandLine


def engines(user: CommandLine) -> list[dict[str, Any]]:
    """What the user's engines say about themselves."""
    listed: list[dict[str, Any]] = json.loads(user.run("engine", "status", "--json").stdout)
    return listed


def without_engine(user: CommandLine) -> CommandLine:
    return replace(user, variables={**user.variables, "STREAMRAG_ENGINE": "off"})
