"""A store that someone else prepared, or may write to, with links in the places of its files."""

from pathlib import Path

import pytest

from tests.support.stores import LocalStore, document

ANIMALS = document("animals.md", "zebras have stripes")
REBUILD = "store_damaged hint=streamrag ingest --rebuild"


@pytest.mark.fault("store-links")
@pytest.mark.parametrize("command", ["put", "rebuild"])
def test_writing_to_a_store_does_not_overwrite_the_target_of_a_link(
    local_store: LocalStore, tmp_path: Path, command: str
) -> None:
    local_store.put(ANIMALS)
    target = tmp_path / "bashrc"
    target.write_text("alias ll=ls")
    link = local_store.directory / "collections/default/current.new"
    link.symlink_to(target)

    with local_store.writing(rebuild=command == "rebuild") as writer:
        writer.add_roots(["/docs"])

    assert target.read_text() == "alias ll=ls"
    assert not link.is_symlink()


@pytest.mark.fault("store-links")
@pytest.mark.parametrize(
    "pattern",
    [
        "*/catalog.sqlite3",
        "*/vectors/chroma.sqlite3",
        "*/vectors/*/data_level0.bin",
        "*/vectors/*/length.bin",
        "*/vectors/*-*-*-*-*",
        "*/vectors",
        "epoch-*",
    ],
)
def test_a_link_instead_of_a_file_is_reported_as_damage(local_store: LocalStore, tmp_path: Path, pattern: str) -> None:
    local_store.put(ANIMALS)
    (link,) = local_store.directory.glob(f"collections/default/{pattern}")
    target = link.rename(tmp_path / "target")
    link.symlink_to(target)
    before = _content(target)

    assert local_store.run_other_process("ask", "zebras") == REBUILD
    assert local_store.run_other_process("put", "more.md", "birds have wings") == REBUILD
    assert _content(target) == before


@pytest.mark.fault("store-links")
@pytest.mark.parametrize("name", ["writer.lock", "epoch-*/vectors.lock"])
def test_a_lock_that_is_a_link_creates_no_file(local_store: LocalStore, tmp_path: Path, name: str) -> None:
    local_store.put(ANIMALS)
    (link,) = local_store.directory.glob(f"collections/default/{name}")
    link.unlink()
    link.symlink_to(tmp_path / "created")

    assert local_store.run_other_process("put", "more.md", "birds have wings").startswith("store_not_writable")
    assert not (tmp_path / "created").exists()


def _content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.suffix == ".bin"]
    return {each.name: each.read_bytes() for each in files}
