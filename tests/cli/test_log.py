"""The log of questions and answers on the command line: recording, continuing, showing and deleting."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.history.location import why_not_writable
from tests.support.command_line import SOON_S, CommandLine, Outcome, ended_within, read_until
from tests.support.files import write_files
from tests.support.openai_replies import Hold, answer
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import on_terminal
from tests.support.warm_command_line import WarmCommandLine, warm

QUESTION = "When does the library open?"
LENDING = "How long may a book be kept?"
ROOF = "Which material is the zebra on the roof?"
LIBRARY = {
    "hours.md": "# Opening hours\n\nThe library opens at nine in the morning and closes at six in the evening.\n",
    "lending.md": "# Lending\n\nA book may be kept for four weeks.\n",
    "roof.md": "# Animals\n\nThe \x1b[31mzebra\u202e on the roof: its material is \x1b]52;c;aGVsbG8=\x07concrete.\n",
}
ANNOUNCED = "to switch it off: streamrag log off"


@pytest.fixture(scope="module")
def cli_with_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user with a small collection, and another one in another store."""
    home = tmp_path_factory.mktemp("cli")
    write_files(home / "library", LIBRARY)
    write_files(home, {"garden.md": "# Garden\n\nTomatoes are watered at dawn.\n"})
    with warm(CommandLine(home=home, directory=home)) as user:
        assert user.run("ingest", "library").code == 0
        assert user.run("ingest", "garden.md", "-c", "garden", "--store", "other").code == 0
        yield user


@pytest.fixture
def user(cli_with_library: WarmCommandLine, tmp_path: Path) -> WarmCommandLine:
    """The user with an empty log that is switched on."""
    return cli_with_library.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(tmp_path / "state"))


@pytest.fixture
def cold_user(user: WarmCommandLine) -> CommandLine:
    """Like `user`, for tests that start or interrupt a process."""
    return user.cold


def ask(user: CommandLine, *arguments: str) -> Outcome:
    outcome = user.run("ask", *arguments)
    assert outcome.code == 0, outcome
    return outcome


def logged(user: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    """The turns that `log --jsonl` prints, newest first."""
    outcome = user.run("log", "--jsonl", *arguments)
    assert (outcome.code, outcome.stderr) == (0, "")
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def questions(user: CommandLine, *arguments: str) -> list[str]:
    return [each["question"] for each in logged(user, *arguments)]


def failure(outcome: Outcome) -> tuple[int, str, str]:
    message, hint = outcome.stderr.splitlines()
    return outcome.code, message.removeprefix("streamrag: "), hint.removeprefix("hint: ")


def test_answers_are_logged_and_the_log_is_announced_once(user: CommandLine) -> None:
    quiet = [ask(user, QUESTION, flag).stderr for flag in ("-q", "--json", "--jsonl")]
    announced = [ANNOUNCED in ask(user, QUESTION).stderr for _ in range(2)]
    turns = logged(user)

    assert (quiet, announced) == ([""] * 3, [True, False])
    assert [each["question"] for each in turns] == [QUESTION] * 5
    assert len({each["thread"] for each in turns}) == 5
    assert {each["state"] for each in turns} == {"complete"}
    assert turns[0]["answer"] + "\n" == ask(user, QUESTION, "-q").stdout.decode()


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        (("--no-log",), {}),
        ((), {"CI": "true"}),
        ((), {"STREAMRAG_LOG_QUESTIONS": "off"}),
    ],
)
def test_an_answer_is_not_logged_if_logging_is_off(
    user: CommandLine, flags: tuple[str, ...], variables: dict[str, str]
) -> None:
    outcome = ask(user.having(**variables), QUESTION, *flags)

    assert ANNOUNCED not in outcome.stderr
    assert not Path(user.variables["XDG_STATE_HOME"], "streamrag", "log.db").exists()


def test_the_log_can_be_switched_off_and_on_again(user: CommandLine) -> None:
    off = user.run("log", "off")
    ask(user, "Is this private?", "--min-score", "0")
    reason = json.loads(user.run("log", "status", "--json").stdout)["reason"]
    on = user.run("log", "on")
    ask(user, QUESTION)

    assert off.stdout.decode() == "questions are not logged: logging was switched off with: streamrag log off\n"
    assert reason == "logging was switched off with: streamrag log off"
    assert on.stdout.decode() == "questions are logged\n"
    assert questions(user) == [QUESTION]


