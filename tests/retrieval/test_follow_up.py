"""Retrieval for follow-up questions."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.model import Turn
from streamrag_cli.retrieval.retriever import Retriever
from tests.support.collection import make_collection


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("follow_up")))) as opened:
        yield opened


def best(retriever: Retriever, question: str, previous: str = "") -> str:
    history = [Turn(question=previous)] if previous else []
    return retriever.retrieve(question, history=history, limit=3, min_score=0.3).hits[0].source


def test_a_follow_up_is_searched_together_with_the_previous_question(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        retriever.retrieve("Could you put that differently?", limit=3, min_score=0.3)

    assert best(retriever, "Could you put that differently?", "What is the range of the tides?") == "docs/tides.txt"


def test_a_self_contained_question_is_not_affected_by_the_previous_topic(retriever: Retriever) -> None:
    question = "What is the fee for a berth for a night?"

    assert best(retriever, question, "Who built the lighthouse in 1874?") == best(retriever, question)


def test_fused_hits_are_unique_and_ranked_with_decreasing_scores(retriever: Retriever) -> None:
    fused = retriever.retrieve(
        "And its lamp?", history=[Turn(question="Who built the lighthouse?" * 500)], limit=3, min_score=0.0
    ).hits

    assert [hit.rank for hit in fused] == [1, 2, 3]
    assert len({hit.chunk.id for hit in fused}) == 3
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)


def test_nothing_is_found_if_both_questions_are_off_topic(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        retriever.retrieve(
            "And in Haskell?", history=[Turn(question="Which language has macros?")], limit=3, min_score=0.3
        )
