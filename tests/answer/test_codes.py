"""Dates, article numbers and versions in a question must match exactly, because one different digit means another
item.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from streamrag_cli.answer.excerpts import as_sources
from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.retrieval.retriever import Retriever
from tests.support.collection import DOCUMENTS, make_collection

FIRST_DAY = date(2026, 1, 1)


def row(number: int) -> tuple[str, str]:
    """The article and the date of a row. Dates and numbers share most of their digits."""
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
def test_the_row_with_the_code_is_found_and_quoted_first(template: str, number: int, retriever: Retriever) -> None:
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