def test_a_search_is_not_logged(user: CommandLine) -> None:
    assert user.run("search", QUESTION).code == 0
    assert questions(user) == []


def test_text_from_stdin_is_logged_only_as_its_length_and_digest(user: CommandLine) -> None:
    assert user.run("ask", "--stdin", QUESTION, stdin=b"zebra crossing").code == 0
    (turn,) = logged(user)
    state = Path(user.variables["XDG_STATE_HOME"], "streamrag")

    assert (turn["extra_chars"], turn["extra_sha256"][:8]) == (14, hashlib.sha256(b"zebra crossing").hexdigest()[:8])
    assert not any(b"zebra" in each.read_bytes() for each in state.iterdir())


def test_a_failed_question_is_logged_with_its_code(user: CommandLine) -> None:
    outcome = user.run("ask", "How tall is a giraffe on Mars?", "--min-score", "1")

    assert outcome.code == 7
    assert [(each["state"], each["answer"]) for each in logged(user)] == [("nothing_relevant", "")]


@pytest.mark.fault("log-killed")
def test_a_killed_process_loses_at_most_a_second_of_its_answer(cold_user: CommandLine) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("Written before", " and after.", between=(Hold(release),))) as server,
        cold_user.running("ask", QUESTION, "--base-url", server.base_url) as process,
    ):
        read_until(process.stdout, b"Written before")
        time.sleep(1.0)  # the log's promise
        process.send_signal(signal.SIGKILL)
        ended_within(process, SOON_S)
    (turn,) = logged(cold_user)

    assert (turn["question"], turn["answer"], turn["state"]) == (QUESTION, "Written before", "interrupted")
    assert turn["sources"][0]["source"] == "library/hours.md"
    assert "content" not in turn["sources"][0]


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "closed pipe"])
def test_an_interrupted_answer_is_kept_and_marked(cold_user: CommandLine, end: str) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer("The first half", " and the rest.", between=(Hold(release),))) as server,
        cold_user.running("ask", QUESTION, "-q", "--base-url", server.base_url) as process,
    ):
        read_until(process.stdout, b"The first half")
        if end == "closed pipe":
            assert process.stdout is not None
            process.stdout.close()
        else:
            process.send_signal(signal.Signals[end])
        ended_within(process, SOON_S)

    assert [(each["answer"], each["state"]) for each in logged(cold_user)] == [("The first half", "interrupted")]


@pytest.mark.fault("log-unusable")
def test_an_unusable_log_does_not_prevent_an_answer(user: CommandLine) -> None:
    state = Path(user.variables["XDG_STATE_HOME"], "streamrag")
    state.mkdir(parents=True)
    (state / "log.db").write_bytes(b"no database" * 1000)
    outcome = ask(user, QUESTION)
    in_json = json.loads(ask(user, QUESTION, "--json").stdout)
    homeless = ask(user.having(HOME="", XDG_STATE_HOME=""), QUESTION)

    assert outcome.stdout == ask(user, QUESTION, "--no-log").stdout == homeless.stdout
    assert "note: this answer was not logged: the log" in outcome.stderr
    assert "note: this answer was not logged: there is no directory" in homeless.stderr
    assert (in_json["complete"], in_json["notices"][-1]["code"]) == (True, "not_logged")
    assert failure(user.run("log"))[0] == 5
    assert user.run("log", "rm", "--all", "--yes").stdout == b"the damaged log was deleted\n"
    assert "not logged" not in ask(user, QUESTION).stderr


