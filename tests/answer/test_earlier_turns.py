"""Selecting the earlier turns to send to the model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.answer.citations import without_markers
from streamrag_cli.answer.earlier_turns import EarlierTurns, earlier_turns
from streamrag_cli.model import Turn

LIMIT = 6000
TEXTS = st.integers(0, 5000).map("x".__mul__)
TURNS = st.lists(st.builds(Turn, question=TEXTS, answer=TEXTS), max_size=60)


def turn(number: int, length: int = 500) -> Turn:
    return Turn(question=f"Question {number}?", answer=f"Answer {number}. ".ljust(length, "."))


def length(turns: tuple[Turn, ...]) -> int:
    return sum(len(each.question) + len(each.answer) for each in turns)


def test_a_short_conversation_is_sent_in_full() -> None:
    history = [turn(number) for number in range(10)]

    assert earlier_turns(history, chars=LIMIT) == EarlierTurns(turns=tuple(history))


def test_the_newest_turns_of_a_long_conversation_are_sent() -> None:
    history = [turn(number) for number in range(200)]

    sent = earlier_turns(history, chars=LIMIT)

    assert sent.turns == tuple(history[sent.left_out :])
    assert (sent.shortened, LIMIT // 2 < length(sent.turns) <= LIMIT) == (0, True)


def test_most_prompts_of_a_growing_conversation_begin_like_the_previous_one() -> None:
    history = [turn(number) for number in range(200)]

    starts = [earlier_turns(history[:count], chars=LIMIT).left_out for count in range(1, 201)]

    assert starts == sorted(starts)
    assert len(set(starts)) <= 200 / 3


@given(TURNS, st.integers(0, 8000))
def test_earlier_turns_include_the_newest_and_never_exceed_the_limit(history: list[Turn], chars: int) -> None:
    sent = earlier_turns(history, chars=chars)
    texts = [each for each in history if each.question or each.answer]

    assert length(sent.turns) <= chars
    assert bool(sent.turns) == bool(texts and chars)
    if sent.turns:
        assert sent.left_out + len(sent.turns) == len(texts)


def test_one_huge_answer_is_shortened_to_its_beginning_and_end() -> None:
    huge = Turn(question="All of it?", answer=f"First. {'word ' * 50_000}Last.")

    sent = earlier_turns([turn(1), huge, turn(2)], chars=LIMIT)
    (_, shortened, _) = sent.turns

    assert (sent.left_out, sent.shortened) == (0, 1)
    assert shortened.question == "All of it?"
    assert len(shortened.answer) == LIMIT // 2
    assert (shortened.answer[:6], shortened.answer.count("…"), shortened.answer[-5:]) == ("First.", 1, "Last.")


def test_a_huge_question_is_shortened() -> None:
    sent = earlier_turns([Turn(question="why " * 5000, answer="Because.")], chars=LIMIT)

    assert (len(sent.turns[0].question), sent.turns[0].answer, sent.shortened) == (LIMIT // 6, "Because.", 1)


def test_a_limit_of_zero_sends_no_earlier_turns() -> None:
    assert earlier_turns([turn(1)], chars=0) == EarlierTurns()


def test_citations_are_removed_from_earlier_answers_but_not_from_questions() -> None:
    history = [Turn(question="What does [2] say?", answer="Seven [1], or eight [2][3].")]

    assert earlier_turns(history, chars=LIMIT).turns == (
        Turn(question="What does [2] say?", answer="Seven, or eight."),
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Ada built it [1].", "Ada built it."),
        ("Ada[1] and Bo [2, 3] and Cy [4; 5].", "Ada and Bo and Cy."),
        ("[1] Ada built it.", "Ada built it."),
        ("- [2] Ada\n- Bo [1–3]", "- Ada\n- Bo"),
        ("Seen [^1] or 【4†source】 or [Source 2].", "Seen or or."),
        ("Keep `a[1]` and\n```\nb[2] = [3]\n```\nbut not [4].", "Keep `a[1]` and\n```\nb[2] = [3]\n```\nbut not."),
        ("Keep [1](https://example.org), \\[2] and [note].", "Keep [1](https://example.org), \\[2] and [note]."),
        ("In [2024] it rained.", "In [2024] it rained."),
    ],
)
def test_citations_are_removed_from_prose_only(answer: str, expected: str) -> None:
    assert without_markers(answer) == expected
