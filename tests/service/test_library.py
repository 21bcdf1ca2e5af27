"""`read` and `list` find documents by path, name, end of the path, glob and id, on every backend."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.model import Passage
from streamrag_cli.service.interface import Listing, Selection
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import BACKENDS
from tests.support.stores import document, empty_store

NAMES = DisplayNames(Path("/docs"), Path("/home/ada"))
GUIDE = document("guide/index.md", "Berths are let.\n\nFuel is sold.", "\nThe quay is long.")
OTHER = document("notes/index.md", "Tides rise.")
PLAIN = document("Tides 2026.txt", "Springs and neaps.")


@pytest.fixture(scope="module", params=dict.fromkeys(BACKENDS.values()), ids=lambda package: package.rpartition(".")[2])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with empty_store(request.param, tmp_path_factory.mktemp("library")) as store:
        store.put(GUIDE, OTHER, PLAIN)
        yield Settings(store=store.place)


def read(where: str, settings: Settings, names: DisplayNames = NAMES) -> Passage:
    return asyncio.run(LocalService().read(Selection(where=where, names=names), settings))


def listed(pattern: str, settings: Settings, names: DisplayNames = NAMES) -> list[str]:
    entries = asyncio.run(LocalService().list(Listing(pattern=pattern, names=names), settings))
    return [entry.path.removeprefix("/docs/") for entry in entries]


def refused(where: str, settings: Settings) -> tuple[str, str, str]:
    with pytest.raises(UsageError) as caught:
        read(where, settings)
    return caught.value.code, caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    "where",
    [
        "guide/index.md",
        "./guide/index.md",
        "guide/../guide/index.md",
        "/docs/guide/index.md",
        "docs/guide/index.md",
    ],
)
def test_a_document_is_found_by_its_path_or_a_path_ending(where: str, settings: Settings) -> None:
    assert read(where, settings).path == "/docs/guide/index.md"


def test_a_path_suffix_matches_only_whole_components(settings: Settings) -> None:
    assert refused("de/index.md", settings)[0] == "no_such_document"


def test_a_path_suffix_matches_regardless_of_case(settings: Settings) -> None:
    assert read("tides 2026.TXT", settings).path == "/docs/Tides 2026.txt"


def test_an_ambiguous_ending_lists_the_documents(settings: Settings) -> None:
    assert refused("index.md", settings) == (
        "ambiguous_document",
        "2 documents are named 'index.md': guide/index.md, notes/index.md",
        "streamrag show guide/index.md",
    )


def test_an_unknown_name_lists_similar_ones(settings: Settings) -> None:
    assert refused("tides 2025.txt", settings) == (
        "no_such_document",
        "no document is named 'tides 2025.txt'; similar: Tides 2026.txt",
        "streamrag show 'Tides 2026.txt'",
    )
    assert refused("xyzzy", settings) == ("no_such_document", "no document is named 'xyzzy'", "streamrag ls")


def test_the_start_of_an_id_identifies_a_passage(settings: Settings) -> None:
    chunk = OTHER[1][0]

    whole, start = read(chunk.id, settings), read(chunk.id[:8], settings)

    assert (whole.text, whole.chunk_id, whole.line_start) == ("Tides rise.", chunk.id, 1)
    assert start == whole
    assert [refused("0" * length, settings)[0] for length in (8, 32)] == ["no_such_document", "no_such_passage"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["Tides 2026.txt", "guide/index.md", "notes/index.md"]),
        ("*.md", ["guide/index.md", "notes/index.md"]),
        ("guide", ["guide/index.md"]),
        ("guide/", ["guide/index.md"]),
        ("./guide", ["guide/index.md"]),
        ("guide/*.md", ["guide/index.md"]),
        ("**/index.md", ["guide/index.md", "notes/index.md"]),
        ("/docs/notes", ["notes/index.md"]),
        ("/docs/*/index.md", ["guide/index.md", "notes/index.md"]),
        (".", ["Tides 2026.txt", "guide/index.md", "notes/index.md"]),
        ("../docs/g*", ["guide/index.md"]),
        ("~/docs", []),
        ("ide", []),
        ("Tides*", ["Tides 2026.txt"]),
        ("!guide", []),
        ("#", []),
        ("*.MD", []),
    ],
)
def test_a_glob_selects_documents_and_folders(pattern: str, names: list[str], settings: Settings) -> None:
    assert listed(pattern, settings) == names


def test_globs_are_relative_to_the_working_directory(settings: Settings) -> None:
    inside = DisplayNames(Path("/docs/guide"), Path("/docs"))

    assert listed("index.md", settings, inside) == ["guide/index.md"]
    assert listed("index.md", settings) == ["guide/index.md", "notes/index.md"]
    assert listed("[z-a]*", settings) == listed("guide/[", settings) == []
    assert listed("./*.md", settings, inside) == ["guide/index.md"]
    assert listed("../notes", settings, inside) == ["notes/index.md"]
    assert listed("~/notes", settings, inside) == ["notes/index.md"]
    assert listed("guide", settings, DisplayNames(None, None)) == ["guide/index.md"]


def test_a_missing_collection_is_an_error(settings: Settings, tmp_path: Path) -> None:
    for call in (
        LocalService().read(Selection(where="a.md"), Settings(store=tmp_path / "none")),
        LocalService().list(Listing(), Settings(store=tmp_path / "none")),
    ):
        with pytest.raises(StoreError) as caught:
            asyncio.run(call)
        assert caught.value.code == "store_missing"
