"""Commands for documents at addresses: listing, filters, links, locks."""

import json
from pathlib import Path

import pytest

from streamrag_cli.display_names import DisplayNames, name_of_copy
from streamrag_cli.errors import StoreError
from streamrag_cli.missing_files import find_missing_files, is_local_file
from streamrag_cli.model import Source
from streamrag_cli.render.links import uri_of
from streamrag_cli.store.document_filter import bounds, matcher
from streamrag_cli.store.rows import is_stored_path
from tests.support.git_server import Repository
from tests.support.postgres_server import fresh_schema
from tests.support.stores import PostgresStore
from tests.support.warm_command_line import WarmCommandLine

OWL = "git+https://host/ada/birds@main//docs/owl.md"


def source(path: str, line: int | None = 7) -> Source:
    return Source(
        n=1, source="a", page=None, line_start=line, line_end=line, title="", content="", score=1.0, chunk_id="",
        path=path,
    )  # fmt: skip


def test_a_repository_is_listed_searched_shown_and_removed_by_its_address(cli: WarmCommandLine, tmp_path: Path) -> None:
    birds = Repository.create(tmp_path / "birds.git")
    birds.commit({"docs/owl.md": "# Owl\n\nThe owl hunts at night.\n", "wren.md": "The wren sings.\n"})
    root = f"git+file://{birds.directory}@main"
    assert cli.run("ingest", root).code == 0

    documents = json.loads(cli.run("ls", f"{root}/**", "--json").stdout)["documents"]
    assert [each["path"] for each in documents] == [f"{root}//docs/owl.md", f"{root}//wren.md"]
    [collection] = json.loads(cli.run("status", "--json").stdout)["collections"]
    assert collection["roots"] == [root]
    for pattern in (f"{root}//docs", f"{root}/docs/**", "*.md", "birds.git@main//docs/owl.md"):
        hits = json.loads(cli.run("search", "owl", "-k", "1", "--in", pattern, "--json").stdout)["hits"]
        assert [(each["path"], each["line_start"]) for each in hits] == [(f"{root}//docs/owl.md", 3)], pattern
    assert cli.run("show", f"{root}//docs/owl.md:3-3").stdout == b"The owl hunts at night.\n"

    birds.directory.rename(tmp_path / "moved.git")
    assert cli.run("ingest").code == 6
    assert cli.run("show", "birds.git@main//wren.md").stdout == b"The wren sings.\n"
    assert cli.run("ingest", "--remove", root).code == 0
    assert cli.run("ls").stdout == b""


def test_a_copied_collection_can_be_rebuilt_from_its_copies(cli: WarmCommandLine, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    cli, other = cli.having(STREAMRAG_STORE=first), cli.having(STREAMRAG_STORE=second)
    repository = Repository.create(tmp_path / "birds")
    repository.commit({"heron.md": "# Heron\n\nThe heron nests in March.\n"})
    assert cli.run("ingest", f"git+file://{repository.directory}").code == 0
    assert cli.run("ingest", "-", "--name", "notes/today.md", stdin=b"The heron landed.\n").code == 0

    assert cli.run("copy", "--from", first, "--to", second).code == 0
    unchanged = other.run("ingest", "--json")
    rebuilt = other.run("ingest", "--rebuild", "--json")
    replaced = cli.run("copy", "--from", second, "--to", first, "--replace")

    assert json.loads(unchanged.stdout)["counts"]["unchanged"] == 2, unchanged
    assert json.loads(rebuilt.stdout)["counts"]["added"] == 2, rebuilt
    assert (replaced.code, cli.run("ingest", "--rebuild").code) == (0, 0)


@pytest.mark.parametrize("kind", ["address", "credentials"])
def test_a_refused_address_causes_exit_code_2(cli: WarmCommandLine, kind: str) -> None:
    typed, hint = {
        "address": ("ftp://host/a", "git+https://HOST"),
        "credentials": ("git+https://ada:wren-7@host/a", "~/.netrc"),
    }[kind]
    outcome = cli.run("ingest", typed)

    assert (outcome.code, outcome.stdout, cli.store.exists()) == (2, b"", False)
    assert hint in outcome.stderr
    assert "wren-7" not in outcome.stderr


@pytest.mark.parametrize(
    ("pattern", "is_match"),
    [
        ("git+https://host/ada/birds@main/**", True), ("git+https://host/ada/birds@main//docs", True),
        ("git+https://host/*/birds@main/docs/*.md", True), ("/**/*.md", True), ("git+https://host/ada/bird", False),
        ("git+https://host/ada/birds@main//docs/*.txt", False), ("/docs", False), ("https://host/ada/**", False),
    ],
)  # fmt: skip
def test_patterns_match_addresses(pattern: str, is_match: bool) -> None:
    low, high = bounds(pattern)

    assert (bool(matcher(pattern)(OWL)) and low <= OWL < high) is is_match


def test_a_source_links_to_its_page() -> None:
    assert [
        uri_of(source("git+https://github.com/ada/birds.git@feature/x//docs/a b.md")),
        uri_of(source("git+https://gitlab.com/ada/birds//a.pdf", None)),
        uri_of(source("https://host/guide?v=2"), "editor://{path}"),
        uri_of(source(OWL), "editor://{path}"),
        uri_of(source("stdin://notes/today.md")),
    ] == [
        "https://github.com/ada/birds/blob/feature/x/docs/a%20b.md#L7",
        "https://gitlab.com/ada/birds/-/blob/HEAD/a.pdf",
        "https://host/guide?v=2",
        "",
        "",
    ]


def test_an_address_is_never_treated_as_a_path() -> None:
    names = DisplayNames(Path("/home/ada/work"), Path("/home/ada"))

    assert (names.of(OWL), names.typed(OWL)) == ("host/ada/birds@main//docs/owl.md", OWL)
    assert names.typed("stdin://notes/today.md") == "notes/today.md"
    assert name_of_copy(OWL, "docs/owl.md") == OWL
    assert find_missing_files([OWL, "/none"]) == {"/none"}
    assert not is_local_file(OWL)
    assert [is_stored_path(each) for each in (OWL, "stdin://a", "a/b", "ftp://a/b", "https://a/\0")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("root", "is_busy"),
    [("git+https://host/a@main", True), ("git+https://host/a@main//docs/x", True), ("git+https://host/b", False)],
)
def test_ingests_of_overlapping_addresses_exclude_each_other(root: str, is_busy: bool) -> None:
    with fresh_schema() as place:
        store = PostgresStore(place)
        with store.writing() as one, store.writing() as other:
            one.add_roots(["git+https://host/a@main//docs"])
            if is_busy:
                with pytest.raises(StoreError, match="another ingest is updating"):
                    other.add_roots([root])
            else:
                other.add_roots([root])
