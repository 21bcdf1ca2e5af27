"""`streamrag chat` on a terminal: typing, Ctrl-C, Ctrl-D, Ctrl-Z, pasting, signals and sizes."""

import signal
import threading
from dataclasses import replace

import pytest

from tests.support.chats import (
    CTRL_C,
    CTRL_D,
    CTRL_Z,
    ENTER,
    UP,
    answered,
    ask,
    chat_on_terminal,
    leave,
    messages_of,
    pasted,
    question_of,
    wait_for_prompt,
)
from tests.support.command_line import SOON_S, CommandLine
from tests.support.openai_replies import Hold, Reply, Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import on_terminal

QUESTION = "Who built the lighthouse?"
SECOND = "When does the fuel dock open?"
MARK = "streamrag: interrupted before the answer was complete"


@pytest.mark.fault("chat-interrupted")
def test_ctrl_c_keeps_the_partial_answer_and_the_chat_continues(user: CommandLine) -> None:
    release = threading.Event()
    replies = [answer("A **bold** part", " and a rest.", between=(Hold(release),)), answer("The second answer.")]
    with (
        OpenAIServer(chat=replies) as server,
        chat_on_terminal(user, "--base-url", server.base_url) as (terminal, process),
    ):
        modes = terminal.modes
        ask(terminal, QUESTION)
        terminal.wait_for("A bold part")
        terminal.type(CTRL_C)
        terminal.wait_for(MARK)
        closed = answered(server)[0].closed_by_client.wait(timeout=SOON_S)
        ask(terminal, SECOND)
        terminal.wait_for("The second answer.")
        code = leave(terminal, process)
        second = messages_of(answered(server)[1])
        after = terminal.modes

    assert (code, closed, after, terminal.cursor_is_visible) == (0, True, modes, True)
    assert "A bold part" in terminal.lines
    assert second[:2] == [("user", QUESTION), ("assistant", "A **bold** part")]
    assert question_of(answered(server)[1]) == SECOND


@pytest.mark.fault("chat-interrupted")
def test_ctrl_c_before_the_first_token_stops_only_that_question(user: CommandLine) -> None:
    stages = {
        "before the headers": Reply(before_headers=(Stall(),)),
        "before a token": stream(Stall()),
        "between pings": stream(Stall(ping_every_s=0.02)),
    }
    with (
        OpenAIServer(chat=[*stages.values(), answer("At last.")]) as server,
        chat_on_terminal(user, "--base-url", server.base_url, "-q") as (terminal, process),
    ):
        for number, stage in enumerate(stages, start=1):
            ask(terminal, f"{QUESTION} {stage}")
            terminal.wait_until(lambda _, number=number: len(answered(server)) == number)  # type: ignore[misc]
            terminal.type(CTRL_C)
            terminal.wait_until(lambda lines, number=number: lines.count(MARK) == number)  # type: ignore[misc]
            assert answered(server)[-1].closed_by_client.wait(timeout=SOON_S)
        ask(terminal, QUESTION)
        terminal.wait_for("At last.")
        code = leave(terminal, process)

    assert (code, [role for role, _ in messages_of(answered(server)[-1])]) == (0, ["user"])


@pytest.mark.fault("chat-interrupted")
def test_ctrl_c_right_after_enter_cancels_the_question(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=answer("An answer.")) as server,
        chat_on_terminal(user, "--base-url", server.base_url, "-q") as (terminal, process),
    ):
        wait_for_prompt(terminal)
        terminal.type(QUESTION.encode() + ENTER + CTRL_C)
        terminal.wait_for(f"> {QUESTION}")
        ask(terminal, SECOND)
        terminal.wait_for("An answer.")
        code = leave(terminal, process)

    assert (code, [question_of(each) for each in answered(server)]) == (0, [SECOND])


def test_ctrl_c_at_the_prompt_clears_the_line_and_then_hints_at_ctrl_d(user: CommandLine) -> None:
    with chat_on_terminal(user) as (terminal, process):
        wait_for_prompt(terminal)
        terminal.type(b"not this")
        wait_for_prompt(terminal, "not this")
        terminal.type(CTRL_C)
        wait_for_prompt(terminal)
        terminal.type(CTRL_C)
        terminal.wait_for("press Ctrl-D to quit")
        code = leave(terminal, process)

    assert (code, [line for line in terminal.lines if "not this" in line]) == (0, [])


