"""Words are tokenized and weighted in the same way in questions, indexes and sentences."""

from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.retrieval.lexical import content_words
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE, coverage, term_weight
from streamrag_cli.store.stemming import match_expression, stems


def test_words_are_stemmed_and_accents_are_removed() -> None:
    assert stems(["Streaming streams streamed", "Café"]) == [["stream", "stream", "stream"], ["cafe"]]


def test_stop_words_are_dropped_unless_only_stop_words_are_left() -> None:
    assert content_words("What is the tide?") == ["tide"]
    assert content_words("To be or not to be") == ["to", "be", "or", "not", "to", "be"]


def test_repeated_words_are_kept_and_every_word_is_quoted() -> None:
    assert match_expression(content_words("tide AND tide*")) == '"tide" OR "tide"'


@given(st.lists(st.text(), max_size=5))
def test_stemming_several_texts_equals_stemming_each_one_separately(texts: list[str]) -> None:
    together = stems(texts)

    assert together == [stems([text])[0] for text in texts]


@given(st.floats(-1, 1), st.floats(0, 1))
def test_scores_are_between_0_and_1_and_increase_with_cosine_and_coverage(cosine: float, covered: float) -> None:
    score = BUILTIN_CURVE.score(cosine=cosine, coverage=covered)

    assert 0.0 < score < 1.0
    assert BUILTIN_CURVE.score(cosine=cosine + 0.1, coverage=covered) > score
    assert BUILTIN_CURVE.score(cosine=cosine, coverage=covered + 0.1) > score


def test_rare_terms_weigh_more_than_common_ones_but_less_so_in_small_stores() -> None:
    assert term_weight(1, 100_000) > term_weight(50_000, 100_000) > 0
    assert term_weight(0, 3) / term_weight(3, 3) < 2  # three chunks are little evidence for a common term


def test_coverage_is_the_matched_share_of_the_total_term_weight() -> None:
    assert coverage(frozenset({"tide", "sea"}), {"tide": 3.0, "moon": 1.0}) == 0.75
    assert coverage(frozenset({"tide"}), {}) == 0.0
