"""Token states for late interaction, in the store and in the ranking."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamrag_cli.answer.sentence_cosines import sentence_cosines
from streamrag_cli.answer.sentences import sentences
from streamrag_cli.model import Hit
from streamrag_cli.retrieval import local_embedding
from streamrag_cli.retrieval.builtin_embedding import DIMENSION, MAX_TOKENS, BuiltinEmbedder
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.token_states import QuestionTokens, late_interaction, packed, unpacked
from streamrag_cli.store.copying import copy_collection
from tests.support.collection import make_collection

WORKSHOP = {
    "workshop.md": "# Workshop\n\nThe lathe was repaired by Ines. The saw was repaired by Otto, who also oils it.\n",
    "boats.md": "# Boats\n\nThe blue boat carries six people. The red boat is kept in the shed.\n",
}


@pytest.fixture(scope="module")
def embedder() -> BuiltinEmbedder:
    return BuiltinEmbedder()


def test_token_states_are_packed_as_one_sign_bit_per_value() -> None:
    states = np.array([[0.5, -2.0, 0.0, 1e-9, -1, -1, -1, 3.0]], dtype=np.float32)

    assert packed(states) == b"\x91"
    assert unpacked(packed(states), 8).tolist() == [[1, 0, 0, 1, 0, 0, 0, 1]]


def test_late_interaction_uses_the_best_passage_token_per_question_token() -> None:
    signs = np.sign(np.random.default_rng(1).standard_normal((4, 8))).astype(np.float32)
    question = QuestionTokens(signs[:2] / np.sqrt(8), [(0, 1), (2, 3)])
    passages = {"both": packed(signs[[2, 1, 0]]), "first": packed(signs[[0, 3]]), "none": packed(-signs[:1])}

    scores = late_interaction(question, np.array([1.0, 3.0], dtype=np.float32), passages)

    cosine = float(signs[1] @ signs[0] / 8), float(signs[1] @ signs[3] / 8)
    assert scores["both"] == pytest.approx(1.0)
    assert scores["first"] == pytest.approx((1.0 + 3.0 * max(cosine)) / 4)
    assert scores["none"] < scores["first"]


def test_each_token_within_the_model_limit_has_a_state(embedder: BuiltinEmbedder) -> None:
    texts = ["one", "a longer text of several words", "word " * 1000]
    embedded = embedder.embed_passages(texts)

    assert [len(signs) * 8 // DIMENSION for signs in embedded.token_states] == [3, 8, MAX_TOKENS]
    assert [len(embedder.token_starts(text)) for text in texts] == [3, 8, MAX_TOKENS]
    np.testing.assert_array_equal(embedded.vectors, embedder.embed_documents(texts))


def test_the_token_offsets_of_the_last_passages_are_cached(
    embedder: BuiltinEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_embedding, "_MAX_CACHED", 2)
    texts = ["The lathe was repaired.", "The saw", "", "Otto oils it."]

    starts = [list(embedder.token_starts(text)) for text in texts * 2]

    assert starts[:4] == starts[4:]
    assert starts[1] == [0, 0, 4, 0]
    assert embedder.token_starts(texts[-1]) is embedder.token_starts(texts[-1])
    assert len(embedder._starts) <= 2


def test_copying_a_collection_copies_its_token_states(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, WORKSHOP)
    there = tmp_path / "copy"
    assert isinstance(settings.store, Path)
    list(copy_collection(settings.store, there, settings.collection))
    question = "Who repaired the lathe?"
    states = []
    for place in (settings.store, there):
        with closing(Retriever.open(replace(settings, store=place))) as retriever:
            states.append(dict(retriever.retrieve(question, limit=2, min_score=0).token_states))

    assert len(states[0]) == 2
    assert states[0] == states[1]


def test_a_sentence_vector_from_chunk_states_resembles_its_embedding(tmp_path: Path, embedder: BuiltinEmbedder) -> None:
    with closing(Retriever.open(make_collection(tmp_path, WORKSHOP))) as retriever:
        retrieved = retriever.retrieve("Who repaired the saw?", limit=2, min_score=0)
    candidates = [(hit, sentence) for hit in retrieved.hits for sentence in sentences(hit.chunk.text)]
    from_states = sentence_cosines(candidates, retrieved, embedder)
    embedded = embedder.embed_documents([sentence.text for _, sentence in candidates]) @ retrieved.question_vector

    assert len(candidates) == 4
    assert candidates[int(from_states.argmax())][1].text.startswith("The saw was repaired by Otto")
    assert float(np.corrcoef(from_states, embedded)[0, 1]) > 0.8


def test_a_sentence_that_is_not_in_the_chunk_is_embedded(tmp_path: Path, embedder: BuiltinEmbedder) -> None:
    with closing(Retriever.open(make_collection(tmp_path, WORKSHOP))) as retriever:
        retrieved = retriever.retrieve("Who repaired the saw?", limit=1, min_score=0)
    (hit,) = retrieved.hits
    other = Hit(chunk=hit.chunk, source=hit.source, path=hit.path, score=1.0, rank=1)
    unseen = next(sentences("The observatory opens at nine in the evening."))

    (cosine,) = sentence_cosines([(other, unseen)], retrieved, embedder)

    assert cosine == pytest.approx(float(embedder.embed_query(unseen.text) @ retrieved.question_vector), abs=1e-6)
