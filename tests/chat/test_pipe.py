"""`streamrag chat` with questions from a file or pipe, one per line."""

import json
import signal
import subprocess
from typing import Any

import pytest

from tests.support.chats import answered, messages_of, question_of
from tests.support.command_line import SOON_S, CommandLine, Outcome, ended_within, read_until
from tests.support.engines import engines
from tests.support.openai_replies import Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer, Script

FIRST = "Who built the lighthouse?"
SECOND = "When does the fuel dock open?"
THIRD = "What is the fee of a berth?"


def chat(user: CommandLine, replies: Script, questions: str | bytes, *flags: str) -> Outcome:
    """Run `streamrag chat` with `questions` on stdin and a model that answers with `replies`."""
    stdin = questions if isinstance(questions, bytes) else questions.encode()
    with OpenAIServer(chat=replies) as server:
        return user.run("chat", "--base-url", server.base_url, "-m", "m", *flags, stdin=stdin)


def turns(stdout: bytes) -> list[list[dict[str, Any]]]:
    """The events that `--jsonl` printed, grouped by turn. Each turn must begin with its question."""
    result: list[list[dict[str, Any]]] = []
    for event in map(json.loads, stdout.splitlines()):
        if event["type"] == "question":
            result.append([])
        result[-1].append(event)
    return result


def test_every_line_is_a_question_and_a_blank_line_separates_the_answers(user: CommandLine) -> None:
    replies = [answer("One", ".\n\nMore."), answer("Two."), answer("Three.")]
    outcome = chat(user, replies, f"\ufeff{FIRST}\r\n\n   \n{SECOND}\n/quiet\n{THIRD}", "-q")

    assert (outcome.stdout, outcome.code) == (b"One.\n\nMore.\n\nTwo.\n\nThree.\n", 2)
    assert outcome.stderr.startswith("streamrag: unknown command /quiet; did you mean /quit?\n")


@pytest.mark.fault("chat-turn-fails")
def test_failures_set_the_exit_code_but_write_no_blank_line(user: CommandLine) -> None:
    replies = [failure(401, "no"), answer("Two."), stream(token("Half"), token(" of it"))]
    outcome = chat(user, replies, f"{FIRST}\n{SECOND}\n{THIRD}\n/help\n", "-q")

    assert (outcome.stdout, outcome.code) == (b"Two.\n\nHalf of it\n", 4)


def test_stop_on_error_exits_after_the_first_failure(user: CommandLine) -> None:
    outcome = chat(user, [failure(401, "no"), answer("Two.")], f"{FIRST}\n{SECOND}\n", "-q", "--stop-on-error")

    assert (outcome.stdout, outcome.code) == (b"", 3)


@pytest.mark.fault("chat-long-line")
def test_jsonl_has_all_turns_and_only_an_overlong_line_fails(user: CommandLine) -> None:
    questions = [FIRST, "x" * 20_001, "y" * 3_000_000, SECOND]
    outcome = chat(user, [answer("One."), answer("Two.")], "\n".join(questions), "--jsonl")
    first, long, longer, last = turns(outcome.stdout)

    assert outcome.code == 2
    assert [each["type"] for each in first[:3]] == ["question", "status", "sources"]
    assert [each["code"] for each in (long[-1], longer[-1])] == ["question_too_long"] * 2
    assert [each["type"] for each in long] == ["question", "error"]
    assert [(each[0]["n"], each[0]["text"][:9], each[-1]["type"]) for each in (first, last)] == [
        (1, FIRST[:9], "done"),
        (4, SECOND[:9], "done"),
    ]


def test_json_prints_one_object_for_each_turn(user: CommandLine) -> None:
    outcome = chat(user, [answer("One."), failure(401, "no")], f"{FIRST}\n{SECOND}\n", "--json")
    first, second = map(json.loads, outcome.stdout.splitlines())

    assert [(each["n"], each["answer"], each["complete"]) for each in (first, second)] == [
        (1, "One.", True),
        (2, "", False),
    ]
    assert (second["error"]["code"], outcome.code) == ("key_missing", 3)


def test_later_questions_use_earlier_answers_but_not_failed_ones(user: CommandLine) -> None:
    replies = [answer("Ada Brandt [1]."), failure(401, "no"), answer("In 1874."), answer("At seven.")]
    with OpenAIServer(chat=replies) as server:
        lines = f"{FIRST}\n{THIRD}\nand when?\n/new\n{SECOND}\n".encode()
        user.run("chat", "--base-url", server.base_url, "-m", "m", stdin=lines)
        third, fourth = answered(server)[2:]

    assert messages_of(third)[:-1] == [("user", FIRST), ("assistant", "Ada Brandt.")]
    assert (question_of(third), question_of(fourth), len(messages_of(fourth))) == ("and when?", SECOND, 1)


def test_the_again_command_replaces_the_last_answer_for_later_questions(user: CommandLine) -> None:
    replies = [answer("Ada Brand."), answer("Ada Brandt."), answer("In 1874.")]
    with OpenAIServer(chat=replies) as server:
        lines = f"{FIRST}\n/again -m better\nand when?\n".encode()
        outcome = user.run("chat", "--base-url", server.base_url, "-m", "m", "-q", stdin=lines)
        _, again, last = answered(server)

    assert outcome.stdout == b"Ada Brand.\n\nAda Brandt.\n\nIn 1874.\n"
    assert (again.json["model"], len(messages_of(again)), last.json["model"]) == ("better", 1, "m")
    assert messages_of(last)[:-1] == [("user", FIRST), ("assistant", "Ada Brandt.")]