@pytest.mark.fault("log-turn-damaged")
def test_a_damaged_turn_is_left_out_with_a_note_and_can_be_deleted(user: CommandLine) -> None:
    ask(user, QUESTION, "-q")
    ask(user, LENDING, "-q")
    with closing(sqlite3.connect(Path(user.variables["XDG_STATE_HOME"], "streamrag", "log.db"))) as db:
        db.execute("UPDATE turns SET thread = ? WHERE id = 2", (b"\x00\xff",))
        db.commit()
    ask(user, LENDING, "-q")
    with closing(sqlite3.connect(Path(user.variables["XDG_STATE_HOME"], "streamrag", "log.db"))) as db:
        db.execute("UPDATE turns SET sources = '[{' WHERE id = 3")
        db.commit()
    listed = user.run("log")
    shown = user.run("log", "show", "2")
    continued = user.run("ask", "-C", "why?")
    last = user.run("show", "last")

    assert [line.split("\t")[0] for line in listed.stdout.decode().splitlines()] == ["1"]
    assert listed.stderr == "note: 2 damaged turns were left out; to delete them: streamrag log rm 2 3\n"
    assert (shown.code, shown.stderr.splitlines()[-1]) == (2, "hint: streamrag log rm 2")
    for each in (continued, last):
        assert (each.code, each.stderr.splitlines()[-1]) == (5, "hint: streamrag log rm 3")
    assert user.run("log", "rm", "2", "3").stdout == b"2 turns deleted\n"
    assert user.run("log").stderr == ""
    assert ask(user, "-C", "why?", "--min-score", "0").code == 0


def test_a_conversation_continues_in_new_processes_and_pipes(user: CommandLine) -> None:
    ask(user, QUESTION, "-q")
    ask(user, "-C", "and into a file?", "-q", "--min-score", "0")
    first = logged(user)[-1]["thread"]
    ask(user, LENDING, "-q")
    ask(user, "--thread", first[:5].upper(), "why?", "-q", "--min-score", "0")

    assert questions(user, "--thread", first) == ["why?", "and into a file?", QUESTION]
    assert [(each["n"], each["thread"] == first) for each in logged(user)] == [
        (3, True),
        (1, False),
        (2, True),
        (1, True),
    ]


def test_each_terminal_continues_its_own_conversation(cold_user: CommandLine) -> None:
    bash = replace(cold_user, program=(shutil.which("bash") or "/bin/bash", "--norc", "-i"))
    program = " ".join(cold_user.program)
    with on_terminal(bash, columns=200) as (one, _), on_terminal(bash, columns=200) as (two, _):
        for terminal, question in ((one, QUESTION), (two, LENDING)):
            terminal.type(f"{program} ask -q '{question}'; echo ended-$?\n".encode())
            terminal.wait_for("ended-0")
        for terminal, question in ((one, "in terminal one?"), (two, "in terminal two?")):
            terminal.type(f"{program} ask -C -q --min-score 0 '{question}'; echo over-$?\n".encode())
            terminal.wait_for("over-0")
    turns = logged(cold_user)

    assert [(each["question"], each["n"]) for each in turns[:2]] == [("in terminal two?", 2), ("in terminal one?", 2)]
    assert [each["thread"] for each in turns[:2]] == [each["thread"] for each in turns[2:]]


def test_a_conversation_keeps_its_collection_and_store(user: CommandLine) -> None:
    ask(user, "When are tomatoes watered?", "-c", "garden", "--store", "other")
    continued = ask(user, "-C", "Why are tomatoes watered at dawn?")
    elsewhere = ask(user, "-C", "-c", "default", "--store", "data/streamrag", QUESTION)

    assert "garden.md" in continued.stderr
    assert "hours.md" in elsewhere.stderr
    assert [each["collection"] for each in logged(user)] == ["default", "garden", "garden"]
    assert questions(user, "-c", "default") == [QUESTION]


def test_a_conversation_that_does_not_exist_is_a_usage_error_with_a_hint(user: CommandLine) -> None:
    outcomes = [
        user.run("ask", "-C", "and then?"),
        user.run("ask", "--thread", "abc", "and then?"),
        user.run("ask", "-C", "--thread", "abc", "and then?"),
    ]

    assert [failure(each) for each in outcomes] == [
        (
            2,
            "there is no conversation to continue yet",
            'ask the first question without -C: streamrag ask "QUESTION"',
        ),
        (2, "the log contains no conversation 'abc'", "streamrag log"),
        (2, "-C and --thread cannot be combined", 'streamrag ask --thread abc "QUESTION"'),
    ]


