"""Thinking inside the content is separated from the answer regardless of how the text is split."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.answer.thinking import ThinkingFilter

ANSWER = "Twelve **bolts** [1].\n"


def filtered(pieces: Sequence[str], *, expected: bool = False) -> str:
    thinking = ThinkingFilter(expected=expected)
    return "".join(map(thinking.feed, pieces)) + thinking.finish()


THINKING = [
    "<think>The flange [7] has some.</think>",
    "\n<think>\nThe flange [7] has some.\n</think>\n\n",
    "<think></think>\n",
    "<thinking>It says <think> somewhere [7].</thinking>\n\n",
    "<think>one [7]</think>\n<think>two [8]</think>\n",
    "[THINK]The flange [7].[/THINK]",
    "<|channel>thought\nThe flange [7].<channel|>",
    "<unused94>thought\nThe flange [7].<unused95>",
    "<|START_THINKING|>The flange [7].<|END_THINKING|>",
    "<|begin_of_thought|>The flange [7].<|end_of_thought|>\n\n",
    "</think>\n\n",
    "<|channel|>analysis<|message|>The flange [7].<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|start|>assistant<|channel|>commentary<|message|>[7]<|end|><|start|>assistant<|channel|>final <|message|>",
]


@pytest.mark.fault("thinking-in-content")
@pytest.mark.parametrize("thinking", THINKING)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_thinking_is_dropped_for_any_split_of_the_text(thinking: str, size: int) -> None:
    reply = thinking + ANSWER

    assert filtered([reply[start : start + size] for start in range(0, len(reply), size)]) == ANSWER


@pytest.mark.parametrize(
    "reply",
    [
        ANSWER,
        "  indented\n",
        "Put `<think>` first and `</think>` last.",
        "a < b, [THINGS], <b>bold</b> and <|x|>",
        "Okay, so be it.",
        "analysis of the flange",
        "The user manual names twelve [1].",
        "<",
        "</",
        "",
    ],
)
@given(cuts=st.lists(st.integers(0, 60)))
def test_an_answer_without_thinking_is_not_changed(reply: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(reply)) for cut in cuts), len(reply)]

    assert filtered([reply[a:b] for a, b in pairwise(places)]) == reply


@pytest.mark.parametrize(
    "pieces", [["Twelve", " bolts", " [1]"], ["The", " user", " manual"], ["First", ",", " I"], ["a", "nd"]]
)
def test_text_that_cannot_be_thinking_is_returned_immediately(pieces: list[str]) -> None:
    thinking = ThinkingFilter()

    assert [thinking.feed(piece) for piece in pieces] == pieces


def test_channels_without_tags_are_recognised_by_their_names() -> None:
    assert filtered(["analysis", "The flange", " [7].", "assistant", "final", ANSWER]) == ANSWER
    assert filtered([f"analysisThe flange [7].assistantfinal{ANSWER}"]) == ANSWER


def test_a_first_piece_that_looks_like_thinking_is_held_back() -> None:
    assert filtered(["The user asks about bolts [7].", " I count.\n</think>\n", ANSWER]) == ANSWER
    assert filtered(["Ok", "ay", ", so", " the flange [7] has some.\n</think>\n", ANSWER]) == ANSWER


def test_text_before_an_unmatched_closing_tag_is_reported_as_thinking() -> None:
    thinking = ThinkingFilter()

    pieces = [thinking.feed(piece) for piece in ["Bolts on flange [7].", "\n</thi", "nk>", "\n\nTwelve", " [1]."]]

    assert (pieces, thinking.answer_began_late) == (["Bolts on flange [7].", "\n", "", "Twelve", " [1]."], True)


def test_unclosed_thinking_results_in_an_empty_answer() -> None:
    assert filtered(["<think>Let me count the", " bolts [7]"]) == ""


def test_text_of_a_reasoning_model_is_held_back_until_its_closing_tag() -> None:
    assert filtered(["Bolts on flange [7].", "\n</think>\n\n", ANSWER], expected=True) == ANSWER
    assert filtered(["Twelve ", "bolts"], expected=True) == "Twelve bolts"
