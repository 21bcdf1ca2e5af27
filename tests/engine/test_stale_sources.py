"""The engine reports changed sources, and answers from a collection that a command has just synced."""

import json
from dataclasses import replace
from typing import Any

from tests.support.command_line import CommandLine
from tests.support.engines import start_engine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "What does the ferry to the island cost?"
FERRY = {"trips/ferry.md": "# Ferry\n\nThe ferry to the island costs nine crowns.\n"}
CHANGED = "ferry.md has changed since it was ingested; to update it: streamrag ingest ferry.md -c stale"


def answered(user: CommandLine, *arguments: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The JSON object that a command with `--json` printed, and the notices in it."""
    outcome = user.run(*arguments, QUESTION, "--json")
    assert outcome.code == 0, outcome
    result = json.loads(outcome.stdout)
    return result, [each for each in result["notices"] if each["code"] != "quotes_only"]


def test_changed_files_are_named_relative_to_the_directory_of_the_client(user: WarmCommandLine) -> None:
    write_files(user.directory, FERRY)
    assert user.run("ingest", "trips", "-c", "stale").code == 0
    start_engine(user)
    (user.directory / "trips" / "ferry.md").write_text("# Ferry\n\nThe ferry costs ten crowns.\n", "utf-8")
    in_folder = replace(user, directory=user.directory / "trips")

    assert answered(in_folder, "ask", "-c", "stale")[1] == [{"message": CHANGED, "code": "source_changed"}]
    assert answered(in_folder, "search", "-c", "stale")[1] == [{"message": CHANGED, "code": "source_changed"}]


def test_with_fresh_a_running_engine_answers_from_the_changed_file(user: WarmCommandLine) -> None:
    write_files(user.directory, FERRY)
    assert user.run("ingest", "trips", "-c", "fresh").code == 0
    before = start_engine(user)["questions"]
    answered(user, "ask", "-c", "fresh")
    (user.directory / "trips" / "ferry.md").write_text(
        "# Ferry\n\nThe ferry to the island costs ten crowns.\n", "utf-8"
    )
    result, notices = answered(user, "ask", "-c", "fresh", "--fresh")

    assert "ten crowns" in result["answer"]
    assert notices == [{"message": "updated the documents: 1 changed", "code": "synced"}]
    assert start_engine(user)["questions"] >= before + 2
