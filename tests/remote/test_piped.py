"""`streamrag ingest -`: documents that are piped in."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.addresses import Address
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from tests.support.ingests import Ingests
from tests.support.pdf_bytes import pdf_bytes
from tests.support.postgres_server import fresh_schema
from tests.support.warm_command_line import WarmCommandLine

HERON = b"# Today\n\nThe heron landed on the frozen pond.\n"
NOTE = Address("stdin://notes/today.md")


@pytest.fixture(params=["directory", "postgres"])
def user(request: pytest.FixtureRequest, cli: WarmCommandLine) -> Iterator[WarmCommandLine]:
    with fresh_schema() if request.param == "postgres" else nullcontext() as place:
        yield cli if place is None else cli.having(STREAMRAG_STORE=place.with_secret())


def pipe(ingests: Ingests, data: bytes, *, name: Address = NOTE, dry_run: bool = False) -> dict[str, str]:
    request = IngestRequest(paths=(name,), piped={name: data}, working_directory=ingests.home, dry_run=dry_run)
    return ingests._actions(ingest(request, ingests.settings, ingests.embedder))


def copies(ingests: Ingests) -> list[bytes]:
    return [each.read_bytes() for each in Path(ingests.settings.state_directory).rglob("today.md")]


def test_piped_text_is_found_shown_and_removed_by_its_name(user: WarmCommandLine) -> None:
    piped = user.run("ingest", "-", "--name", "notes/today.md", stdin=HERON)
    assert (piped.code, piped.stdout) == (0, b"")

    assert user.run("ingest").code == 0
    [document] = json.loads(user.run("ls", "--json").stdout)["documents"]
    assert (document["source"], document["path"], document["chunks"]) == ("notes/today.md", str(NOTE), 1)
    assert user.run("show", "notes/today.md").stdout == HERON
    hits = json.loads(user.run("search", "heron", "--in", "notes/*.md", "--json").stdout)["hits"]
    assert [(each["source"], each["path"], each["line_start"]) for each in hits] == [("notes/today.md", str(NOTE), 3)]
    assert user.run("ingest", "--rebuild").code == 0
    assert user.run("show", str(NOTE)).stdout == HERON
    assert user.run("ingest", "--remove", "notes/today.md").code == 0
    assert user.run("ls").stdout == b""


def test_the_name_of_piped_text_determines_its_format(cli: WarmCommandLine) -> None:
    outcome = cli.run("ingest", "-", "--name", "report.pdf", stdin=pdf_bytes([["The heron landed."], ["It left."]]))

    assert outcome.code == 0, outcome
    assert cli.run("show", "report.pdf:p2").stdout == b"It left.\n"


@pytest.mark.fault("stdin-unusable")
@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("-",), HERON, "- as PATH requires --name, the name of the document"),
        (("--name", "a.md", "folder"), HERON, "--name requires - as PATH"),
        (("-", "--name", "a.md"), b" \n", "stdin is empty, so nothing was ingested"),
        (("-", "--name", "../a.md"), HERON, "--name must be a relative name without .. and control characters"),
        (("-", "--name", "a.md"), b"x" * 1_000_001, "stdin is larger than the limit of 1 MB"),
        (("--remove", "-"), HERON, "--remove requires the name of the piped document, not -"),
    ],
)
def test_unusable_piped_input_changes_nothing(
    cli: WarmCommandLine, arguments: tuple[str, ...], stdin: bytes, message: str
) -> None:
    outcome = cli.having(STREAMRAG_MAX_FILE_MB="1").run("ingest", *arguments, stdin=stdin)

    assert (outcome.code, outcome.stdout) == (2, b"")
    assert message in outcome.stderr
    assert not cli.store.exists()


def test_piping_again_replaces_the_document(ingests: Ingests) -> None:
    assert pipe(ingests, b"black") == {"notes/today.md": "added"}
    assert pipe(ingests, b"black") == {"notes/today.md": "unchanged"}
    assert pipe(ingests, b"white") == {"notes/today.md": "changed"}
    assert (ingests.stored(), copies(ingests)) == ({"notes/today.md": "white"}, [b"white"])


def test_a_dry_run_keeps_the_copy_of_piped_text(ingests: Ingests) -> None:
    assert pipe(ingests, b"black", dry_run=True) == {"notes/today.md": "added"}
    assert copies(ingests) == []

    pipe(ingests, b"black")
    assert pipe(ingests, b"white", dry_run=True) == {"notes/today.md": "changed"}
    assert (ingests.stored(), copies(ingests)) == ({"notes/today.md": "black"}, [b"black"])


def test_a_file_with_the_same_name_is_a_separate_document(ingests: Ingests) -> None:
    ingests.put("notes/today.md", "from the disk")
    pipe(ingests, b"from the pipe")
    ingests.run("notes")

    assert ingests.remove("notes/today.md") == {"notes/today.md": "deleted"}
    assert ingests.stored() == {"notes/today.md": "from the pipe"}
    assert ingests.remove("notes/today.md") == {"notes/today.md": "deleted"}
    assert ingests.stored() == {}


@pytest.mark.fault("copy-lost")
def test_piped_text_stays_in_the_store_if_its_copy_is_missing(ingests: Ingests) -> None:
    pipe(ingests, b"black")
    ingests.put("a.md", "apples")
    ingests.run("a.md")
    elsewhere = replace(ingests, settings=replace(ingests.settings, state_directory=str(ingests.home / "state")))

    assert elsewhere.run() == {"a.md": "unchanged"}
    assert set(elsewhere.stored().values()) == {"black", "apples"}
    request = replace(elsewhere.request(rebuild=True), allow_empty=False)
    [error] = ingest(request, elsewhere.settings, elsewhere.embedder)
    assert getattr(error, "code", "") == "empty_folder"
    assert set(elsewhere.stored().values()) == {"black", "apples"}
