"""Sources whose files have changed since they were ingested are reported in every output."""

import json
import os
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "How often is the boiler serviced?"
BOILER = "# House\n\n## Boiler\n\nThe boiler is serviced every second autumn.\n"
SAFETY = "# Safety\n\nThe boiler is serviced by Mr Okafor, who also sweeps the chimney.\n"
CHANGED = "house/boiler.md has changed since it was ingested; to update it: streamrag ingest house/boiler.md"


@pytest.fixture
def user(cli: WarmCommandLine) -> WarmCommandLine:
    """A user with two documents in a folder."""
    write_files(cli.directory, {"house/boiler.md": BOILER, "house/safety.md": SAFETY})
    assert cli.run("ingest", "house").code == 0
    return cli


def change(user: CommandLine, name: str = "boiler.md") -> None:
    file = user.directory / "house" / name
    file.write_text(file.read_text("utf-8").replace("autumn", "winter").replace("Okafor", "Oyelaran"), "utf-8")


def notices(user: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    outcome = user.run(*arguments)
    assert outcome.code == 0, outcome
    reported: list[dict[str, Any]] = json.loads(outcome.stdout).get("notices", [])
    return [each for each in reported if each["code"] != "quotes_only"]


@pytest.mark.fault("source-changed")
def test_all_formats_of_ask_and_search_report_a_changed_source_alike(user: WarmCommandLine) -> None:
    change(user)
    notice = {"message": CHANGED, "code": "source_changed"}
    lines = [json.loads(line) for line in user.run("ask", QUESTION, "--jsonl").stdout.splitlines()]
    texts = {command: user.run(command, QUESTION).stderr for command in ("ask", "search")}
    chat = user.run("chat", stdin=QUESTION.encode()).stderr

    assert notices(user, "ask", QUESTION, "--json") == [notice]
    assert notices(user, "search", QUESTION, "--json") == [notice]
    assert [each for each in lines if each.get("code") == "source_changed"] == [{"type": "notice", **notice}]
    assert [line["type"] for line in lines[:3]] == ["status", "sources", "notice"]
    assert {command: text.count(f"note: {CHANGED}\n") for command, text in texts.items()} == {"ask": 1, "search": 1}
    assert f"note: {CHANGED}\n" in chat


def test_quiet_output_and_search_jsonl_have_no_notice(user: WarmCommandLine) -> None:
    change(user)
    lines = [json.loads(line) for line in user.run("search", QUESTION, "--jsonl").stdout.splitlines()]

    assert {"type"} & {key for line in lines for key in line} == set()
    assert user.run("search", QUESTION, "-q").stderr == ""
    assert "has changed" not in user.run("ask", QUESTION, "-q").stderr


def test_a_search_prints_notices_below_its_hits(user: WarmCommandLine) -> None:
    change(user)
    together = user.cold.shell(f"streamrag search '{QUESTION}' 2>&1").stdout.decode().splitlines()

    assert together[-1] == f"note: {CHANGED}"
    assert together[0].startswith("house/boiler.md:5\t")


@pytest.mark.fault("source-changed")
def test_a_file_that_was_only_touched_or_copied_back_is_not_reported(user: WarmCommandLine) -> None:
    file = user.directory / "house" / "boiler.md"
    file.touch()
    touched = notices(user, "ask", QUESTION, "--json")
    file.unlink()
    file.write_text(BOILER, "utf-8")

    assert (touched, notices(user, "search", QUESTION, "--json")) == ([], [])


def test_a_change_is_reported_even_if_size_and_folder_time_are_unchanged(user: WarmCommandLine) -> None:
    file = user.directory / "house" / "boiler.md"
    file.write_text(BOILER.replace("second", "fourth"), "utf-8")
    os.utime(file.parent, ns=(0, 0))

    assert [each["code"] for each in notices(user, "ask", QUESTION, "--json")] == ["source_changed"]


def test_one_notice_names_each_changed_file_once(cli: WarmCommandLine) -> None:
    sections = "\n\n".join(f"## Boiler {n}\n\nThe boiler in house {n} is serviced in month {n}. " * 9 for n in "1234")
    write_files(cli.directory, {"a.md": sections, "b.md": SAFETY, "-c.md": BOILER})
    assert cli.run("ingest", ".").code == 0
    for name in ("a.md", "b.md", "-c.md"):
        with (cli.directory / name).open("a", encoding="utf-8") as file:
            file.write("\nMore.\n")
    [notice] = notices(
        cli, "ask", "Which boiler is serviced, when and by whom?", "--json", "--min-score", "0", "-k", "20"
    )
    names, command = notice["message"].split("; to update them: streamrag ingest ")

    assert names.endswith(" have changed since they were ingested")
    assert sorted(command.split()) == ["./-c.md", "a.md", "b.md"]


@pytest.mark.fault("source-changed")
def test_the_command_in_the_notice_updates_the_right_collection_and_store(user: WarmCommandLine) -> None:
    target = ("-c", "home", "--store", str(user.home / "a store"))
    assert user.run("ingest", "house", *target).code == 0
    change(user)
    [notice] = notices(user, "ask", QUESTION, "--json", *target)
    command = notice["message"].partition("to update it: ")[2]

    assert command == f"streamrag ingest house/boiler.md -c home --store '{user.home / 'a store'}'"
    assert user.shell(command).code == 0
    assert notices(user, "ask", QUESTION, "--json", *target) == []


def test_a_changed_file_is_reported_for_each_outdated_collection(
    user: WarmCommandLine,
) -> None:
    assert user.run("ingest", "house/safety.md", "-c", "safety").code == 0
    change(user)
    change(user, "safety.md")
    assert user.run("ingest", "house/safety.md", "-c", "safety").code == 0
    flags = ("--json", "--min-score", "0", "-c", "default", "-c", "safety")

    [notice] = notices(user, "search", "Who services the boiler, how often?", *flags)
    names, command = notice["message"].split("; to update them: streamrag ingest ")

    assert names.endswith(" have changed since they were ingested")
    assert sorted(command.split()) == ["-c", "default", "house/boiler.md", "house/safety.md"]


@pytest.mark.fault("source-changed")
def test_a_file_replaced_by_a_pipe_or_folder_counts_as_changed(user: WarmCommandLine) -> None:
    file = user.directory / "house" / "boiler.md"
    file.unlink()
    os.mkfifo(file)
    fifo = notices(user, "ask", QUESTION, "--json")
    file.unlink()
    file.mkdir()

    assert [each["code"] for each in fifo] == ["source_changed"]
    assert [each["code"] for each in notices(user, "ask", QUESTION, "--json")] == ["source_changed"]