def test_the_log_has_every_turn_and_another_chat_continues_it(user: CommandLine) -> None:
    logging = user.having(STREAMRAG_LOG_QUESTIONS="on")
    with OpenAIServer(chat=[answer("Ada Brandt [1]."), answer("In 1874.")]) as server:
        flags = ("--base-url", server.base_url, "-m", "m", "--jsonl")
        first = logging.run("chat", *flags, stdin=FIRST.encode())
        second = logging.run("chat", *flags, "-C", stdin=b"and when?\n/sources 1")
        third = logging.run("chat", *flags, "-C", "--no-log", stdin=b"and how high?")
        fourth = logging.run("chat", *flags, "-C", stdin=b"and who built the lighthouse?")
        sent = [messages_of(each)[:-1] for each in answered(server)]

    thread = turns(first.stdout)[0][0]["thread"]
    assert [turns(each.stdout)[0][0]["thread"] for each in (second, third, fourth)] == [thread] * 3
    once = [("user", FIRST), ("assistant", "Ada Brandt.")]
    twice = [*once, ("user", "and when?"), ("assistant", "In 1874.")]
    assert sent == [[], once, twice, twice]
    assert (
        "docs/lighthouse.md:3 The lighthouse\n\n# The lighthouse\n\nThe lighthouse was built in 1874" in second.stderr
    )


@pytest.mark.parametrize("command", ["/edit", "/open 1", "/save new.md", "/set top_k 2"])
def test_commands_with_effects_outside_the_chat_are_refused_in_a_pipe(user: CommandLine, command: str) -> None:
    outcome = user.run("chat", stdin=command.encode())

    name = command.partition(" ")[0]
    assert (outcome.stderr, outcome.code) == (f"streamrag: {name} works only if stdin is a terminal\n", 2)
    assert list(user.directory.iterdir()) == []


def test_two_slashes_ask_a_question_that_starts_with_one(user: CommandLine) -> None:
    with OpenAIServer(chat=answer("One.")) as server:
        user.run("chat", "--base-url", server.base_url, "-m", "m", stdin=f"//lighthouse: {FIRST}".encode())

        assert question_of(answered(server)[0]) == f"/lighthouse: {FIRST}"


def test_a_question_is_answered_before_the_next_line_is_written(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=[answer("One."), answer("Two.")]) as server,
        user.running("chat", "-q", "--base-url", server.base_url, "-m", "m", stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(f"{FIRST}\n".encode())
        process.stdin.flush()
        first = read_until(process.stdout, b"One.\n")
        process.stdin.write(SECOND.encode())
        process.stdin.close()
        second = read_until(process.stdout, b"Two.\n")

        assert (first + second, process.wait()) == (b"One.\n\nTwo.\n", 0)


@pytest.mark.fault("pipe-closed")
def test_the_chat_ends_when_stdout_is_closed_between_two_questions(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=answer("One.")) as server,
        user.running("chat", "-q", "--base-url", server.base_url, "-m", "m", stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{FIRST}\n".encode())
        process.stdin.flush()
        read_until(process.stdout, b"One.\n")
        process.stdout.close()

        assert ended_within(process, SOON_S) == 141


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_a_piped_chat_and_keeps_the_partial_answer(
    user: CommandLine, number: signal.Signals, code: int
) -> None:
    with (
        OpenAIServer(chat=stream(token("Half"), Stall())) as server,
        user.running("chat", "-q", "--base-url", server.base_url, "-m", "m", stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(f"{FIRST}\n{SECOND}\n".encode())
        process.stdin.flush()
        first = read_until(process.stdout, b"Half")
        process.send_signal(number)
        ended_with = ended_within(process, SOON_S)
        rest, stderr = process.communicate()

    assert (ended_with, first + rest) == (code, b"Half\n")
    assert stderr.decode().endswith("before the answer was complete\n")


@pytest.mark.fault("chat-turn-fails")
def test_the_next_question_is_answered_if_the_engine_has_died(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=[stream(token("Half"), Stall()), answer("Two.")]) as server,
        user.running("chat", "-q", "--base-url", server.base_url, "-m", "m", stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(f"{FIRST}\n{SECOND}\n".encode())
        process.stdin.close()
        read_until(process.stdout, b"Half")
        subprocess.run(["kill", "-9", *(str(each["pid"]) for each in engines(user))], check=True)
        assert process.stdout is not None
        assert process.stderr is not None
        rest, stderr = process.stdout.read(), process.stderr.read()

    assert (rest, stderr.decode().splitlines()[:1], process.returncode) == (
        b"\n\nTwo.\n",
        ["streamrag: the engine stopped while writing the answer, so the answer is cut off"],
        4,
    )


def test_without_a_model_the_answers_are_quotes(user: CommandLine) -> None:
    outcome = user.having(STREAMRAG_ENGINE="off").run("chat", "-q", stdin=f"{FIRST}\n{SECOND}\n".encode())
    first, _, second = outcome.stdout.decode().partition("\n\n")

    assert ("Ada Brandt" in first, "opens at seven" in second, outcome.code) == (True, True, 0)
