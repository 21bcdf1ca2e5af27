"""Answers with quotes, without a model."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.answer.quoting import MAX_EMBEDDED, Quote, lexical_scores, pick_quotes, pieces
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.load import load
from streamrag_cli.documents.read import read_file
from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.fake_embedder import FakeEmbedder


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
def test_the_answering_sentence_is_among_the_quotes(question: str, answer: str, retriever: Retriever) -> None:
    retrieved = retriever.retrieve(question, limit=5, min_score=0.0)

    quotes = pick_quotes(question, retrieved, max_hits=5, embedder=retriever.embedder)

    assert answer in [quote.text for quote in quotes]
    assert len(quotes) <= 3


def test_each_quote_has_the_number_of_its_source(retriever: Retriever) -> None:
    retrieved = retriever.retrieve("Who built the lighthouse?", limit=5, min_score=0.0)
    by_rank = {hit.rank: hit for hit in retrieved.hits}

    quotes = pick_quotes("Who built it?", retrieved, max_hits=5, embedder=retriever.embedder)

    assert all(quote.text.split(".")[0] in by_rank[quote.n].chunk.text for quote in quotes)


def test_each_quote_in_the_answer_is_followed_by_its_marker() -> None:
    quotes = [Quote(n=2, text="One two."), Quote(n=1, text="Three.")]

    assert "".join(pieces(quotes)) == "“One two.” [2]\n\n“Three.” [1]"
    assert len(list(pieces(quotes))) > 3


def test_the_matching_row_of_a_long_table_is_quoted(tmp_path: Path) -> None:
    rows = "".join(
        f"F-{number:05},{'anvil tongs bellows'.split()[number % 3]},{number % 7}\n" for number in range(12_000)
    )
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "forge.csv").write_text("item,tool,weight\n" + rows, encoding="utf-8")
    document = load(docs / "forge.csv", read_file(docs / "forge.csv", limit_bytes=10_000_000))
    passage = next(each for each in chunk(document) if "F-07123" in each.text)
    embedder = FakeEmbedder()
    hits = [Hit(chunk=passage, source="forge.csv", path=str(docs / "forge.csv"), score=0.9, rank=1)] * 5
    retrieved = Retrieved(
        hits=tuple(hits), question_vector=embedder.embed_query("F-07123"), term_weights={"": {"07123": 6.0, "f": 0.1}},
        best_score=0.9, spent_ms={},
    )  # fmt: skip

    quotes = pick_quotes("Which tool is F-07123?", retrieved, max_hits=5, embedder=embedder)

    assert quotes[0] == Quote(n=1, text="item: F-07123; tool: tongs; weight: 4")
    assert max(map(len, embedder.batches)) <= MAX_EMBEDDED


def quoted(tmp_path: Path, name: str, text: str, question: str) -> str:
    """The quoted answer from one document."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / name).write_text(text, encoding="utf-8")
    settings = Settings(store=tmp_path / "store")
    list(ingest_or_raise(IngestRequest(paths=(docs,), working_directory=docs), settings))
    with closing(Retriever.open(settings)) as retriever:
        retrieved = retriever.retrieve(question, limit=5, min_score=0.0)
        quotes = pick_quotes(
            question, retrieved, max_hits=5, embedder=retriever.embedder, chunk_after=retriever.chunk_after
        )
    return "".join(pieces(quotes))


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("Who owns BUOY-7?", "; ...; owner: Zelda” [1]"),
        ("What is the warranty of BUOY-7 in months?", "; ...; warranty_months: 37; "),
    ],
)
def test_the_matching_columns_of_a_long_row_are_quoted(tmp_path: Path, question: str, field: str) -> None:
    names = ["id", *(f"reading_{number}" for number in range(45)), "warranty_months", "colour", "owner"]
    rows = [f"BUOY-{number}{',12.5' * 45},{30 + number},red,Zelda" for number in range(9)]

    first = quoted(tmp_path, "buoys.csv", "\n".join([",".join(names), *rows]), question).split("\n")[0]

    assert first.startswith("“id: BUOY-7; reading_0: 12.5; ")
    assert field in first


def test_a_quoted_sentence_is_followed_by_the_command_it_introduces(tmp_path: Path) -> None:
    page = "# Pumps\n\nPumps are oiled in May. To drain the pump, run this:\n\n"
    page += "```sh\npumpctl drain <name> \\\n  --all\n```\n"

    answer = quoted(tmp_path, "pumps.md", page, "How do I drain the pump?")

    assert answer.startswith("“To drain the pump, run this:” [1]\n\n```sh\npumpctl drain <name> \\\n  --all\n```\n\n“")


