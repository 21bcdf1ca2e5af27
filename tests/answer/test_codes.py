"""Dates, article numbers and versions in a question must match exactly, because one different digit means another
item.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from streamrag_cli.answer.excerpts import as_sources
from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.retrieval.lexical import references, short_codes
from streamrag_cli.retrieval.retriever import Retriever
from tests.support.collection import DOCUMENTS, make_collection

FIRST_DAY = date(2026, 1, 1)


def row(number: int) -> tuple[str, str]:
    """The article number and the date of a table row. They differ from those of other rows in only a few digits."""
    return f"KT-{3000 + number}", str(FIRST_DAY + timedelta(days=number))


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    lines = ["article,supplier,price_eur,ends"]
    for number in range(400):
        article, day = row(number)
        lines.append(f"{article},{('Nordlicht', 'Suedwind', 'Ostmeer')[number % 3]},{number * 7 % 90}.50,{day}")
    folder: Path = tmp_path_factory.mktemp("codes")
    it = Retriever.open(make_collection(folder, {**DOCUMENTS, "contracts.csv": "\n".join(lines) + "\n"}))
    yield it
    it.close()


@pytest.mark.parametrize("number", [0, 47, 99, 180, 331, 399])
@pytest.mark.parametrize("template", ["How much does article {0} cost?", "Which contract ends on {1}?"])
def test_the_row_with_the_requested_code_is_quoted_first(template: str, number: int, retriever: Retriever) -> None:
    article, day = row(number)
    question = template.format(article, day)
    default_min_score = 0.3

    retrieved = retriever.retrieve(question, limit=5, min_score=default_min_score)
    source = as_sources(retrieved.hits, retrieved.term_weights, retrieved.codes, question=question)[0]
    quotes = pick_quotes(question, retrieved, max_hits=5, embedder=retriever.embedder)

    assert source.content.startswith(f"article: {article};")
    assert source.line_start == number + 2
    assert quotes[0].text.startswith(f"article: {article};")
    assert quotes[0].text.endswith(f"ends: {day}")


def test_the_best_score_is_low_if_no_document_contains_the_code(retriever: Retriever) -> None:
    retrieved = retriever.retrieve("KT-9999", limit=5, min_score=0.0)

    assert retrieved.best_score < 0.75


MACHINE = {
    "dryer.txt": (
        "TUMBLE DRYER\n============\n\nFAULTS\n\nF07   The sieve is full of fluff\nF12   The tank of water is full\n"
        "F31   The drum is stuck\n\nCarry the dryer only upright, and with two people. It has been on the shelf of"
        " the cellar since spring.\n"
    ),
    "statutes.md": (
        "# Statutes of the rowing club\n\n## § 5 Fees\n\nMembers pay 80 euros.\n\n## § 15 Boats\n\nBoats are locked."
        "\n\n## Guests\n\n7.2 Guests row only with a coach.\n\n17.2 kg is the weight of an oar box.\n"
    ),
    "weather.md": "# Weather\n\nIt rained for 5 days in May. The mean temperature was 7.2 degrees.\n",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("machine"), MACHINE))) as opened:
        yield opened


def first_source_and_quote(retriever: Retriever, question: str) -> tuple[str, str]:
    default_min_score = 0.3
    retrieved = retriever.retrieve(question, limit=5, min_score=default_min_score)
    quotes = pick_quotes(question, retrieved, max_hits=5, embedder=retriever.embedder)
    return Path(retrieved.hits[0].source).name, quotes[0].text


@pytest.mark.parametrize(
    ("question", "source", "quote"),
    [
        ("What does F12 mean?", "dryer.txt", "F12 The tank of water is full"),
        ("And what would f31 be, please?", "dryer.txt", "F31 The drum is stuck"),
        ("What does § 5 say?", "statutes.md", "Members pay 80 euros."),
        ("What does §15 say?", "statutes.md", "Boats are locked."),
        ("What is in clause 7.2?", "statutes.md", "7.2 Guests row only with a coach."),
    ],
)
def test_a_short_question_with_a_code_is_answered_from_the_matching_text(
    question: str, source: str, quote: str, machine: Retriever
) -> None:
    assert first_source_and_quote(machine, question) == (source, quote)


@pytest.mark.parametrize(
    "question", ["What does F99 mean?", "What does § 6 say?", "What is in clause 2.7?", "What does error 404 mean?"]
)
def test_nothing_is_relevant_if_no_document_contains_the_code(question: str, machine: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        machine.retrieve(question, limit=5, min_score=0.3)


def test_a_code_in_many_chunks_does_not_make_them_relevant(tmp_path: Path) -> None:
    pages = {f"{number}.md": f"# Song {number}\n\nSong {number} is sold as an MP3.\n" for number in range(40)}
    with closing(Retriever.open(make_collection(tmp_path, pages))) as retriever:
        retrieved = retriever.retrieve("Who invented the MP3 codec at which institute?", limit=5, min_score=0.0)

    assert (retrieved.codes, retrieved.best_score < 0.5) == ((), True)


@pytest.mark.parametrize(
    "question",
    ["Who opened the 20th fair in the 1990s?", "Is 5kg or 30min too much?", "Do 3 parts fill 12 pages?"],
)
def test_an_ordinal_decade_or_quantity_is_not_a_code(question: str) -> None:
    assert (short_codes(question), references(question)) == ((), ())
