"""`--fresh` syncs the collection with its files before a question is answered."""

import fcntl
import json
import os
import shutil
from dataclasses import replace
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "When is the allotment watered?"
NOTES = {
    "garden/water.md": "# Water\n\nThe allotment is watered on Tuesday evening.\n",
    "garden/tools/spade.md": "# Spade\n\nThe spade of the allotment is oiled in March.\n",
}


@pytest.fixture
def user(cli: WarmCommandLine) -> WarmCommandLine:
    """A user with two documents, whose files are old enough to be compared by their time stamps."""
    write_files(cli.directory, NOTES)
    for name in NOTES:
        os.utime(cli.directory / name, ns=(10**18, 10**18))
    assert cli.run("ingest", "garden").code == 0
    return cli


def change(user: CommandLine) -> None:
    (user.directory / "garden" / "water.md").write_text("# Water\n\nThe allotment is watered at noon.\n", "utf-8")


def result(user: CommandLine, *arguments: str) -> dict[str, Any]:
    outcome = user.run(*arguments, "--fresh", "--json")
    assert outcome.code in {0, 7}, outcome
    parsed: dict[str, Any] = json.loads(outcome.stdout)
    return parsed


def notices(user: CommandLine, *arguments: str) -> list[tuple[str, str]]:
    reported = [(each["code"], each["message"]) for each in result(user, *(arguments or ("ask", QUESTION)))["notices"]]
    return [each for each in reported if each[0] != "quotes_only"]


def listed(user: CommandLine, *flags: str) -> dict[str, int]:
    documents = json.loads(user.run("ls", "--json", *flags).stdout)["documents"]
    return {each["source"]: each["chunks"] for each in documents}


@pytest.mark.fault("fresh-question")
def test_the_fresh_flag_answers_from_the_current_files(user: WarmCommandLine) -> None:
    change(user)
    write_files(user.directory, {"garden/compost.md": "# Compost\n\nThe compost is turned once a month.\n"})
    (user.directory / "garden" / "tools" / "spade.md").unlink()
    answered = result(user, "ask", QUESTION)
    updated = {"message": "updated the documents: 1 added, 1 changed, 1 deleted", "code": "synced"}

    assert "watered at noon" in answered["answer"]
    assert answered["notices"][0] == updated
    assert notices(user) == []
    assert listed(user) == {"garden/compost.md": 1, "garden/water.md": 1}


def test_the_fresh_flag_works_in_search_and_for_every_chat_question(user: WarmCommandLine) -> None:
    change(user)
    searched = user.run("search", QUESTION, "--fresh")
    (user.directory / "garden" / "water.md").write_text("# Water\n\nThe allotment is watered at dawn.\n", "utf-8")
    chat = user.run("chat", "--fresh", stdin=f"{QUESTION}\n{QUESTION}\n".encode())

    assert b"at noon" in searched.stdout
    assert searched.stderr == "note: updated the documents: 1 changed\n"
    assert chat.stdout.decode().count("watered at dawn") == 2
    assert chat.stderr.count("note: updated the documents: 1 changed\n") == 1


def test_a_setting_has_the_same_effect_as_the_fresh_flag(user: WarmCommandLine) -> None:
    change(user)
    write_files(user.home, {"config/streamrag/config.toml": 'fresh = "on"\n'})

    assert "note: updated the documents: 1 changed\n" in user.run("ask", QUESTION).stderr


def test_only_changed_text_is_embedded(user: WarmCommandLine) -> None:
    long = "\n\n".join(
        f"## Bed {n}\n\nBed {n} has {n * 7} onions, {n * 3} leeks and a row of beans. " * 8 for n in range(9)
    )
    write_files(user.directory, {"garden/beds.md": long})
    assert user.run("ingest").code == 0
    ids = {each["source"]: each["chunk_id"] for each in result(user, "search", "onions in bed 2", "-k", "20")["hits"]}
    write_files(user.directory, {"garden/beds.md": f"{long}\n\n## Bed 99\n\nBed 99 has thistles.\n"})
    lines = [json.loads(line) for line in user.run("ask", QUESTION, "--fresh", "--jsonl").stdout.splitlines()]

    assert [each["message"] for each in lines if each.get("code") == "synced"] == ["updated the documents: 1 changed"]
    ids_afterwards = {each["chunk_id"] for each in result(user, "search", "onions in bed 2", "-k", "20")["hits"]}
    assert ids["garden/beds.md"] in ids_afterwards


def test_document_names_do_not_depend_on_the_working_directory(user: WarmCommandLine) -> None:
    change(user)
    write_files(user.directory, {"garden/tools/rake.md": "# Rake\n\nThe rake of the allotment is new.\n"})
    inside = replace(user, directory=user.directory / "garden" / "tools")
    assert notices(inside)[0] == ("synced", "updated the documents: 1 added, 1 changed")

    assert set(listed(user)) == {"garden/tools/rake.md", "garden/tools/spade.md", "garden/water.md"}


