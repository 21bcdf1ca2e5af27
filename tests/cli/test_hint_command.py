"""Hints that repeat a question are complete commands to paste."""

from pathlib import Path

import pytest

from streamrag_cli.cli.ask import read_question
from streamrag_cli.cli.hint_command import HintCommand, shown_base_url
from tests.support.process import process

FLAGS = {"-c": "laws", "--store": "", "--base-url": "http://h:1/v1", "-m": "tiny"}


@pytest.mark.fault("hint-to-ask-again")
@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("streamrag ask QUESTION", "streamrag ask -c laws --base-url http://h:1/v1 -m tiny 'How far?'"),
        ("wait, then: streamrag ask -k 3 QUESTION", "wait, then: streamrag ask -k 3 -c laws --base-url http://h:1/v1"),
        ("streamrag ask -m MODEL QUESTION", "streamrag ask -m MODEL -c laws --base-url http://h:1/v1 'How far?'"),
        ("streamrag search QUESTION", "streamrag search -c laws --base-url http://h:1/v1 'How far?'"),
        ("T=9 streamrag ask QUESTION", "T=9 streamrag ask -c laws"),
        ('streamrag ask --stdin "QUESTION" < FILE', 'streamrag ask --stdin "QUESTION" < FILE'),
        ("curl http://h:1/v1/models", "curl http://h:1/v1/models"),
    ],
)
def test_hints_repeat_the_command_with_its_flags_and_question(hint: str, expected: str) -> None:
    assert HintCommand(command="ask", question="How far?", flags=FLAGS).complete(hint).startswith(expected)


def test_a_search_hint_has_no_model_flag() -> None:
    command = HintCommand(command="search", question="tides", flags=FLAGS)

    assert command.complete("streamrag ask --min-score 0 QUESTION") == (
        "streamrag search --min-score 0 -c laws --base-url http://h:1/v1 tides"
    )


@pytest.mark.parametrize("question", ["", " ", "-v", "two\nlines", "x" * 300])
def test_a_question_that_cannot_be_pasted_is_not_repeated_in_hints(question: str) -> None:
    assert HintCommand(command="ask", question=question).complete("streamrag ask QUESTION") == "streamrag ask QUESTION"


def test_a_question_with_text_from_stdin_is_not_repeated_in_hints(tmp_path: Path) -> None:
    with (tmp_path / "text").open("w+", encoding="utf-8") as stream:
        here = process(stdin=stream)
        read_question(["How far?"], here, stdin=True, command="ask")

    assert here.hint_command.question == ""


@pytest.mark.fault("hint-to-ask-again")
def test_a_url_that_contains_a_key_is_not_repeated_in_hints() -> None:
    urls = ["http://h/v1", "http://me:word@h/v1", "http://h/0123456789abcdef/v1"]

    assert [shown_base_url(each, "0123456789abcdef") for each in urls] == ["http://h/v1", "", ""]