@pytest.mark.fault("chat-typed-ahead")
def test_text_typed_during_an_answer_appears_at_the_next_prompt(user: CommandLine) -> None:
    release = threading.Event()
    replies = [answer("One", " answer.", between=(Hold(release),)), answer("Another answer.")]
    with (
        OpenAIServer(chat=replies) as server,
        chat_on_terminal(user, "--base-url", server.base_url) as (terminal, process),
    ):
        ask(terminal, QUESTION)
        terminal.wait_for("One")
        terminal.type(b"When does the fuel")
        release.set()
        wait_for_prompt(terminal, "When does the fuel")
        assert "One answer." in terminal.lines
        terminal.type(b" dock open?" + ENTER)
        terminal.wait_for("Another answer.")
        code = leave(terminal, process)

    assert (code, [question_of(each) for each in answered(server)]) == (0, [QUESTION, "When does the fuel dock open?"])
    assert [line for line in terminal.lines if "When does" in line] == ["> When does the fuel dock open?"]


@pytest.mark.fault("chat-typed-ahead")
def test_pasted_lines_are_one_question_even_during_an_answer(user: CommandLine) -> None:
    release = threading.Event()
    replies = [answer("One", " answer.", between=(Hold(release),)), answer("Another answer."), answer("A third.")]
    with (
        OpenAIServer(chat=replies) as server,
        chat_on_terminal(user, "--base-url", server.base_url) as (terminal, process),
    ):
        wait_for_prompt(terminal)
        terminal.type(pasted("Who built\nthe lighthouse?"))
        terminal.wait_for("  the lighthouse")
        terminal.type(ENTER)
        terminal.wait_for("One")
        terminal.type(pasted("When does the fuel\ndock open?\n"))
        release.set()
        terminal.wait_for("> When does the fuel")
        terminal.type(ENTER)
        terminal.wait_for("Another answer.")
        wait_for_prompt(terminal)
        terminal.type(b"What is the fee\x1b\rof a berth?" + ENTER)
        terminal.wait_for("A third.")
        code = leave(terminal, process)

    assert (code, [question_of(each) for each in answered(server)]) == (
        0,
        ["Who built\nthe lighthouse?", "When does the fuel\ndock open?", "What is the fee\nof a berth?"],
    )


@pytest.mark.fault("chat-typed-ahead")
def test_a_line_entered_during_an_answer_is_asked_next_even_after_ctrl_c(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=[stream(token("One"), Stall()), answer("Another answer.")]) as server,
        chat_on_terminal(user, "--base-url", server.base_url) as (terminal, process),
    ):
        ask(terminal, QUESTION)
        terminal.wait_for("One")
        terminal.type(SECOND.encode() + ENTER + CTRL_D)
        terminal.type(CTRL_C)
        code = terminal.wait_for_end(process)

    assert (code, [question_of(each) for each in answered(server)]) == (0, [QUESTION, SECOND])
    assert "Another answer." in terminal.lines


@pytest.mark.fault("chat-turn-fails")
def test_a_failed_question_is_reported_as_in_ask_and_the_chat_continues(user: CommandLine) -> None:
    with OpenAIServer(chat=[failure(401, "bad key"), answer("An answer.")]) as server:
        with chat_on_terminal(user, "--base-url", server.base_url, "-q", "-m", "m") as (terminal, process):
            ask(terminal, QUESTION)
            wait_for_prompt(terminal)
            failed = terminal.lines[terminal.lines.index(f"> {QUESTION}") + 1 : -1]
            ask(terminal, SECOND)
            terminal.wait_for("An answer.")
            code = leave(terminal, process)
    with OpenAIServer(chat=failure(401, "bad key"), port=server.port):
        by_ask = user.run("ask", QUESTION, "--base-url", server.base_url, "-q", "-m", "m").stderr.splitlines()

    assert (code, "".join(failed)) == (0, "".join(by_ask))


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_chat_with_its_code_and_restores_the_terminal(
    user: CommandLine, number: signal.Signals, code: int
) -> None:
    with OpenAIServer(chat=stream(token("One"), Stall())) as server:
        for during_answer in (False, True):
            with chat_on_terminal(user, "--base-url", server.base_url) as (terminal, process):
                modes = terminal.modes
                wait_for_prompt(terminal)
                if during_answer:
                    ask(terminal, QUESTION)
                    terminal.wait_for("One")
                process.send_signal(number)
                ended_with = terminal.wait_for_end(process, limit_s=SOON_S)
                after = terminal.modes
            word = {signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}[number]
            mark = f"streamrag: {word} before the answer was complete"

            assert (ended_with, after == modes, terminal.raw.endswith(b"\x1b[?2004l")) == (code, True, True)
            assert (mark in terminal.lines) == during_answer


