"""The prompt's mark is removed from an answer, no matter how the answer is split into pieces."""

import pytest

from streamrag_cli.answer.leaked_mark import LeakedMarkFilter

MARK = "Zwqktbxmp"


def filtered(pieces: list[str], mark: str = MARK) -> str:
    leaks = LeakedMarkFilter(mark)
    return "".join([*(leaks.feed(piece) for piece in pieces), leaks.finish()])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"Ten days {MARK} [2] at most.", "Ten days  [2] at most."),
        (f"Ten days{MARK}", "Ten days"),
        (f"{MARK}\nTen", "\nTen"),
        (f"{MARK}{MARK}Ten", "Ten"),
        (f"Zw{MARK}", "Zw"),
        ("A Zwqkt ending in Z", "A Zwqkt ending in Z"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_leaked_prompt_mark_is_removed_and_other_text_is_kept(answer: str, expected: str, size: int) -> None:
    assert filtered([answer[at : at + size] for at in range(0, len(answer), size)]) == expected


def test_ordinary_text_is_not_delayed() -> None:
    assert LeakedMarkFilter(MARK).feed("Ten days.") == "Ten days."
