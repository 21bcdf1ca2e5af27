"""`ls` and `collections` list what is in a store, `ls --failed` what is not; `--remove -c` removes a collection."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from tests.cli.conftest import EVIL_NAME
from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.postgres_server import fresh_schema
from tests.support.pseudo_terminal import on_terminal, shown
from tests.support.warm_command_line import WarmCommandLine

FILES = {
    "rules/lending.md": "# Lending\n\nA book may be kept for four weeks.\n",
    "rules/deeper/and/deeper/opening-hours-of-the-library.md": "# Hours\n\nIt opens at nine.\n",
    "garden.txt": "Tomatoes are watered at dawn.\n",
    "broken.pdf": "%PDF-1.7 and then nothing",
    "picture.png": "not a picture",
}
UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


@pytest.fixture(params=["directory", "postgres"])
def user(request: pytest.FixtureRequest, cli: WarmCommandLine) -> Iterator[WarmCommandLine]:
    """A user with three documents, a broken file and a picture, in a store of each kind."""
    with fresh_schema() if request.param == "postgres" else nullcontext() as place:
        user = cli if place is None else cli.having(STREAMRAG_STORE=place.with_secret())
        write_files(cli.directory, FILES)
        assert user.run("ingest", ".").code == 6
        yield user


def lines(user: CommandLine, *words: str) -> list[str]:
    outcome = user.run(*words)
    assert outcome.code == 0, outcome
    return outcome.stdout.decode().splitlines()


def failed(user: CommandLine) -> list[str]:
    return [line.partition("\t")[0] for line in lines(user, "ls", "--failed")]


def test_documents_are_listed_with_the_path_first(user: WarmCommandLine) -> None:
    rows = [line.split("\t") for line in lines(user, "ls")]
    documents = json.loads(user.run("ls", "rules", "--json").stdout)["documents"]

    assert [row[:3] for row in rows] == [
        ["garden.txt", "1", "30"],
        ["rules/deeper/and/deeper/opening-hours-of-the-library.md", "1", "27"],
        ["rules/lending.md", "1", "46"],
    ]
    assert all(re.fullmatch(UTC, row[3]) and re.fullmatch(UTC, row[4]) for row in rows)
    assert documents[1] == {
        "source": "rules/lending.md",
        "state": "stored",
        "title": "Lending",
        "chunks": 1,
        "size_bytes": 46,
        "modified_at": rows[2][3],
        "ingested_at": rows[2][4],
        "reason": "",
        "code": "",
        "path": str(user.directory / "rules" / "lending.md"),
    }
    assert [line.partition("\t")[0] for line in lines(user, "ls", "*.txt")] == ["garden.txt"]
    nothing = user.run("ls", "*.rst")
    assert (nothing.code, nothing.stdout, nothing.stderr) == (
        0,
        b"",
        "no document matches in the collection 'default'\n",
    )


def test_failed_and_skipped_files_are_listed_until_they_are_read_or_deleted(user: WarmCommandLine) -> None:
    first = lines(user, "ls", "--failed")
    user.run("ingest", "garden.txt")  # does not touch the others
    again = lines(user, "ls", "--failed")
    (user.directory / "broken.pdf").write_text("% a note", encoding="utf-8")
    (user.directory / "broken.pdf").rename(user.directory / "broken.md")
    user.run("ingest", ".")
    repaired = failed(user)
    (user.directory / "picture.png").unlink()
    user.run("ingest", ".")

    assert (
        first
        == again
        == [
            "broken.pdf\tfailed\tthe file is corrupt or is not a PDF",
            "picture.png\tskipped\timages can be read only with OCR",
        ]
    )
    assert repaired == ["picture.png"]
    assert failed(user) == []
    assert user.run("ls", "--failed").stderr == "no file failed or was skipped in the collection 'default'\n"


def test_a_document_that_became_unreadable_keeps_its_passages_and_is_marked(user: WarmCommandLine) -> None:
    (user.directory / "garden.txt").write_bytes(b"\0\1\2" * 50)
    user.run("ingest", "garden.txt")
    documents: list[dict[str, Any]] = json.loads(user.run("ls", "--json").stdout)["documents"]
    [only] = json.loads(user.run("ls", "garden.txt", "--failed", "--json").stdout)["documents"]

    assert documents[0] == only
    assert (only["source"], only["state"], only["chunks"], bool(only["reason"])) == ("garden.txt", "failed", 1, True)
    assert user.run("show", "garden.txt").stdout.decode() == FILES["garden.txt"]


def test_removing_documents_removes_the_records_of_failed_files(user: WarmCommandLine) -> None:
    assert user.run("ingest", "--remove", ".").code == 0

    assert failed(user) == []


@pytest.mark.parametrize("columns", [40, 80])
def test_rows_fit_the_terminal_and_only_reasons_are_wrapped(columns: int, cli: WarmCommandLine) -> None:
    write_files(cli.directory, FILES)
    assert cli.run("ingest", ".", "-c", "b").code == 6
    screens = [
        shown(cli, *words, columns=columns).lines for words in (("ls", "-c", "b"), ("ls", "--failed", "-c", "b"))
    ]

    path = {40: "…-library.md", 80: "…/opening-hours-of-the-library.md"}[columns]
    assert len(screens[0]) == 4
    assert all(len(line) < columns for screen in screens for line in screen)
    assert any(line.split()[0].endswith(path[1:]) and line[0] == "…" for line in screens[0]), screens[0]
    assert [line.split()[:2] for line in screens[1] if line[0] != " "] == [
        ["path", "state"],
        ["broken.pdf", "failed"],
        ["picture.png", "skipped"],
    ]
    reasons = [
        entry["reason"] for entry in json.loads(cli.run("ls", "--failed", "-c", "b", "--json").stdout)["documents"]
    ]
    words = " ".join(" ".join(screens[1]).split())
    assert [each for each in reasons if each not in words] == []


def test_one_very_long_name_does_not_hide_the_other_columns(cli: WarmCommandLine) -> None:
    write_files(cli.directory, {"garden.txt": FILES["garden.txt"], f"{'minutes-' * 20}.md": "It opens at nine.\n"})
    assert cli.run("ingest", ".").code == 0

    heads, *rows = shown(cli, "ls", columns=80).lines
    assert heads.split() == ["path", "passages", "size", "modified"]
    assert [row.split()[0][-10:] for row in rows] == ["garden.txt", "inutes-.md"]


def test_hostile_names_take_one_row_without_control_characters(cli: WarmCommandLine) -> None:
    (cli.directory / EVIL_NAME).write_text("# Zebra\n\nIt is painted white.\n", encoding="utf-8")
    (cli.directory / "bad\x1b[2J\tname.pdf").write_bytes(b"%PDF-1.7")
    cli.run("ingest", ".")
    outputs = [cli.run("ls"), cli.run("ls", "--failed")]
    screen = shown(cli, "ls")

    assert [output.stdout.count(b"\n") for output in outputs] == [1, 1]
    assert [output.stdout.count(b"\t") for output in outputs] == [4, 2]
    assert not any(b"\x1b" in output.stdout or "\u202e" in output.stdout.decode() for output in outputs)
    assert len(screen.lines) == 2
    assert "[bold]" in screen.words


def test_each_collection_has_a_row(user: WarmCommandLine) -> None:
    user.run("ingest", "rules", "-c", "rules")
    rows = [line.split("\t") for line in lines(user, "collections")]
    listed = json.loads(user.run("collections", "--json").stdout)["collections"]

    assert [row[:4] for row in rows] == [
        ["default", "3", "3", "builtin:all-MiniLM-L6-v2"],
        ["rules", "2", "2", "builtin:all-MiniLM-L6-v2"],
    ]
    assert listed[1] == {
        "collection": "rules",
        "documents": 2,
        "chunks": 2,
        "embedding": "builtin:all-MiniLM-L6-v2",
        "last_ingest": rows[1][4],
        "error": None,
    }


def test_an_empty_store_has_no_collections_and_no_documents(cli: WarmCommandLine) -> None:
    for words in (("collections",), ("ls",)):
        outcome = cli.run(*words)
        assert (outcome.code, outcome.stdout, "\nhint: streamrag ingest PATH" in outcome.stderr) == (5, b"", True)


def test_the_remove_flag_without_a_path_removes_the_named_collection(user: WarmCommandLine) -> None:
    user.run("ingest", "rules", "-c", "rules")
    unconfirmed = user.run("ingest", "--remove", "--collection", "rules")
    removed = user.run("ingest", "--remove", "--collection", "rules", "--yes")
    unnamed = user.run("ingest", "--remove", "--yes")

    assert (unconfirmed.code, removed.code, unnamed.code) == (2, 0, 2)
    assert unconfirmed.stderr == (
        "streamrag: the command would remove 2 documents and the collection 'rules' itself: this requires --yes\n"
        "hint: list the documents first, then confirm with --yes:"
        " streamrag ingest --remove --all -c rules --dry-run -v\n"
    )
    assert [line.partition("\t")[0] for line in lines(user, "collections")] == ["default"]
    assert (user.directory / "rules" / "lending.md").exists()


def test_removing_a_collection_asks_for_confirmation_on_a_terminal(cli: WarmCommandLine) -> None:
    write_files(cli.directory, FILES)
    cli.run("ingest", "rules", "-c", "rules")
    for answer, left in ((b"n\n", ["rules"]), (b"y\n", [])):
        with on_terminal(cli, "ingest", "--remove", "-c", "rules", columns=40) as (terminal, process):
            terminal.wait_for("[y/N]")
            assert terminal.lines == ["Remove 2 documents and the collection", "'rules' itself? [y/N]"]
            terminal.type(answer)
            terminal.wait_for_end(process)
        names = cli.run("collections").stdout.decode().splitlines()  # fails for the empty store
        assert [line.partition("\t")[0] for line in names] == left


@pytest.mark.fault("document-not-found")
def test_ls_explains_why_matching_files_were_not_ingested(user: WarmCommandLine) -> None:
    outcome = user.run("ls", "*.p[dn]*")

    assert (outcome.code, outcome.stdout) == (0, b"")
    assert outcome.stderr.splitlines() == [
        "no document matches in the collection 'default'",
        "broken.pdf was not ingested: the file is corrupt or is not a PDF",
        "picture.png was not ingested: images can be read only with OCR",
        "hint: streamrag ls --failed",
    ]


@pytest.mark.fault("document-not-found")
def test_ls_suggests_another_collection_with_the_documents_or_an_ingest(cli: WarmCommandLine) -> None:
    write_files(cli.directory, {"deeds/house.md": "# House\n\nIt has a tower.\n", "new/plan.md": "# Plan\n"})
    write_files(cli.directory, FILES)
    assert cli.run("ingest", "-q", "rules").code == 0
    assert cli.run("ingest", "-q", "deeds", "-c", "papers").code == 0
    nothing = "no document matches in the collection 'default'\n"

    assert [cli.run("ls", pattern).stderr for pattern in ("deeds", "*.rst", "a" * 5000, "new", "new/plan.md")] == [
        f"{nothing}hint: streamrag ls deeds -c papers\n",
        nothing,
        nothing,
        f"{nothing}hint: streamrag ingest new\n",
        f"{nothing}hint: streamrag ingest new/plan.md\n",
    ]


@pytest.mark.fault("document-not-found")
def test_a_filter_explains_why_matching_files_were_not_ingested(user: WarmCommandLine) -> None:
    lines = [user.run("search", "--in", pattern, "x").stderr.splitlines() for pattern in ("picture.png", "*.p[dn]*")]

    assert lines == [
        [
            "streamrag: no document in the collection matches --in picture.png: the file was not ingested"
            " (images can be read only with OCR)",
            "hint: streamrag ls --failed",
        ],
        [
            "streamrag: no document in the collection matches --in '*.p[dn]*': 2 files were not ingested"
            " (the file is corrupt or is not a PDF, images can be read only with OCR)",
            "hint: streamrag ls --failed",
        ],
    ]


@pytest.mark.fault("document-not-found")
@pytest.mark.parametrize("name", ["picture.png", "PICTURE.png", "./picture.png", "picture.png:7"])
def test_show_explains_why_a_file_was_not_ingested(name: str, user: WarmCommandLine) -> None:
    outcome = user.run("show", name, "-c", "default")

    assert (outcome.code, outcome.stderr) == (
        2,
        "streamrag: picture.png was not ingested: images can be read only with OCR\n"
        "hint: streamrag ls --failed -c default\n",
    )


def test_ls_prints_tags_and_can_select_documents_by_tag(cli: WarmCommandLine) -> None:
    head = "---\ntags: [Harbour, Draft]\n---\n"
    write_files(cli.directory, {"quay.md": f"{head}# Quay\n\nThe quay is new.\n", "pier.md": "# Pier\n\nIt is old.\n"})
    assert cli.run("ingest", ".").code == 0
    documents = {each["source"]: each for each in json.loads(cli.run("ls", "--json").stdout)["documents"]}
    screen = shown(cli, "ls", columns=100).lines

    assert {name: each.get("tags") for name, each in documents.items()} == {
        "pier.md": None,
        "quay.md": ["Harbour", "Draft"],
    }
    assert [line.split("\t")[0::5] for line in lines(cli, "ls")] == [["pier.md"], ["quay.md", "Harbour, Draft"]]
    assert [line.partition("\t")[0] for line in lines(cli, "ls", "--tag", "#draft", "--tag", "HARBOUR")] == ["quay.md"]
    assert cli.run("ls", "--tag", "final").stderr == "no document matches in the collection 'default'\n"
    assert screen[0].split() == ["path", "passages", "size", "modified", "ingested", "tags"]
    assert screen[2].endswith("  Harbour, Draft")