@pytest.mark.fault("fresh-question")
def test_each_of_several_collections_is_synced(user: WarmCommandLine) -> None:
    write_files(user.directory, {"house/roof.md": "# Roof\n\nThe roof was tiled in June.\n"})
    assert user.run("ingest", "house", "-c", "house").code == 0
    change(user)
    (user.directory / "house" / "roof.md").write_text("# Roof\n\nThe roof was tiled in July.\n", "utf-8")

    assert notices(user, "ask", QUESTION, "-c", "default", "-c", "house") == [
        ("synced", "updated the documents of the collection default: 1 changed"),
        ("synced", "updated the documents of the collection house: 1 changed"),
    ]


@pytest.mark.fault("fresh-question")
def test_a_missing_root_keeps_its_documents_and_is_reported(user: WarmCommandLine) -> None:
    write_files(user.directory, {"house/roof.md": "# Roof\n\nThe roof was tiled in June.\n"})
    assert user.run("ingest", "house").code == 0
    (user.directory / "garden").rename(user.directory / "unmounted")
    change_elsewhere = user.directory / "house" / "roof.md"
    change_elsewhere.write_text("# Roof\n\nThe roof was tiled in July.\n", "utf-8")
    answered = result(user, "ask", QUESTION)

    codes = [each["code"] for each in answered["notices"]]
    assert (codes.count("synced"), codes.count("root_gone")) == (1, 1)
    assert "Tuesday evening" in answered["answer"]
    assert set(listed(user)) == {*NOTES, "house/roof.md"}


@pytest.mark.fault("fresh-question")
def test_an_empty_folder_does_not_remove_stored_documents(user: WarmCommandLine) -> None:
    shutil.rmtree(user.directory / "garden")
    (user.directory / "garden").mkdir()
    [(code, message), gone] = notices(user)

    assert (code, gone[0]) == ("not_synced", "source_gone")
    assert message.startswith("the documents were not updated: ")
    assert "; mount the disk or network share, or remove" in message
    assert set(listed(user)) == set(NOTES)


@pytest.mark.fault("fresh-question")
def test_unreadable_files_are_named_once_and_the_question_is_answered(user: WarmCommandLine) -> None:
    write_files(user.directory, {"garden/plan.pdf": "no pdf at all\n"})
    change(user)
    os.utime(user.directory / "garden" / "water.md", ns=(10**18 + 10**9, 10**18 + 10**9))
    answered = result(user, "ask", QUESTION)
    again = notices(user)

    assert "watered at noon" in answered["answer"]
    assert [(each["code"], each["message"]) for each in answered["notices"][:2]] == [
        ("synced", "updated the documents: 1 changed"),
        ("sync_incomplete", "1 file could not be updated: garden/plan.pdf; to see why: streamrag ls --failed"),
    ]
    assert again == []


@pytest.mark.fault("fresh-question")
def test_a_question_is_answered_while_another_process_writes(user: WarmCommandLine) -> None:
    [lock] = user.store.rglob("writer.lock")
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        unchanged = notices(user)
        change(user)
        answered = result(user, "ask", QUESTION)

    assert unchanged == []  # nothing has to be written
    assert "Tuesday evening" in answered["answer"]
    [notice] = [each for each in answered["notices"] if each["code"] == "not_synced"]
    assert notice["message"].startswith("the documents were not updated: the store is busy: ")


def test_the_fresh_flag_does_not_change_the_error_for_a_missing_store(cli: WarmCommandLine) -> None:
    outcome = cli.run("ask", QUESTION, "--fresh")

    assert (outcome.code, outcome.stderr) == (5, cli.run("ask", QUESTION).stderr)


def test_a_new_gitignore_removes_documents_only_within_the_limit(user: WarmCommandLine) -> None:
    write_files(user.directory, {"garden/.streamragignore": "*.md\n"})
    [(code, message), *_] = notices(user)

    assert code == "not_synced"
    assert "streamrag ingest" in message
    assert set(listed(user)) == set(NOTES)


@pytest.mark.postgres
def test_a_store_in_postgresql_is_synced_too(cli: WarmCommandLine) -> None:
    from tests.support.postgres_server import fresh_schema

    with fresh_schema() as place:
        user = cli.having(STREAMRAG_STORE=place.with_secret())
        write_files(user.directory, NOTES)
        assert user.run("ingest", "garden").code == 0
        change(user)
        answered = result(user, "ask", QUESTION)
        (user.directory / "garden").rename(user.directory / "elsewhere")
        gone = notices(user)

    assert "watered at noon" in answered["answer"]
    assert answered["notices"][0] == {"message": "updated the documents: 1 changed", "code": "synced"}
    assert gone == []