@pytest.mark.fault("quote-colon")
def test_a_command_in_the_next_chunk_is_quoted_as_well(tmp_path: Path) -> None:
    filling = " ".join(f"Valve {number} is painted green and checked by hand." for number in range(18))
    code = "\n".join(f"pumpctl drain --valve {number} --until-empty" for number in range(9))
    page = f"# Pumps\n\n{filling}\n\nTo drain the pump, run the following commands:\n\n```\n{code}\n```\n"

    answer = quoted(tmp_path, "pumps.md", page, "How do I drain the pump?")

    assert re.search(rf"“To drain the pump, run the following commands:” \[\d\]\n\n```\n{re.escape(code)}\n```", answer)


@pytest.mark.fault("quote-colon")
def test_a_list_split_between_chunks_is_quoted_completely(tmp_path: Path) -> None:
    filling = " ".join(f"Valve {number} is painted green and checked by hand." for number in range(18))
    items = [
        f"- `--mode{number}`: {'slow fast cold warm wet dry high low safe'.split()[number]}" for number in range(9)
    ]
    page = f"{filling}\n\nTo drain the pump there are these modes:\n\n" + "\n".join(items) + "\n"

    answer = quoted(tmp_path, "pumps.md", page, "Which modes are there to drain the pump?")

    assert re.search(
        r"“To drain the pump there are these modes:” \[\d\]\n\n" + re.escape("\n".join(items)) + r"(?:\n\n“|$)", answer
    )


def test_matching_rows_of_a_long_table_are_quoted_after_its_introduction(tmp_path: Path) -> None:
    rows = [f"| `F-{number:03}` | {'brass iron zinc'.split()[number % 3]} melts at {number} |" for number in range(90)]
    rows[70] = "| `F-070` | unobtainium never melts |"
    page = "# Metals\n\nThe following table lists when the unobtainium metals melt:\n\n**Melting**\n\n"
    page += "| Code | Heat |\n|---|---|\n" + "\n".join(rows) + "\n"

    answer = quoted(tmp_path, "metals.md", page, "When does unobtainium melt, says the table?")

    assert (
        "“The following table lists when the unobtainium metals melt:” [1]\n\n"
        "- ...\n- Code: `F-070`; Heat: unobtainium never melts\n- ..."
    ) in answer


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "How many workers does the forge use for hammering?",
            "workers: The workers that the forge uses for hammering. They are paid. Default is `10`.",
        ),
        (
            "By default, how many bellows blow at the anvil?",
            "bellows: How many bellows blow at the anvil. At most 9. The default is two.",
        ),
        ("Which version is needed for quenching in oil?", "Quenching in oil is quick. It came with Forge 4.2."),
        (
            "What is the default colour of a white-hot blade?",
            "Default is blue. A blade that is white-hot has no colour.",
        ),
        ("Who sharpens the chisels?", "Chisels are sharpened by the smith."),
    ],
)
def test_a_quote_extends_to_the_requested_value(tmp_path: Path, question: str, expected: str) -> None:
    page = (
        "# Forge\n\n- workers: The workers that the forge uses for hammering. They are paid. Default is `10`. "
        "More cost.\n"
        "- bellows: How many bellows blow at the anvil. At most 9. The default is two. None are new.\n\n"
        "Quenching in oil is quick. It came with Forge 4.2. Oil smells.\n\nChisels are sharpened by the smith. "
        "There are 12 of them by default.\n\nDefault is blue. A blade that is white-hot has no colour.\n"
    )

    answer = quoted(tmp_path, "forge.md", page, question)

    assert answer.startswith(f"“{expected}” [1]")


def test_a_distant_value_does_not_extend_a_quote(tmp_path: Path) -> None:
    page = (
        "# Forge\n\n- workers: The workers that the forge uses for hammering. They sing. They sleep. They eat. "
        "There are 5.\n"
        "- shifts: There are 10 of these.\n"
    )

    answer = quoted(tmp_path, "forge.md", page, "How many workers does the forge use for hammering?")

    assert "“workers: The workers that the forge uses for hammering.” [1]" in answer


def test_equal_sentences_with_different_commands_are_both_quoted() -> None:
    quotes = [
        Quote(n=1, text="Run this:", block="```\na --first\n```"),
        Quote(n=2, text="Run this:", block="```\nb --second\n```"),
    ]

    assert "".join(pieces(quotes)) == (
        "“Run this:” [1]\n\n```\na --first\n```\n\n“Run this:” [2]\n\n```\nb --second\n```"
    )


