"""Hints that repeat a question are complete commands to paste."""

from pathlib import Path

import pytest

from streamrag_cli.answer.model_choice import connect_hint
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
def test_hints_omit_a_question_that_cannot_be_pasted(question: str) -> None:
    assert HintCommand(command="ask", question=question).complete("streamrag ask QUESTION") == "streamrag ask QUESTION"


@pytest.mark.parametrize("conversation", ["-C", "--thread kq3abcde"])
def test_an_ask_hint_continues_the_conversation_but_a_search_hint_does_not(conversation: str) -> None:
    command = HintCommand(command="ask", question="why not?", conversation=conversation)

    assert [command.complete(f"streamrag {each} QUESTION") for each in ("ask --min-score 0", "search")] == [
        f"streamrag ask --min-score 0 {conversation} 'why not?'",
        "streamrag search 'why not?'",
    ]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("or accept less: streamrag ask --min-score 0 QUESTION", "or accept less: /set min_score 0, then /again"),
        ("T: streamrag ask --no-engine QUESTION", "T: /set engine off, then /again"),
        ("STREAMRAG_TIMEOUT=120 streamrag ask QUESTION", "/set timeout_s 120, then /again"),
        ("streamrag ask -m 'a b' --base-url U QUESTION", "/set model a b, then /set base_url U, then /again"),
        ("later: streamrag ask QUESTION", "later: /again"),
        (connect_hint((), "streamrag ask", " QUESTION"), "to connect a model: /set base_url URL, then /again"),
        ("streamrag search QUESTION", "streamrag search -c laws --base-url http://h:1/v1 why"),
    ],
)
def test_hints_in_a_chat_suggest_chat_commands(hint: str, expected: str) -> None:
    assert HintCommand(command="chat", question="why", flags=FLAGS).complete(hint) == expected


def test_a_hint_for_a_question_with_stdin_text_reads_stdin_again(tmp_path: Path) -> None:
    with (tmp_path / "text").open("w+", encoding="utf-8") as stream:
        here = process(stdin=stream)
        read_question(["How far?"], here, stdin=True, command="ask")

    hint = here.hint_command.complete("streamrag ask -k 3 QUESTION")
    assert hint == "streamrag ask -k 3 --stdin 'How far?' < FILE"


@pytest.mark.fault("hint-to-ask-again")
def test_a_url_that_contains_a_key_is_not_repeated_in_hints() -> None:
    urls = ["http://h/v1", "http://me:word@h/v1", "http://h/0123456789abcdef/v1"]

    assert [shown_base_url(each, "0123456789abcdef") for each in urls] == ["http://h/v1", "", ""]
