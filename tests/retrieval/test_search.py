"""Search ranks the relevant chunk first, with scores that are comparable between questions."""

from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.errors import NothingRelevantError, StoreError
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("How much is a berth per night?", "docs/harbour.md"),
        ("Who built the lighthouse?", "docs/lighthouse.md"),
        ("spring tide range", "docs/tides.txt"),
        ("cooking soup in the kitchen", "docs/recipes.md"),  # only "the" in common
    ],
)
def test_the_relevant_document_comes_first(question: str, source: str, retriever: Retriever) -> None:
    hits = retriever.retrieve(question, limit=3, min_score=0.0).hits

    assert (hits[0].source, hits[0].rank) == (source, 1)


def test_scores_decrease_with_rank_and_are_between_0_and_1(retriever: Retriever) -> None:
    scores = [hit.score for hit in retriever.retrieve("high water", limit=5, min_score=0.0).hits]

    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


def test_an_off_topic_question_finds_nothing_relevant(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError) as caught:
        retriever.retrieve("Which programming language has the best macros?", limit=5, min_score=0.3)

    assert caught.value.code == "nothing_relevant"
    assert "streamrag ask --min-score 0" in caught.value.hint


def test_top_k_limits_the_hits_without_changing_scores(retriever: Retriever) -> None:
    two = retriever.retrieve("fuel dock", limit=2, min_score=0.0).hits
    all_of_them = retriever.retrieve("fuel dock", limit=100, min_score=0.0).hits

    assert all_of_them[:2] == two


def test_a_collection_of_one_document_is_searchable(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, {"one.md": "# Notes\n\nThe gate code is 4711. The bins go out on Tuesday.\n"})
    retriever = Retriever.open(settings)

    assert retriever.retrieve("What is the gate code?", limit=5, min_score=0.3).hits[0].source == "docs/one.md"
    with pytest.raises(NothingRelevantError):
        retriever.retrieve("How do volcanoes erupt?", limit=5, min_score=0.3)
    retriever.close()


@pytest.mark.parametrize(
    "question", ["?!", "the of and", "a" * 20_000, 'say "AND OR NOT" NEAR(x) * col:x', "\x00", "漢字"]
)
def test_special_characters_in_a_question_are_not_query_syntax(question: str, retriever: Retriever) -> None:
    assert len(retriever.retrieve(question, limit=3, min_score=0.0).hits) == 3


def test_opening_a_collection_with_another_embedder_is_an_error(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, {"one.md": "one\n"})

    with pytest.raises(StoreError) as caught:
        Retriever.open(Settings(store=settings.store, embedding="openai:big", base_url="http://127.0.0.1:9/v1"))

    assert caught.value.message == (
        "the collection 'default' uses the embedder builtin:all-MiniLM-L6-v2, but openai:big was requested"
    )


def test_a_missing_store_is_reported_with_a_hint_to_ingest(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Retriever.open(Settings(store=tmp_path / "nowhere"))

    assert (caught.value.code, caught.value.hint) == ("store_missing", "streamrag ingest PATH")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("question", "source"),
    [("How long is a trial?", "docs/minutes.md"), ("How high is the levy?", "docs/minutes.md")],
)
def test_a_table_with_the_question_words_does_not_outrank_the_topic(question: str, source: str, tmp_path: Path) -> None:
    pages = {
        "minutes.md": "# Minutes\n\nA sheet hangs at the door for a trial of three months. A levy of 4 euros is due.\n",
        "loans.md": "# Loans\n\n| What | How long | How high |\n|---|---|---|\n| Books | 4 weeks | 30 cm |\n",
    }
    with closing(Retriever.open(make_collection(tmp_path, pages))) as opened:
        assert opened.retrieve(question, limit=3, min_score=0.3).hits[0].source == source


def test_the_language_of_plain_text_is_detected(tmp_path: Path) -> None:
    letter = "Sehr geehrte Frau Ott, der Keller ist nun trocken, und wir haben das Licht in dem Flur repariert.\n"
    with closing(Retriever.open(make_collection(tmp_path, {"brief.txt": letter}))) as opened:
        assert opened.reader.catalog.languages() == ["de"]
