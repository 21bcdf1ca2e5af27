"""Every kind of damage to a store is reported, and the hint fixes it."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.store.local import full_text
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.vectors import WritableVectors
from tests.support.command_line import CommandLine
from tests.support.doctor import ANSWER, QUESTION, bad, copy_of, doctor, follow, of_check

REBUILD = "streamrag ingest --rebuild"
Damage = Callable[[Layout, str], None]


def sql(statements: str) -> Damage:
    """Change the catalog with SQL."""

    def damage(layout: Layout, epoch: str) -> None:
        with closing(sqlite3.connect(layout.catalog(epoch))) as catalog:
            full_text.register(catalog)
            catalog.executescript(statements)

    return damage


def a_vector_is_deleted(layout: Layout, epoch: str) -> None:
    with closing(WritableVectors(layout.vectors(epoch), layout.collection)) as vectors:
        vectors.delete(sorted(vectors.ids())[:1])


def all_vectors_are_zero(layout: Layout, epoch: str) -> None:
    """Make all vectors unfindable, as a faulty index would."""
    import numpy as np

    with closing(WritableVectors(layout.vectors(epoch), layout.collection)) as vectors:
        ids = sorted(vectors.ids())
        vectors.add(ids, ids, [{"n": 1} for _ in ids], np.zeros((len(ids), 384), dtype=np.float32))


def deleted(pattern: str) -> Damage:
    def damage(layout: Layout, epoch: str) -> None:
        for file in _files(layout, epoch, pattern):
            file.unlink()

    return damage


def noise(pattern: str) -> Damage:
    def damage(layout: Layout, epoch: str) -> None:
        for file in _files(layout, epoch, pattern):
            file.write_bytes(random.Random(1).randbytes(file.stat().st_size))

    return damage


def noise_in_the_middle(pattern: str) -> Damage:
    def damage(layout: Layout, epoch: str) -> None:
        for file in _files(layout, epoch, pattern):
            with file.open("r+b") as opened:
                opened.seek(file.stat().st_size // 2)
                opened.write(random.Random(1).randbytes(20_000))

    return damage


def _files(layout: Layout, epoch: str, pattern: str) -> list[Path]:
    files = list(layout.epoch_directory(epoch).glob(pattern))
    assert files
    return files


SMALL: dict[str, tuple[Damage, str]] = {
    "a row of the catalog is missing": (
        sql("DELETE FROM chunks WHERE body LIKE '%Tomatoes%'"),
        "1 vector has no passage",
    ),
    "a document has another name": (
        sql("UPDATE documents SET source = 'other.md' WHERE source LIKE '%hours%'"),
        "a chunk has changed since it was written",
    ),
    "a document is missing": (
        sql("PRAGMA foreign_keys = OFF; DELETE FROM documents WHERE path LIKE '%garden%'"),
        "1 passage belongs to no document",
    ),
    "a vector is missing": (a_vector_is_deleted, "1 of 3 passages have no vector"),
    "vectors are unfindable": (all_vectors_are_zero, "vector search misses 3 of 3 passages"),
    "the full-text index is corrupt": (
        sql("UPDATE chunks_fts_data SET block = x'00ff00ff' WHERE id > 10"),
        "the full-text index does not match the passages",
    ),
    "the catalog is missing": (deleted("catalog.sqlite3"), "catalog.sqlite3 is damaged"),
    "an index of the catalog is corrupt": (
        sql("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'chunks_of_document'"),
        "the catalog is damaged",
    ),
    "Chroma's database is missing": (deleted("vectors/chroma.sqlite3"), "the file chroma.sqlite3 is missing"),
    "noise in Chroma's database": (noise_in_the_middle("vectors/chroma.sqlite3"), "chroma.sqlite3 is damaged"),
}
LARGE: dict[str, tuple[Damage, str]] = {
    "an index file is missing": (deleted("vectors/*/data_level0.bin"), "have changed since they were written"),
    "the index is noise": (noise("vectors/*/link_lists.bin"), "have changed since they were written"),
}


@pytest.mark.parametrize("name", SMALL)
def test_damage_is_reported_with_a_hint_that_fixes_it(small: CommandLine, tmp_path: Path, name: str) -> None:
    assert_reported_and_fixed(copy_of(small, tmp_path), *SMALL[name])


@pytest.mark.parametrize("name", LARGE)
def test_a_damaged_index_is_reported_with_a_hint_that_fixes_it(large: CommandLine, tmp_path: Path, name: str) -> None:
    assert_reported_and_fixed(copy_of(large, tmp_path), *LARGE[name])


def assert_reported_and_fixed(user: CommandLine, damage: Damage, message: str) -> None:
    layout = Layout(user.store, "default")
    current = layout.active_epoch()
    assert current is not None
    damage(layout, current.epoch)

    code, findings = doctor(user)
    assert (code, set(bad(findings))) == (5, {("failed", "store", "store_damaged", REBUILD)})
    assert message in " ".join(each["found"] for each in of_check(findings, "store"))
    assert_fixed(user, REBUILD)


def assert_fixed(user: CommandLine, hint: str) -> None:
    assert follow(user, hint).code == 0
    search = ("search", "--json", "--min-score", "0", QUESTION)
    searched, checked = user.run(*search), user.run("doctor")
    assert (searched.code, checked.code) == (0, 0)
    assert ANSWER in searched.stdout.decode()


def test_a_damaged_epoch_list_is_reported_with_a_hint_that_fixes_it(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    (user.store / "collections/default/current.json").write_text("{", encoding="utf-8")

    code, findings = doctor(user)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_damaged", f"{REBUILD} PATH")])
    assert_fixed(user, f"{REBUILD} PATH")


def test_each_damaged_collection_has_its_own_hint(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path)
    assert user.run("ingest", "-c", "second", "library").code == 0
    layout = Layout(user.store, "second")
    current = layout.active_epoch()
    assert current is not None
    a_vector_is_deleted(layout, current.epoch)
    hint = f"{REBUILD} -c second"

    code, findings = doctor(user)
    states = [(each["collection"], each["state"], each["hint"]) for each in of_check(findings, "store")]
    assert (code, states) == (5, [("default", "ok", ""), ("second", "failed", hint)])
    assert doctor(user, "-c", "default")[0] == 0
    assert (follow(user, hint).code, doctor(user)[0]) == (0, 0)


def test_hints_repeat_the_store_flag(small: CommandLine, tmp_path: Path) -> None:
    user = copy_of(small, tmp_path / "home")
    elsewhere = str(tmp_path / "else where")
    hint = f"streamrag ingest PATH --store '{elsewhere}'"

    code, findings = doctor(user, "--store", elsewhere)
    assert (code, bad(findings)) == (5, [("failed", "store", "store_missing", hint)])
    assert follow(user, hint).code == 0
    assert doctor(user, "--store", elsewhere)[0] == 0
