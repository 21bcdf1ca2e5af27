"""The built-in embedding: equal to the original model, independent of batching, and damage is reported."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from streamrag_cli.errors import ConfigurationError, StoreError
from streamrag_cli.retrieval.builtin_embedding import DIMENSION, MODEL_DIRECTORY, BuiltinEmbedder
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.retriever import embedder_for
from streamrag_cli.settings import Settings

COSINES_OF_THE_ORIGINAL = [
    ("How do I reset my password?", "Steps to recover access to an account", 0.5516),
    ("How do I reset my password?", "The capital of France is Paris.", 0.0243),
    ("A cat sat on the mat.", "A kitten rested on the rug.", 0.6193),
    ("The train leaves at nine.", "Departure of the train is at 9 o'clock.", 0.7909),
    ("def add(a, b): return a + b", "a function that sums two numbers", 0.4596),
    ("Glaciers shrink as the climate warms.", "Interest rates were raised by the bank.", 0.0248),
]
"""Computed with the original weights in 32-bit floats. The tolerance covers the int8 error, at most .025 here."""

TEXTS = ["Short.", "A cat sat on the mat. " * 12, "", "zażółć gęślą jaźń 東京 🚂", "How do I reset my password? " * 30]


@pytest.fixture(scope="module")
def embedder() -> BuiltinEmbedder:
    return BuiltinEmbedder()


@pytest.mark.parametrize(("one", "other", "cosine"), COSINES_OF_THE_ORIGINAL)
def test_cosines_match_the_original_model(embedder: BuiltinEmbedder, one: str, other: str, cosine: float) -> None:
    assert float(embedder.embed_query(one) @ embedder.embed_query(other)) == pytest.approx(cosine, abs=0.04)


def test_every_vector_has_unit_length(embedder: BuiltinEmbedder) -> None:
    vectors = embedder.embed_documents(TEXTS)

    assert vectors.shape == (len(TEXTS), DIMENSION)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_embedding_an_empty_list_returns_no_vectors(embedder: BuiltinEmbedder) -> None:
    assert embedder.embed_documents([]).shape == (0, DIMENSION)


def test_a_vector_does_not_depend_on_batch_or_order(embedder: BuiltinEmbedder) -> None:
    one_by_one = np.stack([embedder.embed_query(text) for text in TEXTS])

    np.testing.assert_array_equal(embedder.embed_documents(TEXTS), one_by_one)
    np.testing.assert_array_equal(embedder.embed_documents(TEXTS[::-1]), one_by_one[::-1])
    np.testing.assert_array_equal(BuiltinEmbedder(threads=1).embed_documents(TEXTS), one_by_one)


def test_threads_that_share_a_fresh_embedder_get_the_same_vectors(embedder: BuiltinEmbedder) -> None:
    fresh = BuiltinEmbedder()
    vectors: list[bytes] = []
    threads = [threading.Thread(target=lambda: vectors.append(fresh.embed_query("one").tobytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert vectors == [embedder.embed_query("one").tobytes()] * 4


def test_only_the_first_256_tokens_of_a_text_are_embedded(embedder: BuiltinEmbedder) -> None:
    filler = "word " * 300

    np.testing.assert_array_equal(embedder.embed_query(filler), embedder.embed_query(filler + "and something else"))
    assert not np.array_equal(embedder.embed_query("word " * 250), embedder.embed_query("word " * 250 + "but"))


def test_a_text_of_five_million_characters_is_embedded(embedder: BuiltinEmbedder) -> None:
    assert embedder.embed_query("five million " * 400_000).shape == (DIMENSION,)


def test_a_lone_surrogate_counts_as_a_question_mark(embedder: BuiltinEmbedder) -> None:
    np.testing.assert_array_equal(embedder.embed_query("why \udcff"), embedder.embed_query("why ?"))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_damaged_model_file_is_reported_as_damaged(tmp_path: Path, name: str, damage: str) -> None:
    directory = tmp_path / "model"
    shutil.copytree(MODEL_DIRECTORY, directory)
    file = directory / name
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        BuiltinEmbedder(directory).embed_query("anything")

    assert (caught.value.message, caught.value.code, caught.value.hint) == (
        "the built-in embedding model is missing or damaged",
        "embedding_damaged",
        "reinstall it: pip install --force-reinstall streamrag",
    )


def test_embedding_in_a_new_process_prints_nothing() -> None:
    program = "from streamrag_cli.retrieval.builtin_embedding import *; BuiltinEmbedder().embed_documents(['a', 'b'])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["builtin", "builtin:all-MiniLM-L6-v2"])
def test_the_short_and_the_full_name_select_the_built_in_embedder(name: str) -> None:
    embedder = make_embedder(name, base_url=None, api_key=None, timeout_s=1.0)

    assert (type(embedder), embedder.name, embedder.dimension) == (BuiltinEmbedder, "builtin:all-MiniLM-L6-v2", 384)


def test_choosing_an_embedder_loads_no_heavy_libraries() -> None:
    program = (
        "import sys; from streamrag_cli.retrieval.embeddings import make_embedder; first = set(sys.modules);"
        "make_embedder('builtin', base_url=None, api_key=None, timeout_s=1.0);"
        "make_embedder('openai:m', base_url=None, api_key=None, timeout_s=1.0);"
        "print('numpy' in first, sorted({'onnxruntime', 'tokenizers', 'openai', 'langchain_openai'} & {*sys.modules}))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert finished.stdout == "False []\n"


@pytest.mark.parametrize("name", ["", "openai:", "openai: ", "builtin:other", "bad\x1b[31m"])
def test_an_unknown_embedder_name_is_refused_and_the_hint_lists_the_accepted_forms(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_embedder(name, base_url=None, api_key=None, timeout_s=1.0)

    assert caught.value.code == "unknown_embedding"
    assert "\x1b" not in caught.value.message
    assert caught.value.hint == (
        "use builtin, multilingual or openai:MODEL, for example:"
        " export STREAMRAG_EMBEDDING=openai:text-embedding-3-small"
    )


def test_the_error_for_an_unknown_embedder_names_the_command_that_rebuilds_the_collection(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        embedder_for(Settings(store=tmp_path), made_with="builtin:of-a-later-version")

    assert (caught.value.code, caught.value.exit_code) == ("store_format", 5)
    assert caught.value.hint.endswith("streamrag ingest --rebuild --embedding builtin")
