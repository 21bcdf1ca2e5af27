"""Words in a text that match a question."""

import pytest

from streamrag_cli.retrieval.matched_words import matched_spans


@pytest.mark.parametrize(
    ("text", "query", "language", "matched"),
    [
        ("Berths are let; a berth costs 18 euros.", "What does a berth cost?", "", ["Berths", "berth", "costs"]),
        ("The of and it.", "What is it?", "", ["it"]),
        ("Die Fähre fährt um acht.", "Wann kommen die Fähren?", "de", ["Fähre"]),
        ("渡轮末班于八点开航。", "渡轮几点开航？", "", ["渡轮", "点开航"]),
        ("\U0001f30a high tide", "tides", "", ["tide"]),
        ("A berth.", "", "", []),
        ("", "berth", "", []),
    ],
    ids=["inflected", "only stop words", "German", "Chinese", "beyond the basic plane", "no question", "no text"],
)
def test_words_that_share_a_stem_with_the_question_match(
    text: str, query: str, language: str, matched: list[str]
) -> None:
    assert [text[start:end] for start, end in matched_spans(text, query, language)] == matched
