"""Store files that have the wrong form, or are not files, are reported as damage immediately."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.store.local.catalog import _checksum
from tests.support.stores import LocalStore, document

ANIMALS = document("animals.md", "zebras have stripes")
REBUILD = "store_damaged hint=streamrag ingest --rebuild"


def path_of(store: LocalStore, pattern: str) -> Path:
    (path,) = store.directory.glob(f"collections/default/{pattern}")
    return path


def outcomes(store: LocalStore, *commands: str) -> set[str]:
    words = {"ask": ["zebras"], "put": ["more.md", "birds have wings"], "status": []}
    return {store.run_other_process(each, *words[each]) for each in commands or words}


@pytest.mark.fault("store-malformed")
@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "[]",
        "7",
        '{"epoch": "a\\u0000b", "roots": []}',
        '{"epoch": "\\ud800", "roots": []}',
        '{"epoch": "../default", "roots": []}',
        '{"epoch": 7, "roots": []}',
        '{"epoch": EPOCH, "roots": ["\\u0000"]}',
        '{"epoch": EPOCH, "roots": ["/\\ud800"]}',
        '{"epoch": EPOCH, "roots": ["relative"]}',
        '{"epoch": EPOCH, "roots": "/docs"}',
        '{"epoch": EPOCH}',
    ],
    ids=range(12),
)
def test_a_malformed_list_of_epochs_is_reported_as_damage(local_store: LocalStore, content: str) -> None:
    local_store.put(ANIMALS)
    current = path_of(local_store, "current.json")
    epoch = json.loads(current.read_text())["epoch"]
    current.write_text(content.replace("EPOCH", json.dumps(epoch)))

    assert outcomes(local_store, "ask", "status") == {f"{REBUILD} PATH"}


@pytest.mark.fault("store-malformed")
@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE meta SET value = '{'9' * 6001}' WHERE key = 'generation'",
        "UPDATE meta SET value = '²' WHERE key = 'generation'",
        "UPDATE meta SET value = x'31' WHERE key = 'generation'",
        "UPDATE meta SET value = '-1' WHERE key = 'dimension'",
        "INSERT INTO roots VALUES ('relative')",
        "INSERT INTO roots VALUES ('/a' || char(0))",
        "ALTER TABLE meta RENAME TO m; CREATE VIEW meta AS SELECT * FROM m WHERE {endless} > 0",
        "ALTER TABLE roots RENAME TO r; CREATE VIEW roots AS SELECT * FROM r WHERE {endless} > 0",
        "DROP TABLE roots",
    ],
)
def test_malformed_values_and_views_in_the_catalog_are_reported_as_damage(local_store: LocalStore, change: str) -> None:
    endless = "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n)"
    local_store.put(ANIMALS)
    with closing(sqlite3.connect(path_of(local_store, "*/catalog.sqlite3"))) as catalog:
        catalog.executescript(change.format(endless=endless))

    assert outcomes(local_store, "status") == {REBUILD}


@pytest.mark.fault("store-malformed")
@pytest.mark.parametrize(
    "change",
    [
        "line_start = 'text'",
        "page = x'00'",
        "char_start = -5",
        "headings = '" + "[" * 5_000 + "'",
        "headings = '7'",
        "headings = '[7]'",
        "headings = 'text'",
    ],
    ids=range(7),
)
def test_malformed_chunks_with_a_matching_checksum_are_reported_as_damage(local_store: LocalStore, change: str) -> None:
    local_store.put(ANIMALS)
    columns = "chunk_id, ordinal, body, headings, page, line_start, line_end, char_start, char_end"
    with closing(sqlite3.connect(path_of(local_store, "*/catalog.sqlite3"), isolation_level=None)) as catalog:
        catalog.execute(f"UPDATE chunks SET {change}")
        for row in catalog.execute(f"SELECT {columns} FROM chunks").fetchall():
            catalog.execute("UPDATE chunks SET checksum = ? WHERE chunk_id = ?", (_checksum(row), row[0]))

    assert outcomes(local_store, "ask") == {REBUILD}


@pytest.mark.fault("store-special-files")
@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("current.json", ""),
        ("*/catalog.sqlite3", ""),
        ("*/catalog.sqlite3", "-wal"),
        ("*/catalog.sqlite3", "-journal"),
        ("*/vectors/chroma.sqlite3", ""),
        ("*/vectors/chroma.sqlite3", "-journal"),
        ("*/vectors/*/data_level0.bin", ""),
    ],
)
def test_a_fifo_instead_of_a_file_is_reported_as_damage(local_store: LocalStore, pattern: str, name: str) -> None:
    local_store.put(ANIMALS)
    file = path_of(local_store, pattern)
    fifo = file.with_name(file.name + name)
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)

    expected = f"{REBUILD} PATH" if pattern == "current.json" else REBUILD
    assert outcomes(local_store, "ask") == {expected}
    if "vectors" not in pattern:
        assert outcomes(local_store, "put", "status") == {expected}


@pytest.mark.fault("store-path-too-long")
def test_a_path_that_is_too_long_is_not_reported_as_damage(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / ("a" * 300))

    assert outcomes(store) == {"path_too_long hint=choose a shorter path: streamrag ingest --store DIR PATH"}


@pytest.mark.fault("file-size-limit")
@pytest.mark.parametrize("limit", ["0", "4096", "100000", "200000"])
def test_a_limit_on_the_size_of_files_is_not_reported_as_damage(local_store: LocalStore, limit: str) -> None:
    local_store.put(document("animals.md", *(f"text {number} about zebras" for number in range(50))))
    limited = local_store.run_other_process(
        "rebuild-limited", limit, "more.md", *("birds have wings" * 50 for _ in range(50))
    )

    assert limited == "file_size_limit hint=raise the limit and retry: ulimit -f unlimited"
    assert local_store.run_other_process("put", "more.md", "birds have wings") == "done"
