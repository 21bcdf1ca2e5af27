"""Scores with embedders whose cosines are distributed differently from those of the built-in one."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise
from streamrag_cli.retrieval.builtin_embedding import shared_embedder
from streamrag_cli.retrieval.calibration import BUILTIN_RANGE, CosineRange, measure
from streamrag_cli.retrieval.calibration_texts import PAIRS
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_replies import Reply, failure, vectors
from tests.support.openai_server import OpenAIServer

PAGES = {
    "kiln.md": "# The kiln\n\nFire the kiln slowly to 1,240 degrees, over at least nine hours. Thick bowls crack.\n",
    "glazes.md": "# Glazes\n\nThe grey glaze contains wood ash and feldspar. Stir it before use and sieve it twice.\n",
    "clay.md": "# Clay\n\nStoneware clay is delivered in bags of 12 kilograms. Opened bags must be kept damp.\n",
    "shop.md": "# Shop\n\nThe shop sells seconds on Saturdays from ten. Broken pieces cannot be returned.\n",
    "courses.md": "# Courses\n\nThe evening course takes ten weeks. Beginners learn to pull a cylinder.\n",
}
ANSWERED = (
    "How hot must the kiln become?",
    "What is in the grey glaze?",
    "How heavy is a bag of stoneware clay?",
    "When are seconds sold?",
    "How many weeks does the evening course take?",
)
OFF_TOPIC = (
    "Which train goes to the airport?",
    "What is the capital of Mongolia?",
    "How do I reset my phone?",
    "Who composed the opera Fidelio?",
    "Is my passport still valid after ten years?",
    "Why is the sky blue?",
)


def narrow(request: LoggedRequest) -> Reply:
    """The built-in vectors with a large constant component: unrelated texts have a cosine of .75."""
    made = shared_embedder().embed_documents(request.json["input"])
    constant = np.full((len(made), 1), np.sqrt(3.0))
    return vectors(*np.hstack([made, constant]).tolist())


def without_calibration(request: LoggedRequest) -> Reply:
    return failure(400, "too many texts") if len(request.json["input"]) > len(PAGES) else narrow(request)


def answered(folder: Path, server: OpenAIServer) -> list[str]:
    """The questions that get an answer, after an ingest of the pages."""
    docs = folder / "docs"
    docs.mkdir()
    for name, text in PAGES.items():
        (docs / name).write_text(text, encoding="utf-8")
    settings = Settings(store=folder / "store", embedding="openai:narrow", base_url=server.base_url, api_key="none")
    for _ in ingest_or_raise(IngestRequest(paths=(docs,), working_directory=docs), settings):
        pass
    with closing(Retriever.open(settings)) as retriever:
        return [question for question in (*ANSWERED, *OFF_TOPIC) if is_answered(retriever, question)]


def is_answered(retriever: Retriever, question: str) -> bool:
    try:
        return bool(retriever.retrieve(question, limit=5, min_score=0.3).hits)
    except NothingRelevantError:
        return False


def test_a_narrow_cosine_range_still_separates_relevant_from_irrelevant_questions(tmp_path: Path) -> None:
    with OpenAIServer(embeddings=narrow) as server:
        assert answered(tmp_path, server) == list(ANSWERED)


def test_a_failed_calibration_does_not_fail_the_ingest(tmp_path: Path) -> None:
    with OpenAIServer(embeddings=without_calibration) as server:
        assert set(ANSWERED) <= set(answered(tmp_path, server))


def test_an_ingest_calibrates_once_per_collection(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    with OpenAIServer(embeddings=narrow) as server:
        settings = Settings(
            store=tmp_path / "store", embedding="openai:narrow", base_url=server.base_url, api_key="none"
        )
        for name, text in PAGES.items():
            (docs / name).write_text(text, encoding="utf-8")
            list(ingest_or_raise(IngestRequest(paths=(docs,), working_directory=docs), settings))
        sizes = [len(request.json["input"]) for request in server.requests]

    assert sizes == [1, 2 * len(PAIRS), 1, 1, 1, 1]


def test_the_built_in_cosine_range_matches_the_model() -> None:
    measured = measure(shared_embedder())

    assert abs(measured.unrelated - BUILTIN_RANGE.unrelated) < 0.02
    assert abs(measured.related - BUILTIN_RANGE.related) < 0.02


def test_the_built_in_range_produces_the_built_in_curve() -> None:
    curve = BUILTIN_RANGE.curve

    assert [curve.score(cosine=cosine, coverage=0.5) for cosine in (-0.2, 0.3, 0.9)] == pytest.approx(
        [BUILTIN_CURVE.score(cosine=cosine, coverage=0.5) for cosine in (-0.2, 0.3, 0.9)]
    )


def test_an_embedder_whose_cosines_are_all_equal_gets_the_built_in_curve() -> None:
    assert CosineRange(unrelated=0.9, related=0.9).curve == BUILTIN_CURVE
