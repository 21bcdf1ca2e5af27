"""Full-text ranking is the same in every backend."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamrag_cli.store.postgres.ranking import tsvector
from tests.support.postgres_server import fresh_schema
from tests.support.stores import LocalStore, Store, document

WORDS = ["tide", "tides", "harbour", "o'clock", "back\\slash", "lamp", "Café", "x1"]
PASSAGES = [
    " ".join(WORDS[(start + 3 * each * each) % len(WORDS)] for each in range(length))
    for start, length in enumerate([3, 5, 8, 13, 21, 34, 55, 40, 17, 4, 9, 27])
] + ["no such word", "tide " * 80]


@pytest.mark.postgres
def test_postgresql_and_a_local_store_find_the_same_chunks_with_the_same_scores(tmp_path: Path) -> None:
    documents = [document(f"{number}.md", passage) for number, passage in enumerate(PASSAGES)]
    local = LocalStore(tmp_path)
    local.put(*documents)
    with fresh_schema() as place:
        remote = Store(place)
        remote.put(*documents)
        with local.reading() as expected, remote.reading() as actual:
            for question in (["tide"], ["tides", "lamp"], ["cafe", "x1", "tide", "tide"], ["unheard"], []):
                assert dict(actual.search_text(question, 100)) == pytest.approx(
                    dict(expected.search_text(question, 100)), rel=0.01
                )


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1).filter(lambda word: not set(word) & set("\0")), max_size=30))
def test_a_tsvector_has_an_entry_for_every_word(words: list[str]) -> None:
    written = tsvector(words)

    assert written.count(":") >= len(set(words)) if words else written == ""
