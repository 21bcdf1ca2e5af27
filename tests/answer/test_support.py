"""Citations whose passage does not support their sentence are marked, and no others."""

import time

import pytest

from benchmarks.written_answers import WRITTEN
from streamrag_cli.answer.support import unsupported
from streamrag_cli.model import Source

FERRY = (
    "The ferry Aurora was built in Gdynia in 1998 by Hanna Lind. It carries 1,200 passengers and 85 cars, and"
    " crosses the"
    " sound in 2.5 hours. A ticket costs 40 euros; children pay half. Captain Osei says that she is “the"
    " quietest ship”."
)
MILL = "The mill at Orsa grinds rye and barley. It was restored in 2011 with money from the parish."


def source(n: int, text: str, *, title: str = "") -> Source:
    return Source(
        n=n,
        source="harbour-guide.md",
        page=None,
        line_start=1,
        line_end=2,
        title=title,
        content="",
        score=0.9,
        chunk_id=f"c{n}",
        text=text,
    )


def marked(answer: str, *, known: tuple[str, ...] = ()) -> tuple[int, ...]:
    return unsupported(answer, [source(1, FERRY), source(2, MILL)], known)


@pytest.mark.parametrize("answer", [text for each in WRITTEN for text in each.right])
def test_no_correct_answer_is_marked_as_unsupported(answer: str) -> None:
    (written,) = [each for each in WRITTEN if answer in each.right]

    assert unsupported(answer, [source(1, written.passage)], [written.question]) == ()


def test_nearly_all_wrong_answers_are_marked_as_unsupported() -> None:
    cases = [(each, text) for each in WRITTEN for text in each.wrong]
    results = [unsupported(text, [source(1, each.passage)], [each.question]) for each, text in cases]

    assert len(cases) >= 30
    assert results.count((1,)) >= 0.95 * len(cases)


@pytest.mark.parametrize(
    "answer",
    [
        "The ferry carries 1,400 passengers [1].",
        "It was built in 1989 [1].",
        "It takes 12 hours [1].",
        "The ship was built in Rostock [1].",
        "It was built by Hanna Berg [1].",
        "The captain calls it “a floating palace of steel” [1].",
        "The ferry crosses the sound in 2.5 hours [2].",
        "It was built in March 1998 [1].",
        "Set `QUIET_ENGINES` to make her quieter [1].",
    ],
)
@pytest.mark.fault("wrong-citation")
def test_details_that_the_passage_lacks_are_marked_as_unsupported(answer: str) -> None:
    assert marked(answer) in {(1,), (2,)}


@pytest.mark.parametrize(
    "answer",
    [
        "She takes twelve hundred passengers [1].",
        "The crossing lasts 150 minutes [1].",
        "The crossing takes two and a half hours [1].",
        "A child's ticket is 20 euros, 50% of the regular 40 euros [1].",
        "She is more than 25 years old [2][1], restored in 2011 [2].",
        "It was built in the 1990s by Lind [1].",
        "The documents do not mention a ship that Rostock built in 1950 [1].",
        "```\ntimeout = 99\n```\nThe ferry is quiet [1].",
    ],
)
def test_conversions_rephrasings_and_statements_of_absence_are_supported(answer: str) -> None:
    assert marked(answer) == ()


def test_several_citations_can_support_a_sentence_together() -> None:
    answer = "The ferry is from 1998, and the mill was restored in 2011 [1][2]."

    assert marked(answer) == ()
    assert marked(answer.replace("[1][2]", "[1]")) == (1,)


def test_only_the_citation_of_the_wrong_part_is_marked_as_unsupported() -> None:
    assert marked("The ferry dates from 1998 [1], and the mill was restored in 2017 [2].") == (2,)


def test_headings_the_document_name_and_the_question_support_an_answer() -> None:
    answer = "In the Harbour Guide for Visby, Polaris runs the ferry [1]."
    passage = source(1, "The line runs the ferry.", title="Visby > Timetable")

    assert unsupported(answer, [passage], ["Which ferries does Polaris have?"]) == ()
    assert unsupported(answer, [passage], ["Who runs it?"]) == (1,)


def test_in_other_languages_only_numbers_are_judged() -> None:
    assert marked("Das Schiff wurde 1998 in der Werft von Herrn Schulze gebaut [1].") == ()
    assert marked("Das Schiff wurde 1989 in der Werft gebaut [1].") == (1,)


def test_a_citation_after_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    assert marked("It carries 1,300 passengers. [1] The mill grinds rye. [2]") == (1,)


def test_markers_without_a_source_are_not_judged() -> None:
    assert marked("It carries 9,999 passengers [7].") == ()


@pytest.mark.parametrize(
    ("answer", "passage"),
    [
        (" ".join(f"Number {n} of {n + 3} [1]." for n in range(3000)), " ".join(str(7 * n) for n in range(5000))),
        ("a" * 60_000 + " [1].", "x"),
        ("A " * 30_000 + "[1].", "A " * 30_000),
        ("The " + "Aaa Bbb of " * 6000 + "[1].", "Abb Bcc of " * 5000),
        ('"' * 40_000 + " [1].", "x"),
        ("[" * 40_000 + "1]", "x"),
        ("[a](" * 10_000 + " [1]", "x"),
        ("two " * 10_000 + "[1].", "two hundred " * 2000),
        ("A." * 20_000 + " [1].", "A." * 10_000),
        ("[1]" * 13_000, "x"),
    ],
    ids=["numbers", "word", "capitals", "names", "quotes", "brackets", "links", "number words", "points", "markers"],
)
def test_hostile_text_is_judged_in_bounded_time(answer: str, passage: str) -> None:
    started_s = time.thread_time()
    unsupported(answer, [source(1, passage)], ["q"])

    assert time.thread_time() - started_s < 1
