"""Answers without a model."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.answer.quoting import EMBEDDED, Quote, pick_quotes, pieces
from streamrag_cli.answer.sentences import MAX_CHARS, sentences
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.load import load
from streamrag_cli.documents.read import read_file
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from tests.fake_embedder import FakeEmbedder
from tests.library import make_collection


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    return Retriever.open(make_collection(tmp_path_factory.mktemp("quoting")))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the lighthouse built?", "The lighthouse was built in 1874 by Ada Brandt."),
        ("How high is the lighthouse above the sea?", "It stands 41 metres above the sea."),
        ("What does a berth cost?", "The fee is 18 euros a night, electricity included."),
    ],
)
def test_the_sentence_that_answers_is_among_the_quotes(question: str, answer: str, retriever: Retriever) -> None:
    found = retriever.retrieve(question, top_k=5, min_score=0.0)

    quotes = pick_quotes(question, found, top_k=5, embedder=retriever.embedder)

    assert answer in [quote.text for quote in quotes]
    assert len(quotes) <= 3


def test_a_quote_names_the_source_it_is_from(retriever: Retriever) -> None:
    found = retriever.retrieve("Who built the lighthouse?", top_k=5, min_score=0.0)
    by_rank = {hit.rank: hit for hit in found.hits}

    quotes = pick_quotes("Who built it?", found, top_k=5, embedder=retriever.embedder)

    assert all(quote.text.split(".")[0] in by_rank[quote.n].chunk.text for quote in quotes)


def test_pieces_make_the_answer_with_a_marker_behind_each_quote() -> None:
    quotes = [Quote(n=2, text="One two."), Quote(n=1, text="Three.")]

    assert "".join(pieces(quotes)) == "“One two.” [2]\n\n“Three.” [1]"
    assert len(list(pieces(quotes))) > 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# Heading\n\nOne sentence. Another one, e.g. this. A third!",
            ["One sentence.", "Another one, e.g. this.", "A third!"],
        ),
        ("Title of a section\n==================\n\nThe text of it.", ["The text of it."]),
        ("- first item here\n- second item here", ["first item here", "second item here"]),
        ("See [the guide](http://x/y) for **bold** `code\\_name`.", ["See the guide for bold code_name."]),
        ('Size is 5\\.1 GB<a name="x"></a> at most.', ["Size is 5.1 GB at most."]),
        ("| Limit | Value |\n|---|---|\n| Rows per page | 500 |", ["Limit | Value", "Rows per page | 500"]),
        (
            "=====  =====\nwhat   then\n=====  =====\nan end      it connects again\na 204       it stops\n",
            ["what | then", "an end | it connects again", "a 204 | it stops"],
        ),
        ("```\nonly code here\n```", ["```", "only code here", "```"][1:2]),
        ("Prose first.\n```\nx = 1\n```", ["Prose first."]),
        ("Wrapped over\ntwo lines.", ["Wrapped over two lines."]),
        ("Dr. Smith and J. Doe wrote it.", ["Dr. Smith and J. Doe wrote it."]),
    ],
)
def test_sentences_read_without_markup(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(text)] == expected


@given(st.text(max_size=3000))
def test_every_sentence_is_one_line_of_bounded_length(text: str) -> None:
    found = [sentence.text for sentence in sentences(text)]

    assert all("\n" not in each and 0 < len(each) <= MAX_CHARS + 4 for each in found)


def test_a_record_is_one_sentence_with_the_names_of_its_values() -> None:
    rows = "- id: 7; note: Late. Call back\n- id: 8; note: Paid"
    nested = "/v1/forges:\n  get:\n    summary: List. All of them\n"
    nested += "    parameters:\n    - name: limit\n      most: 15\n\nb: 1"

    assert [each.text for each in sentences(rows, "records")] == ["id: 7; note: Late. Call back", "id: 8; note: Paid"]
    assert [each.text for each in sentences(nested, "records")] == [
        "/v1/forges: get: summary: List. All of them; parameters: name: limit; most: 15",
        "b: 1",
    ]


def test_the_row_that_was_asked_for_is_quoted_from_a_table_of_many_rows(tmp_path: Path) -> None:
    rows = "".join(
        f"F-{number:05},{'anvil tongs bellows'.split()[number % 3]},{number % 7}\n" for number in range(12_000)
    )
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "forge.csv").write_text("item,tool,weight\n" + rows, encoding="utf-8")
    document = load(docs / "forge.csv", read_file(docs / "forge.csv", limit_bytes=10_000_000))
    found = next(each for each in chunk(document) if "F-07123" in each.text)
    embedder = FakeEmbedder()
    hits = [Hit(chunk=found, source="forge.csv", path=str(docs / "forge.csv"), score=0.9, rank=1)] * 5
    retrieved = Retrieved(
        hits=tuple(hits), question_vector=embedder.embed_query("F-07123"), term_weights={"07123": 6.0, "f": 0.1},
        best_score=0.9, spent_ms={},
    )  # fmt: skip

    quotes = pick_quotes("Which tool is F-07123?", retrieved, top_k=5, embedder=embedder)

    assert quotes[0] == Quote(n=1, text="item: F-07123; tool: tongs; weight: 4")
    assert max(map(len, embedder.batches)) <= EMBEDDED
