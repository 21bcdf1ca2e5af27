"""The cost of a token does not grow with the answer. Counts function calls, which are the same on every machine."""

import cProfile
import pstats

import pytest

from benchmarks.rendering import SHAPES, TOKEN_CHARS, streamed


@pytest.mark.parametrize("shape", SHAPES)
def test_the_cost_of_a_token_is_independent_of_the_answer_length(shape: str) -> None:
    streamed(SHAPES[shape](400))  # caches

    assert calls_per_token(shape, 4_000) <= 1.4 * calls_per_token(shape, 1_000)


def calls_per_token(shape: str, tokens: int) -> float:
    text = SHAPES[shape](tokens * TOKEN_CHARS)
    profile = cProfile.Profile()
    profile.runcall(streamed, text)
    return float(pstats.Stats(profile).total_calls) / tokens  # type: ignore[attr-defined]