def test_log_entries_can_be_searched_and_limited_by_number_and_date(user: CommandLine) -> None:
    for question in (QUESTION, LENDING, ROOF):
        ask(user, question, "-q", "-k", "1")

    assert questions(user, "-q", "LIBRARY opens") == [QUESTION]
    assert questions(user, "-q", "four weeks") == [LENDING]
    assert questions(user, "-n", "1") == [ROOF]
    assert questions(user, "-n", f"1{'0' * 20}")[0] == ROOF
    assert questions(user, "--since", "2999-01-01") == []
    assert len(questions(user, "--since", "1h")) == 3
    assert user.run("log", "-q", "giraffe").stderr == "no logged question matches the search\n"
    columns = user.run("log", "-n", "1").stdout.decode().rstrip("\n").split("\t")
    assert (columns[0], columns[3:]) == ("3", ["default", "", ROOF])


def test_each_question_in_the_log_fits_the_terminal_width(user: CommandLine) -> None:
    wide = f"{QUESTION} {'渡轮' * 60}"
    ask(user, wide, "-q", "--min-score", "0")
    with on_terminal(user, "log", columns=70) as (terminal, process):
        assert terminal.wait_for_end(process) == 0

    (line,) = terminal.lines
    assert line.endswith("…")
    assert QUESTION in line


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_the_log_shows_whole_questions_on_a_narrow_terminal(user: CommandLine, columns: int) -> None:
    ask(user, QUESTION, "-q")
    assert user.run("ask", "How tall is a giraffe on Mars?", "--min-score", "1").code == 7
    with on_terminal(user, "log", columns=columns) as (terminal, process):
        assert terminal.wait_for_end(process) == 0

    shown = "\n".join(terminal.lines)
    assert ("How tall is a giraffe on Mars?" in shown, QUESTION in shown, "default" in shown) == (True, True, False)


def test_the_json_of_the_first_answer_contains_its_thread_id(user: CommandLine) -> None:
    first = json.loads(ask(user, "--json", QUESTION).stdout)
    second = json.loads(ask(user, "--json", "--thread", first["thread"], LENDING).stdout)
    unlogged = json.loads(ask(user, "--json", "--no-log", QUESTION).stdout)

    assert [(each["thread"], each["n"]) for each in (first, second)] == [(first["thread"], 1), (first["thread"], 2)]
    assert {each["thread"] for each in logged(user)} == {first["thread"]}
    assert not {"thread", "n"} & set(unlogged)


def test_questions_that_cannot_be_asked_are_not_logged(user: CommandLine) -> None:
    outcomes = [user.run("ask", each) for each in ("", "  ", "x" * 20_001)]

    assert [each.code for each in outcomes] == [2, 2, 2]
    assert logged(user) == []


def test_the_log_notice_appears_with_the_first_answer_but_not_with_a_failure(user: CommandLine) -> None:
    failed = user.run("ask", "How tall is a giraffe on Mars?", "--min-score", "1")
    answered = ask(user, QUESTION)

    assert (failed.code, ANNOUNCED in failed.stderr, ANNOUNCED in answered.stderr) == (7, False, True)


@pytest.mark.parametrize("command", [("ask", "why?"), ("chat",), ("log",), ("log", "rm")])
def test_an_empty_conversation_id_is_a_usage_error(user: CommandLine, command: tuple[str, ...]) -> None:
    outcome = user.run(*command, "--thread", "")

    assert failure(outcome) == (2, "the id of the conversation is empty", "streamrag log")


def test_status_reports_that_the_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    reasons = [why_not_writable(tmp_path / each / "streamrag" / "log.db") for each in ("new", "file", "closed")]

    closed = "" if os.geteuid() == 0 else f"{tmp_path / 'closed'} is not writable"
    assert reasons == ["", f"{tmp_path / 'file'} is not a folder", closed]


