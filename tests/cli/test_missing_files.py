"""Missing files: every command that shows one marks it and prints the command that removes it from the store."""

import json
import shlex
from collections.abc import Iterator

import pytest

from tests.support.command_line import CommandLine
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "How is the sextant stored?"
REMOVAL = "streamrag ingest --remove cabin -c ship"


@pytest.fixture(scope="module")
def cli_with_deleted_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user who moved one of two folders after ingesting them."""
    home = tmp_path_factory.mktemp("deleted")
    (home / "cabin" / "deep").mkdir(parents=True)
    (home / "cabin" / "deep" / "sextant.md").write_text("# Sextant\n\nIt is stored dry, in its box.\n", "utf-8")
    (home / "deck.md").write_text("# Deck\n\nThe deck is scrubbed on Saturday.\n", "utf-8")
    with warm(CommandLine(home=home, directory=home)) as user:
        for path in ("cabin", "deck.md"):
            assert user.run("ingest", path, "-c", "ship").code == 0
        (home / "cabin").rename(home / "moved away")
        yield user


def test_ask_marks_a_missing_source_and_prints_the_remove_command(cli_with_deleted_folder: WarmCommandLine) -> None:
    outcome = cli_with_deleted_folder.run("ask", QUESTION, "-c", "ship")

    assert "(file missing)" in outcome.stderr
    purpose = "to remove all documents of the missing folder from the store"
    assert f"note: cabin/deep/sextant.md no longer exists; {purpose}: {REMOVAL}\n" in outcome.stderr
    assert "stored dry" in outcome.stdout.decode()


def test_jsonl_reports_a_missing_source_as_a_notice(cli_with_deleted_folder: WarmCommandLine) -> None:
    events = [
        json.loads(line)
        for line in cli_with_deleted_folder.run("ask", QUESTION, "-c", "ship", "--jsonl").stdout.splitlines()
    ]

    [sources] = [event["sources"] for event in events if event["type"] == "sources"]
    keys = {"n", "source", "page", "line_start", "line_end", "title", "content", "score", "chunk_id"}
    assert [set(source) for source in sources] == [keys] * len(sources)
    assert [event["code"] for event in events if event["type"] == "notice"] == ["source_gone", "quotes_only"]


def test_search_marks_a_missing_source_and_prints_the_remove_command(cli_with_deleted_folder: WarmCommandLine) -> None:
    outcome = cli_with_deleted_folder.run("search", QUESTION, "-c", "ship")
    quiet = cli_with_deleted_folder.run("search", QUESTION, "-c", "ship", "-q")

    assert outcome.stdout.decode().splitlines()[0].endswith("\t(file missing)")
    assert outcome.stderr.endswith(f"{REMOVAL}\n")
    assert quiet.stderr == ""


def test_status_reports_a_missing_folder_with_the_remove_command(cli_with_deleted_folder: WarmCommandLine) -> None:
    shown = cli_with_deleted_folder.run("status").stdout.decode()
    gone_roots = json.loads(cli_with_deleted_folder.run("status", "--json").stdout)["collections"][0]["gone_roots"]

    root = str(cli_with_deleted_folder.directory / "cabin")
    assert f"note: {root} no longer exists; to remove its documents: {REMOVAL}\n" in shown
    assert gone_roots == [root]


def test_doctor_warns_about_a_missing_folder(cli_with_deleted_folder: WarmCommandLine) -> None:
    checks = json.loads(cli_with_deleted_folder.run("doctor", "-c", "ship", "--json").stdout)["checks"]

    [warning] = [check for check in checks if check["code"] == "root_gone"]
    root = cli_with_deleted_folder.directory / "cabin"
    assert (warning["check"], warning["state"], warning["collection"]) == ("store", "warning", "ship")
    assert (
        warning["hint"]
        == f"mount its disk or network share, or remove its documents: streamrag ingest --remove {root} -c ship"
    )


def test_the_suggested_command_removes_the_missing_documents(cli: CommandLine) -> None:
    store = cli.home / "a store"
    for name in ("cabin", "deck"):
        (cli.directory / name).mkdir()
        (cli.directory / name / "a.md").write_text(f"The {name} is painted in spring.\n", "utf-8")
        assert cli.run("ingest", name, "--store", str(store)).code == 0
    (cli.directory / "cabin").rename(cli.directory / "moved")

    refused = cli.run("ingest", "cabin", "--store", str(store))
    warned = cli.run("ingest", "deck", "--store", str(store))

    removal = f"streamrag ingest --remove cabin --store {shlex.quote(str(store))}"
    assert (refused.code, removal in refused.stderr) == (2, True)
    assert removal in warned.stderr
    assert cli.shell(removal).code == 0
    assert removal not in cli.run("ingest", "deck", "--store", str(store)).stderr
