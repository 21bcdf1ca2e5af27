"""Retrieval with a filter."""

from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.model import Filter, PathPattern
from streamrag_cli.retrieval.cited_passages import cited_passages
from streamrag_cli.retrieval.retriever import Retriever
from tests.retrieval.test_near_duplicates import OTHER, PAGE
from tests.support.collection import make_collection

DOCUMENTS = {f"{n}.0/anemometer.md": PAGE.format(f"{n}.0") for n in range(1, 5)} | {"log.md": OTHER}
QUESTION = "How do I calibrate the anemometer?"


def names(pattern: str) -> Filter:
    return Filter(patterns=(PathPattern("", pattern),), text=f"--in {pattern}")


def test_copies_outside_the_filter_are_not_listed(tmp_path: Path) -> None:
    with closing(Retriever.open(make_collection(tmp_path, DOCUMENTS))) as retriever:
        [hit] = retriever.retrieve(QUESTION, limit=3, min_score=0.0, scope=names("docs/[23].0")).hits
        everywhere = retriever.retrieve(QUESTION, limit=3, min_score=0.0).hits

    assert {hit.source, *(copy.source for copy in hit.copies)} == {"docs/2.0/anemometer.md", "docs/3.0/anemometer.md"}
    assert len(everywhere[0].copies) == 3


def test_a_filter_does_not_change_the_score_of_a_hit(retriever: Retriever) -> None:
    question = "When was the lighthouse built?"

    everywhere = retriever.retrieve(question, limit=5, min_score=0.0).hits
    [hit] = retriever.retrieve(question, limit=5, min_score=0.0, scope=names("docs/lighthouse.md")).hits

    assert hit.chunk == everywhere[0].chunk
    assert hit.score == pytest.approx(everywhere[0].score, abs=1e-4)


def test_cited_passages_outside_the_filter_are_left_out(retriever: Retriever) -> None:
    clams = retriever.retrieve("How are clams cooked?", limit=1, min_score=0.0).hits[0].chunk.id
    tides = retriever.retrieve("What is the range at springs?", limit=1, min_score=0.0).hits[0].chunk.id
    scope = Filter(suffixes=(".txt",))
    retrieved = retriever.retrieve("high waters", limit=1, min_score=0.0, scope=Filter(suffixes=(".md",)))

    def cited(scope: Filter) -> list[str]:
        passages = cited_passages(retriever.reader, retriever.embedder, retrieved, [clams, tides], scope=scope)
        return [hit.chunk.id for hit in passages.hits]

    assert cited(scope) == [tides]
    assert set(cited(Filter())) >= {tides}


def test_a_filter_that_matches_nothing_has_its_own_error(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError) as caught:
        retriever.retrieve("high water", limit=5, min_score=0.0, scope=names("nowhere"))

    assert (caught.value.code, caught.value.message, caught.value.hint) == (
        "no_document_matches",
        "no document in the collection matches --in nowhere",
        "list the documents: streamrag ls",
    )