def test_continuing_a_conversation_prints_its_description(user: CommandLine) -> None:
    ask(user, QUESTION, "-q")
    (turn,) = logged(user)
    expected = f'continuing conversation {turn["thread"]} (1 question, collection default): "{QUESTION}"'
    with on_terminal(user, "ask", "-C", "and when does it close?", columns=100) as (terminal, process):
        assert terminal.wait_for_end(process) == 0
    shown = terminal.lines[0]
    with on_terminal(user, "ask", "-q", "-C", "and when does it close?", columns=100) as (terminal, process):
        assert terminal.wait_for_end(process) == 0

    assert (shown, [each for each in terminal.lines if "continuing" in each]) == (expected, [])


def test_show_prints_the_question_its_sources_and_the_answer(user: CommandLine) -> None:
    ask(user, QUESTION, "-k", "1")
    ask(user, "-C", LENDING, "-k", "1")
    thread = logged(user)[0]["thread"]
    last = user.run("log", "show").stdout.decode()
    whole = user.run("log", "show", thread).stdout.decode()
    markdown = user.run("log", "show", "1", "--md").stdout.decode()

    assert "> How long may a book be kept?\n" in last
    assert "library open" not in last
    assert whole.index("> When does the library open?") < whole.index("> How long may a book be kept?")
    assert "library/hours.md:3" in whole
    assert markdown == (
        "## When does the library open?\n\n"
        "“The library opens at nine in the morning and closes at six in the evening.” [1]\n\n"
        "Sources:\n\n- [1] `library/hours.md:3` Opening hours\n"
    )


def test_a_logged_answer_keeps_the_marks_of_unsupported_citations(user: CommandLine) -> None:
    claim = "The moon has 40 green valleys and hums at night [1]."
    with OpenAIServer(chat=answer(claim)) as server:
        outcome = ask(user, QUESTION, "-k", "1", "--footnotes", "--base-url", server.base_url, "-m", "test-model")
    note = "note: source [1] may not support a sentence that cites it; check that sentence"
    footnote = "- [1?] `library/hours.md:3` Opening hours\n"
    turn = user.run("log", "show")

    assert (note in outcome.stderr, footnote in outcome.stdout.decode()) == (True, True)
    assert user.run("show", "last").stdout == outcome.stdout
    assert note in turn.stdout.decode()
    assert footnote in user.run("log", "show", "--md").stdout.decode()
    assert [(each["unsupported"], list(each["sources"][0])[-1]) for each in logged(user)] == [([1], "chunk_id")]


def test_no_output_of_the_log_contains_control_characters(user: CommandLine) -> None:
    ask(user, "What is the \x1b[31mzebra\u202e on the roof?", "--min-score", "0")
    with closing(sqlite3.connect(Path(user.variables["XDG_STATE_HOME"], "streamrag", "log.db"))) as db:
        db.execute("UPDATE turns SET thread = ?, state = ?, collection = ?", ["\x1b]0;title\x07"] * 3)
        db.commit()
    outputs = [user.run("log", *each).stdout.decode() for each in ((), ("show",), ("show", "--md"), ("--json",))]

    assert not any(set(each) & {"\x1b", "\x07", "\u202e"} for each in outputs)


@pytest.mark.fault("log-deletion")
def test_deleted_turns_are_erased_from_the_files(user: CommandLine) -> None:
    for question in (QUESTION, LENDING, ROOF):
        ask(user, question, "-q", "-k", "1")
    ids = [str(each["id"]) for each in logged(user)]
    outcomes = [user.run("log", "rm", ids[0]), user.run("log", "rm", "--thread", logged(user)[-1]["thread"])]
    content = b"".join(each.read_bytes() for each in Path(user.variables["XDG_STATE_HOME"], "streamrag").glob("log*"))

    assert [each.stdout for each in outcomes] == [b"1 turn deleted\n", b"1 turn deleted\n"]
    assert questions(user) == [LENDING]
    assert [word in content.lower() for word in (b"concrete", b"six in the evening", b"four weeks")] == [
        False,
        False,
        True,
    ]
    assert user.run("log", "rm", "--older", "1d").stdout == b"0 turns deleted\n"
    assert failure(user.run("log", "rm", ids[0])) == (
        2,
        f"the log contains no turn or conversation {ids[0]}",
        "streamrag log",
    )
    assert failure(user.run("log", "rm"))[0] == 2


