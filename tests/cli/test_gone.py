"""Files that are gone: marked wherever they are shown on the command line, with the command that removes them."""

import json
import shlex
from collections.abc import Iterator

import pytest

from tests.cli.command_line import CommandLine
from tests.warm_command_line import WarmCommandLine, warm

QUESTION = "How is the sextant stored?"
REMOVAL = "streamrag ingest --remove cabin -c ship"


@pytest.fixture(scope="module")
def mover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user who has deleted one of two folders since they were ingested."""
    home = tmp_path_factory.mktemp("mover")
    (home / "cabin" / "deep").mkdir(parents=True)
    (home / "cabin" / "deep" / "sextant.md").write_text("# Sextant\n\nIt is stored dry, in its box.\n", "utf-8")
    (home / "deck.md").write_text("# Deck\n\nThe deck is scrubbed on Saturday.\n", "utf-8")
    with warm(CommandLine(home=home, directory=home)) as user:
        for path in ("cabin", "deck.md"):
            assert user.run("ingest", path, "-c", "ship").code == 0
        (home / "cabin").rename(home / "moved away")
        yield user


def test_an_answer_marks_a_source_that_is_gone_and_names_the_command(mover: WarmCommandLine) -> None:
    asked = mover.run("ask", QUESTION, "-c", "ship")

    assert "(file is gone)" in asked.stderr
    assert f"note: cabin/deep/sextant.md is gone; to remove what the store has of it: {REMOVAL}\n" in asked.stderr
    assert "stored dry" in asked.stdout.decode()


def test_json_lines_say_it_as_a_notice_and_sources_are_as_before(mover: WarmCommandLine) -> None:
    events = [json.loads(line) for line in mover.run("ask", QUESTION, "-c", "ship", "--jsonl").stdout.splitlines()]

    [sources] = [event["sources"] for event in events if event["type"] == "sources"]
    keys = {"n", "source", "page", "line_start", "line_end", "title", "content", "score", "chunk_id"}
    assert [set(source) for source in sources] == [keys] * len(sources)
    assert [event["code"] for event in events if event["type"] == "notice"] == ["source_gone", "quotes_only"]


def test_a_search_marks_it_on_stdout_and_says_the_command_on_stderr(mover: WarmCommandLine) -> None:
    found = mover.run("search", QUESTION, "-c", "ship")
    quiet = mover.run("search", QUESTION, "-c", "ship", "-q")

    assert found.stdout.decode().splitlines()[0].endswith("\t(file is gone)")
    assert found.stderr.endswith(f"{REMOVAL}\n")
    assert quiet.stderr == ""


def test_status_names_the_folder_and_the_command(mover: WarmCommandLine) -> None:
    shown = mover.run("status").stdout.decode()
    gone = json.loads(mover.run("status", "--json").stdout)["collections"][0]["gone_roots"]

    root = str(mover.directory / "cabin")
    assert f"note: {root} is gone; to remove what the store has from there: {REMOVAL}\n" in shown
    assert gone == [root]


def test_doctor_warns_of_the_folder(mover: WarmCommandLine) -> None:
    checks = json.loads(mover.run("doctor", "-c", "ship", "--json").stdout)["checks"]

    [warning] = [check for check in checks if check["code"] == "root_gone"]
    root = mover.directory / "cabin"
    assert (warning["check"], warning["state"], warning["collection"]) == ("store", "warning", "ship")
    assert warning["hint"] == f"mount it, or remove them: streamrag ingest --remove {root} -c ship"


def test_the_command_that_is_named_removes_it(newcomer: CommandLine) -> None:
    store = newcomer.home / "a store"
    for name in ("cabin", "deck"):
        (newcomer.directory / name).mkdir()
        (newcomer.directory / name / "a.md").write_text(f"The {name} is painted in spring.\n", "utf-8")
        assert newcomer.run("ingest", name, "--store", str(store)).code == 0
    (newcomer.directory / "cabin").rename(newcomer.directory / "moved")

    refused = newcomer.run("ingest", "cabin", "--store", str(store))
    noted = newcomer.run("ingest", "deck", "--store", str(store))

    removal = f"streamrag ingest --remove cabin --store {shlex.quote(str(store))}"
    assert (refused.code, removal in refused.stderr) == (2, True)
    assert removal in noted.stderr
    assert newcomer.shell(removal).code == 0
    assert "is gone" not in newcomer.run("ingest", "deck", "--store", str(store)).stderr
