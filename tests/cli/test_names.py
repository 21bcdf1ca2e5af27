"""Names of sources: on the command line, paths that open from the working directory."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.display_names import DisplayNames
from tests.support.command_line import CommandLine
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "Which lamp is on the pier?"


@pytest.fixture(scope="module")
def cli_with_namesakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user with three folders with the same name: in the working directory, in the home directory, and elsewhere."""
    home, elsewhere = tmp_path_factory.mktemp("namesakes"), tmp_path_factory.mktemp("elsewhere")
    folders = [home / "work" / "docs", home / "old" / "docs", elsewhere / "docs"]
    for folder, colour in zip(folders, ("red", "green", "white"), strict=True):
        folder.mkdir(parents=True)
        (folder / "lamp.md").write_text(f"The lamp on the pier is {colour}.\n", encoding="utf-8")
    with warm(CommandLine(home=home, directory=home / "work")) as user:
        ingested = user.run("ingest", "-v", *map(str, folders))
        assert ingested.code == 0, ingested
        named = {line.split()[-1] for line in ingested.stderr.splitlines() if line.startswith("added")}
        assert named == {"docs/lamp.md", "~/old/docs/lamp.md", f"{elsewhere}/docs/lamp.md"}
        yield user


def lamps(user: CommandLine, *arguments: str) -> dict[str, str]:
    """The names of the sources, by the colour in their text."""
    outcome = user.run(*arguments, QUESTION, "--json")
    assert outcome.code == 0, outcome
    result = json.loads(outcome.stdout)
    return {each["content"].split()[-1]: each["source"] for each in result.get("hits") or result["sources"]}


@pytest.mark.fault("display-names")
@pytest.mark.parametrize("command", ["search", "ask"])
def test_folders_with_the_same_name_are_shown_with_distinct_paths(
    cli_with_namesakes: WarmCommandLine, command: str
) -> None:
    elsewhere = white_folder(cli_with_namesakes)
    at_work, at_home = cli_with_namesakes, replace(cli_with_namesakes, directory=cli_with_namesakes.home)

    assert lamps(at_work, command) == {
        "red.": "docs/lamp.md",
        "green.": "~/old/docs/lamp.md",
        "white.": f"{elsewhere}/lamp.md",
    }
    assert lamps(at_home, command) == {
        "red.": "work/docs/lamp.md",
        "green.": "old/docs/lamp.md",
        "white.": f"{elsewhere}/lamp.md",
    }


def white_folder(user: CommandLine) -> Path:
    status = json.loads(user.run("status", "--json").stdout)
    roots = map(Path, status["collections"][0]["roots"])
    return next(root for root in roots if not root.is_relative_to(user.home))


def test_json_contains_the_absolute_path_and_jsonl_does_not(cli_with_namesakes: WarmCommandLine) -> None:
    hits = json.loads(cli_with_namesakes.run("search", QUESTION, "--json").stdout)["hits"]
    sources = json.loads(cli_with_namesakes.run("ask", QUESTION, "--json").stdout)["sources"]
    lines = [
        *cli_with_namesakes.run("search", QUESTION, "--jsonl").stdout.splitlines(),
        *cli_with_namesakes.run("ask", QUESTION, "--jsonl").stdout.splitlines(),
    ]

    for listed in (hits, sources):
        assert all(Path(each["path"]).read_text(encoding="utf-8").strip() == each["content"] for each in listed)
        assert len({each["path"] for each in listed}) == 3
    assert not any(b'"path"' in line for line in lines)


def test_a_citation_has_the_same_name_as_its_source(cli_with_namesakes: WarmCommandLine) -> None:
    answer = json.loads(cli_with_namesakes.run("ask", QUESTION, "--json").stdout)
    names = {each["n"]: each["source"] for each in answer["sources"]}

    assert answer["citations"]
    assert {each["n"]: each["source"] for each in answer["citations"]}.items() <= names.items()


@pytest.mark.fault("display-names")
def test_only_relative_paths_fail_in_a_deleted_working_directory(cli_with_namesakes: WarmCommandLine) -> None:
    program = " ".join((sys.executable, "-m", "streamrag_cli"))
    docs = cli_with_namesakes.directory / "docs"
    script = f'mkdir deleted && cd deleted && rmdir ../deleted && {program} "$@"'

    def in_no_directory(*arguments: str) -> tuple[int, list[str]]:
        user = replace(cli_with_namesakes, program=("bash", "-c", script, "bash"))
        outcome = user.run(*arguments)
        return outcome.code, outcome.stdout.decode().splitlines() + outcome.stderr.splitlines()

    assert in_no_directory("ingest", str(docs), "-q") == (0, [])
    code, (first, *_) = in_no_directory("search", "red lamp")
    assert (code, first.split("\t")[0]) == (0, "~/work/docs/lamp.md:1")
    assert in_no_directory("ingest", "docs") == (
        2,
        [
            "streamrag: the working directory no longer exists, so relative paths cannot be resolved",
            "hint: change to another directory, or use absolute paths",
        ],
    )


@pytest.mark.parametrize(
    ("directory", "home", "path", "expected"),
    [
        ("/home/ada", "/home/ada", "/home/ada/a.md", "a.md"),
        ("/home/ada/work", "/home/ada", "/home/ada/working/a.md", "~/working/a.md"),
        ("/", "/root", "/srv/a.md", "/srv/a.md"),
        ("/srv", "/", "/home/a.md", "/home/a.md"),
        (None, None, "/home/a.md", "/home/a.md"),
        ("/srv/a.md", None, "/srv/a.md", "/srv/a.md"),
    ],
)
def test_source_names_are_paths_that_open_from_the_working_directory(
    directory: str | None, home: str | None, path: str, expected: str
) -> None:
    names = DisplayNames(Path(directory) if directory else None, Path(home) if home else None)

    assert names.of(path) == expected


def test_a_collection_may_have_a_name_of_one_letter(cli: WarmCommandLine) -> None:
    (cli.directory / "note.md").write_text("The ferry leaves at nine.", encoding="utf-8")

    assert cli.run("ingest", "note.md", "-c", "a").code == 0
    assert cli.run("ask", "-q", "When does the ferry leave?", "-c", "a").stdout.startswith("“The ferry".encode())
    assert cli.run("ingest", "note.md", "-c", "..").code == 2
