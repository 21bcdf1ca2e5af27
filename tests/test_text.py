"""Sanitised text cannot control a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrag_cli.text import excerpt, sanitise, sanitise_line

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.fault("unsafe-characters")
@given(ANY_TEXT, st.integers(min_value=0, max_value=200))
def test_splitting_a_text_into_pieces_does_not_change_how_it_is_sanitised(text: str, at: int) -> None:
    assert sanitise(text[:at]) + sanitise(text[at:]) == sanitise(text)


@given(ANY_TEXT)
def test_no_control_characters_remain_after_sanitising(text: str) -> None:
    left = [c for c in sanitise(text) if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]

    assert left == []


@given(ANY_TEXT)
def test_sanitising_twice_changes_nothing(text: str) -> None:
    assert sanitise(sanitise(text)) == sanitise(text)


@given(ANY_TEXT)
def test_sanitise_line_returns_a_single_line(text: str) -> None:
    assert len(sanitise_line(text).splitlines()) <= 1


@given(ANY_TEXT)
def test_sanitised_text_can_always_be_encoded(text: str) -> None:
    assert sanitise(text).encode("utf-8").decode("utf-8") == sanitise(text)


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("tab\tand newline\n", "tab\tand newline\n"),
        ("\r\n", "\n"),
        ("\x1b]52;c;aGk=\x07", "\ufffd]52;c;aGk=\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("a\u202eb\u2066c", "abc"),
        ("one\u2028two", "one\ntwo"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("\ud800", "\ufffd"),
        ("zero\u200bwidth", "zerowidth"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
        ("heart \u2764\ufe0f", "heart \u2764\ufe0f"),
        ("café, 漢字, עברית", "café, 漢字, עברית"),
    ],
)
def test_harmless_characters_are_kept_and_unsafe_ones_are_replaced_or_removed(raw: str, safe: str) -> None:
    assert sanitise(raw) == safe


def test_a_long_excerpt_is_cut_to_150_characters_and_an_ellipsis() -> None:
    assert excerpt("abcd " * 100) == ("abcd " * 30).rstrip() + "..."
    assert excerpt("  short\n text ") == "short text"