REPEATABLE = "Entry to the indoor climbing hall, with shoes and a rope for the whole day, costs {} euros for adults"


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        (REPEATABLE.format(12), REPEATABLE.format(14), 2),
        (REPEATABLE.format("twelve"), REPEATABLE.format("eleven"), 2),
        (f"{REPEATABLE.format(12)} from Graz", f"{REPEATABLE.format(12)} from Linz", 2),
        (f"On 3 days it is 9 euros: {REPEATABLE.format(5)}", f"On 9 days it is 3 euros: {REPEATABLE.format(5)}", 2),
        (REPEATABLE.format(12), f"{REPEATABLE.format(12)}, too", 1),
    ],
)
def test_sentences_that_differ_in_a_number_or_name_are_not_repeats(
    first: str, second: str, count: int, tmp_path: Path
) -> None:
    quotes = quotes_of(f"# Hall\n\n{first}.\n\n{second}.\n", "What does entry to the climbing hall cost?", tmp_path)

    assert len(quotes) == count


@pytest.mark.fault("heading-as-quote")
@pytest.mark.parametrize("name", ["a.md", "a.html"])
def test_a_heading_is_quoted_only_if_there_is_nothing_else(name: str, tmp_path: Path) -> None:
    heading = "Fees of the berths in winter"
    texts = [f"# {heading}\n\n", "# Winter\n\nA berth is 9 euros.\n"]
    pages = [f"<h1>{heading}</h1>", "<h1>Winter</h1><p>A berth is 9 euros.</p>"]
    hits = []
    for rank, text in enumerate(pages if name.endswith("html") else texts, 1):
        path = tmp_path / str(rank) / name
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        (passage,) = chunk(load(path, read_file(path, limit_bytes=1000)))
        hits.append(Hit(chunk=passage, source=name, path=str(path), score=1.0, rank=rank))

    def quoted(*quoted_hits: Hit) -> list[str]:
        question = "What are the fees of berths in winter?"
        embedder = FakeEmbedder()
        vector = embedder.embed_query(question)
        retrieved = Retrieved(
            hits=quoted_hits, best_score=1.0, term_weights={"": {}}, question_vector=vector, spent_ms={}
        )
        return [quote.text for quote in pick_quotes(question, retrieved, max_hits=2, embedder=embedder)]

    assert (quoted(*hits), quoted(hits[0])) == (["A berth is 9 euros."], [heading])


def quotes_of(text: str, question: str, tmp_path: Path, name: str = "a.md") -> list[str]:
    with closing(Retriever.open(make_collection(tmp_path, {name: text}))) as opened:
        retrieved = opened.retrieve(question, limit=3, min_score=0.0)
        return [quote.text for quote in pick_quotes(question, retrieved, max_hits=3, embedder=opened.embedder)]


def test_a_question_in_a_document_is_not_quoted_as_the_answer(tmp_path: Path) -> None:
    chat = (
        "[03/12/2031, 18:04:11] Ida: how often is the code of the gate changed?\n"
        "[03/12/2031, 18:05:02] Ivo: the code of the gate is changed on the first Monday of each month\n"
    )

    first, *_ = quotes_of(chat, "How often is the code of the gate changed?", tmp_path, "chat.txt")

    assert first == chat.splitlines()[1]


def test_the_description_of_an_option_is_quoted_first(tmp_path: Path) -> None:
    text = (
        "# pump\n\n- -q, --quiet: No line is printed for a tank.\n- --quiet-start: The pump starts slowly.\n\n"
        "If pump -q is used, the pump still prints errors. With pump -q nothing asks.\n"
    )

    assert quotes_of(text, "What does pump -q do?", tmp_path)[0] == "-q, --quiet: No line is printed for a tank."


def test_a_sentence_that_continues_the_matching_one_is_quoted(tmp_path: Path) -> None:
    page = (
        "# Chronicle of the mill\n\nThe miller lost the water wheel in the spring flood. A turbine from Graz took its"
        " place in 1964.\n\nEvery spring, schools visit the bakery. The road to the bakery was paved after the war."
        " Bread from the bakery is sold in the valley.\n\nIn spring the meadows are mown late. The spring market is"
        " held on the green. Water is fetched from the well.\n"
    )

    answer = quoted(tmp_path, "mill.md", page, "What did the miller do after losing the water wheel in spring?")

    assert "“A turbine from Graz took its place in 1964.” [1]" in answer


def test_words_of_the_previous_sentence_count_for_coverage_but_not_for_bm25() -> None:
    weights = {"": {"mill": 3.0, "flood": 1.0}}
    texts = ["It reopened in May.", "The mill closed.", "Nothing else."]

    scores = lexical_scores(texts, ["", "", ""], weights, contexts=["The mill closed.", "After the flood.", ""])

    assert scores == [(0.75, 0.0), (1.0, 1.0), (0.0, 0.0)]
