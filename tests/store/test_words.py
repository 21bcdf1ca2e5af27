"""Full-text search in scripts without spaces, in every backend, and the upgrade of an index that does not support
them.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.store.local.catalog import SCHEMA_VERSION
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.stemming import separate, stems
from tests.support.stores import LocalStore, Store, by_text, document

PASSAGES = [
    "灯塔的灯每十秒闪一次",
    "灯火",
    "霧笛は毎朝鳴ります",
    "등대는 밤에 켜집니다",
    "ประภาคารเปิดตอนกลางคืน",
    "The lamp flashes",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lamps are flashing", ["the", "lamp", "ar", "flash"]),
        ("灯塔X1", ["灯", "塔", "灯塔", "x1"]),
        ("naïve 灯", ["naiv", "灯"]),
        ("ｶﾅ", ["カ", "ナ", "カナ"]),
        ("กลาง คืน", ["ก", "ล", "า", "ง", "กล", "ลา", "าง", "ค", "น", "คน"]),
        ("밤에", ["밤", "에", "밤에"]),
        ("第\uff11\uff10条", ["第", "10", "条"]),
        ("\uff21\uff30\uff29 \uff4b\uff45\uff59\uff53", ["api", "kei"]),
    ],
)
def test_unspaced_text_is_split_into_characters_and_pairs(text: str, expected: list[str]) -> None:
    assert stems([text]) == [expected]


def test_spaced_text_is_not_changed() -> None:
    text = "Größe, Ελλάδα, мир and שלום\n"

    assert separate(text) == text


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["灯塔"], {PASSAGES[0]}),
        (["灯"], set(PASSAGES[:2])),
        (["毎朝"], {PASSAGES[2]}),
        (["등대"], {PASSAGES[3]}),
        (["lamps"], {PASSAGES[5]}),
        (["塔灯"], set()),
    ],
)
def test_every_backend_finds_characters_and_pairs_in_unspaced_text(
    store: Store, words: list[str], texts: set[str]
) -> None:
    store.put(document("coast.md", *PASSAGES))

    with store.reading() as reader:
        assert {reader.catalog.chunks([each])[each].chunk.text for each, _ in reader.search_text(words, 10)} == texts


def test_a_format_2_index_is_readable_and_upgraded_by_the_next_writer(tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    local.put(document("coast.md", *PASSAGES))
    layout = Layout(tmp_path, local.collection)
    current = layout.active_epoch()
    assert current is not None
    catalog = layout.catalog(current.epoch)
    _as_format_2(catalog)

    with local.reading() as reader:
        assert by_text(reader, "flashes") == {PASSAGES[5]}
        assert by_text(reader, "灯塔") == set()
    with local.writing():
        pass
    with local.reading() as reader:
        assert by_text(reader, "flashes") == {PASSAGES[5]}
        assert by_text(reader, "灯塔") == {PASSAGES[0]}
        assert reader.catalog.meta("schema_version") == SCHEMA_VERSION


@pytest.mark.fault("upgraded-while-open")
def test_an_open_reader_uses_the_new_format_after_an_upgrade(tmp_path: Path) -> None:
    local = LocalStore(tmp_path)
    local.put(document("coast.md", *PASSAGES))
    current = Layout(tmp_path, local.collection).active_epoch()
    assert current is not None
    _as_format_2(Layout(tmp_path, local.collection).catalog(current.epoch))

    with local.reading() as reader:
        with reader.snapshot():
            before = reader.catalog.languages()
        record, chunks = document("de.md", "Das Leuchtfeuer blinkt")
        local.put((replace(record, language="de"), chunks))
        with reader.snapshot():
            after = reader.catalog.languages()

    assert (before, after) == ([""], ["", "de"])


def _as_format_2(catalog: Path) -> None:
    with closing(sqlite3.connect(catalog)) as database:
        database.executescript(
            """
            DROP TRIGGER chunks_inserted; DROP TRIGGER chunks_deleted;
            DROP TABLE chunks_terms; DROP TABLE chunks_fts; DROP VIEW chunks_words;
            DROP TABLE token_states; DROP INDEX documents_in_language; ALTER TABLE documents DROP COLUMN language;
            CREATE VIRTUAL TABLE chunks_fts USING fts5 (
                title, body, content = 'chunks', content_rowid = 'id', tokenize = 'porter unicode61'
            );
            CREATE VIRTUAL TABLE chunks_terms USING fts5vocab ('chunks_fts', 'row');
            CREATE TRIGGER chunks_inserted AFTER INSERT ON chunks BEGIN
                INSERT INTO chunks_fts (rowid, title, body) VALUES (new.id, new.title, new.body);
            END;
            CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
                INSERT INTO chunks_fts (chunks_fts, rowid, title, body)
                VALUES ('delete', old.id, old.title, old.body);
            END;
            INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild');
            UPDATE meta SET value = '2' WHERE key = 'schema_version';
            """
        )
