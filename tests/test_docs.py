"""The documentation matches the program."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.cli.app import app
from streamrag_cli.events import EVENTS
from tests.support.command_line import PROGRAM
from tools.client_types import CLIENT_TYPES, client_types
from tools.make_docs import DOCS, settings_page

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def help_of(*command: str) -> str:
    """The output of `command --help` on a wide terminal."""
    environment = os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    arguments = (*PROGRAM, *command, "--help")
    return subprocess.run(arguments, env=environment, capture_output=True, check=True, encoding="utf-8").stdout


def every_help(*command: str) -> Iterator[tuple[str, str]]:
    """The command line and the help of `command` and of every subcommand that its help lists."""
    text = help_of(*command)
    yield " ".join(("streamrag", *command)), text.rstrip()
    for name in re.findall(r"^  ([a-z]+)  +[A-Z]", text.partition("\nOptions:\n")[0], flags=re.MULTILINE):
        yield from every_help(*command, name)


def test_the_commands_page_shows_the_help_that_the_program_prints() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^## (streamrag[^\n]*)\n\n```\n(.*?)\n```$", page, flags=re.MULTILINE | re.DOTALL))

    assert documented == dict(every_help()), "run: python -m tools.make_docs"


def test_the_settings_page_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), "run: python -m tools.make_docs"


def test_the_browser_client_types_match_the_events() -> None:
    assert CLIENT_TYPES.read_text(encoding="utf-8") == client_types(), "run: python -m tools.make_docs"


@pytest.mark.parametrize("kind", sorted({event.kind for event in EVENTS}))
def test_every_event_is_documented(kind: str) -> None:
    assert f"`{kind}`" in (DOCS / "events.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands])
def test_every_command_is_shown_in_the_readme(command: str) -> None:
    assert f"streamrag {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_error_code_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+)`", (DOCS / "exit-codes.md").read_text(encoding="utf-8")))
    modules = [path for path in (ROOT / "streamrag_cli").rglob("*.py") if "documents" not in path.parts]
    raised = {
        code
        for path in modules
        for code in re.findall(
            r'(?:Error|error)\((?:[^()]|\([^()]*\))*?code="([a-z_]+)"', path.read_text(encoding="utf-8")
        )
    }

    assert raised - documented == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_has_a_target(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith(("http", "#"))]
    missing = [target for target in targets if not (page.parent / target.split("#")[0]).exists()]

    assert missing == []


def test_the_architecture_page_has_at_most_70_lines() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 70