def test_ctrl_z_stops_the_chat_and_fg_continues_it(user: CommandLine) -> None:
    shell = replace(user.having(PS1="$ "), program=("/bin/bash", "--norc", "--noprofile", "-i"))
    release = threading.Event()
    replies = [answer("A part", " and the rest.", between=(Hold(release),)), answer("Done.")]
    with OpenAIServer(chat=replies) as server, on_terminal(shell) as (terminal, process):
        terminal.wait_until(lambda lines: lines[-1:] == ["$"])
        command = f"{' '.join(user.program)} chat -q --base-url {server.base_url}"
        terminal.type(command.encode() + b"\n")
        wait_for_prompt(terminal)
        terminal.type(b"half")
        wait_for_prompt(terminal, "half")
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        terminal.wait_until(lambda lines: lines[-1:] == ["$"])
        terminal.type(b"echo in the shell\nfg\n")
        wait_for_prompt(terminal, "half")
        terminal.type(CTRL_C)
        ask(terminal, QUESTION)
        terminal.wait_for("A part")
        terminal.type(CTRL_Z)
        terminal.wait_until(lambda lines: lines[-1:] == ["$"])
        terminal.type(b"fg\n")
        release.set()
        terminal.wait_for("A part and the rest.")
        ask(terminal, "/quit")
        terminal.wait_until(lambda lines: lines[-1:] == ["$"])
        terminal.type(b"exit\n")
        terminal.wait_for_end(process)

    assert "in the shell" in terminal.lines
    assert [line for line in terminal.lines if "A part" in line] == ["A part and the rest."]


@pytest.mark.parametrize("columns", [40, 120])
def test_resizing_during_an_answer_and_at_the_prompt_loses_nothing(user: CommandLine, columns: int) -> None:
    release = threading.Event()
    words = " ".join(f"word{number}" for number in range(40))
    with (
        OpenAIServer(chat=answer(words, " end.", between=(Hold(release),))) as server,
        chat_on_terminal(user, "--base-url", server.base_url, "-q") as (terminal, process),
    ):
        ask(terminal, QUESTION)
        terminal.wait_for("word39")
        terminal.resize(columns, 40)
        release.set()
        terminal.wait_for("end.")
        wait_for_prompt(terminal)
        terminal.type(b"/sources 99")
        wait_for_prompt(terminal, "/sources 99")
        terminal.resize(columns - 10, 40)
        terminal.type(ENTER)
        terminal.wait_for("there is no source")
        code = leave(terminal, process)

    assert (code, terminal.words.count("".join(words.split())), terminal.words.count("end.")) == (0, 1, 1)


def test_earlier_questions_are_recalled_from_the_log(user: CommandLine) -> None:
    logging = user.having(STREAMRAG_LOG_QUESTIONS="on")
    with chat_on_terminal(logging, "-q") as (terminal, process):
        ask(terminal, QUESTION)
        code = leave(terminal, process)
    with chat_on_terminal(logging, "-q") as (terminal, again):
        wait_for_prompt(terminal)
        terminal.type(UP)
        wait_for_prompt(terminal, QUESTION)
        again.send_signal(signal.SIGTERM)
        terminal.wait_for_end(again)

    assert code == 0


@pytest.mark.parametrize("flags", [("--plain",), ()], ids=["--plain", "TERM=dumb"])
def test_a_terminal_without_cursor_movement_gets_plain_text(user: CommandLine, flags: tuple[str, ...]) -> None:
    dumb = user if flags else user.having(TERM="dumb")
    release = threading.Event()
    replies = [answer("One", " answer.", between=(Hold(release),)), answer("Another.")]
    with (
        OpenAIServer(chat=replies) as server,
        chat_on_terminal(dumb, "--base-url", server.base_url, "-q", *flags) as (terminal, process),
    ):
        modes = terminal.modes
        ask(terminal, QUESTION)
        terminal.wait_for("One")
        terminal.type(b"When does the fuell\x7f")
        release.set()
        wait_for_prompt(terminal, "When does the fuel")
        terminal.type(b" dock open?\r")
        terminal.wait_for("Another.")
        wait_for_prompt(terminal)
        terminal.type(b"not this" + CTRL_C)
        terminal.wait_until(lambda lines: lines[-1] == ">" and lines[-2].endswith("^C"))
        terminal.type(CTRL_C)
        terminal.wait_for("press Ctrl-D to quit")
        code = leave(terminal, process)
        after = terminal.modes

    assert (code, b"\x1b" in terminal.raw, after == modes) == (0, False, True)
    assert [question_of(each) for each in answered(server)] == [QUESTION, "When does the fuel dock open?"]
    assert terminal.lines[:2] == [f"> {QUESTION}", "One answer."]