def test_deleting_the_whole_log_requires_confirmation(user: CommandLine) -> None:
    ask(user, QUESTION, "-q")
    of_searches = Path(user.variables["XDG_STATE_HOME"], "streamrag", "shown.json")
    of_searches.write_text("{}", encoding="utf-8")
    refused = failure(user.run("log", "rm", "--all"))
    with on_terminal(user, "log", "rm", "--all", columns=150) as (terminal, process):
        terminal.wait_for("[y/N]")
        terminal.type(b"n\n")
        declined = terminal.wait_for_end(process)
    remaining = questions(user)
    with on_terminal(user, "log", "rm", "--all", columns=150) as (terminal, process):
        terminal.wait_for("[y/N]")
        terminal.type(b"y\n")
        accepted = terminal.wait_for_end(process)

    assert refused == (
        2,
        "all questions and answers in the log would be deleted: this requires --yes",
        "streamrag log rm --all --yes",
    )
    assert (declined, remaining) == (2, [QUESTION])
    assert (accepted, questions(user), of_searches.exists()) == (0, [], False)


def test_log_status_and_log_path_describe_the_log(user: CommandLine) -> None:
    ask(user, QUESTION, "-q")
    path = user.run("log", "path").stdout.decode().strip()
    state = json.loads(user.run("log", "status", "--json").stdout)

    assert path == f"{user.variables['XDG_STATE_HOME']}/streamrag/log.db"
    assert {**state, "since": "", "bytes": 0} == {
        "version": 1,
        "logging": True,
        "reason": None,
        "path": path,
        "turns": 1,
        "conversations": 1,
        "since": "",
        "bytes": 0,
        "keep_days": 90,
    }


def test_an_invalid_date_is_a_usage_error(user: CommandLine) -> None:
    code, message, _ = failure(user.run("log", "--since", "yesterday"))

    assert (code, message) == (
        2,
        "--since: 'yesterday' must be a date such as 2026-01-31, or an age such as 12h, 30d or 8w",
    )


def test_words_after_log_are_searched_by_the_command_in_the_hint(user: CommandLine) -> None:
    ask(user, "When does the library open?")
    words, number, typo = (user.run("log", *each) for each in (("library", "open"), ("1",), ("shwo",)))

    assert failure(words) == (2, "No such command 'library'.", "streamrag log -q 'library open'")
    assert failure(number)[2] == "streamrag log show 1"
    assert failure(typo)[2] == "streamrag log --help"
    assert questions(user, "-q", "library open") == ["When does the library open?"]


@pytest.mark.parametrize("command", [("show", "last"), ("log", "show", "last")])
def test_a_question_without_a_relevant_source_is_shown_with_the_reason(
    user: CommandLine, command: tuple[str, ...]
) -> None:
    assert user.run("ask", "Which violin did the dentist repaint?").code == 7
    shown = user.run(*command)

    assert "nothing relevant was found in the documents" in shown.stdout.decode() + shown.stderr
    assert "nothing_relevant" not in shown.stdout.decode() + shown.stderr


def test_the_command_that_deletes_damaged_turns_names_at_most_fifty(user: CommandLine) -> None:
    ask(user, "When does the library open?")
    file = Path(user.run("log", "path").stdout.decode().strip())
    with closing(sqlite3.connect(file)) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(turns)") if row[1] not in {"id", "n"}]
        for n in range(2, 62):
            db.execute(
                f"INSERT INTO turns (n, {', '.join(names)}) SELECT {n}, {', '.join(names)} FROM turns WHERE id = 1"
            )
        db.execute("UPDATE turns SET sources = '['")
    thread = logged_thread(file)
    shown = [user.run(*each) for each in (("log",), ("log", "show", thread), ("ask", "--thread", thread, "And when?"))]

    for each in shown:
        ids = each.stderr.splitlines()[-1].partition("streamrag log rm ")[2].split()
        assert ids == [str(number) for number in range(1, 51)], each


def logged_thread(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        return str(db.execute("SELECT thread FROM turns").fetchone()[0])
