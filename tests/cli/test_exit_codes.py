"""Every exit code, with its message and its hint."""

import os
import re
import shlex
import socket
from dataclasses import replace

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine, Outcome, run_concurrently
from tests.support.files import write
from tests.support.openai_replies import Cut, Stall, answer, failure, stream, token
from tests.support.openai_server import OpenAIServer

KEY = "sk-secret-0123456789abcdefghij"


def code_and_last_lines(outcome: Outcome) -> tuple[int, list[str]]:
    """The exit code and the last two lines on stderr."""
    assert "Traceback" not in outcome.stderr
    return outcome.code, outcome.stderr.splitlines()[-2:]


@pytest.fixture(scope="module")
def outcomes(cli_with_store: CommandLine) -> dict[str, Outcome]:
    """The outcomes of questions to failing servers."""
    refusal = failure(401, f"Incorrect API key provided: {KEY}.", code="invalid_api_key")
    with_key, impatient = cli_with_store.having(OPENAI_API_KEY=KEY), cli_with_store.having(STREAMRAG_TIMEOUT="0.5")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    refused = ("ask", QUESTION, "--base-url", f"http://127.0.0.1:{port}/v1", "-m", "m")
    outcomes = run_concurrently(
        {
            "key refused": lambda: with_key.ask(refusal, QUESTION, "-m", "m", "--debug", "--json"),
            "connection refused": lambda: cli_with_store.run(*refused),
            "cut off": lambda: cli_with_store.ask(stream(token("Half"), token(" an"), Cut(reset=False)), QUESTION),
            "silent": lambda: impatient.ask(stream(token("Half"), Stall(ping_every_s=0.05)), QUESTION),
        }
    )
    return {name: replace(each, stderr=re.sub(r":\d{5}\b", ":PORT", each.stderr)) for name, each in outcomes.items()}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("ask", "the question is empty", 'streamrag ask "QUESTION"'),
        ("ask --stdin", "missing QUESTION", 'streamrag ask "QUESTION"'),
        ("bogus", "No such command 'bogus'.", "streamrag --help"),
        ("list", "No such command 'list'.", "streamrag ls"),
        ("cat notes.md", "No such command 'cat'.", "streamrag show notes.md"),
        ("rm docs", "No such command 'rm'.", "streamrag ingest --remove docs"),
        ("ask --bogus x", "No such option: --bogus", "streamrag ask --help"),
        ("ask -k 0 x", "--top-k: '0' must be a whole number from 1 to 100", "streamrag ask --help"),
        ("search -k many x", "--top-k: 'many' must be a whole number from 1 to 100", "streamrag search --help"),
        ("ask --min-score 2 x", "--min-score: '2' must be a number from 0 to 1", "streamrag ask --help"),
        ("ask -c ../up x", "--collection: '../up' must be 1 to 63 letters,", "streamrag ask --help"),
        ("ask -m", "Option '-m' requires an argument.", "streamrag ask --help"),
        ("ingest", "no PATH was given", "streamrag ingest PATH"),
        ("ingest --rebuild", "no PATH was given", "streamrag ingest --rebuild PATH"),
        (
            "ingest --remove",
            "--remove requires a PATH, or -c to remove a whole collection, and cannot be combined with --rebuild",
            "streamrag ingest --remove PATH",
        ),
        ("eval nowhere", "nowhere/qrels.tsv: No such file or directory", "streamrag eval DIR, with corpus.jsonl,"),
    ],
)
def test_usage_errors_exit_with_2(cli: CommandLine, arguments: str, message: str, hint: str) -> None:
    code, (first, second) = code_and_last_lines(cli.run(*arguments.split()))

    assert (code, first.startswith(f"streamrag: {message}"), second.startswith(f"hint: {hint}")) == (2, True, True), (
        first,
        second,
    )


@pytest.mark.parametrize("arguments", [(), ("engine",)])
def test_without_a_command_help_is_printed(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    outcome = cli.run(*arguments)

    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.decode().startswith(f"Usage: streamrag {' '.join(arguments)}".rstrip() + " [OPTIONS] COMMAND")


def test_a_question_can_be_unquoted_piped_or_passed_without_a_command(cli_with_store: CommandLine) -> None:
    quoted = cli_with_store.run("ask", "-q", QUESTION)

    assert quoted.code == 0
    assert cli_with_store.run("ask", "-q", *QUESTION.split()) == quoted
    assert cli_with_store.run("ask", "-q", stdin=QUESTION.encode()) == quoted
    assert cli_with_store.run(QUESTION, "-q") == quoted
    assert cli_with_store.run("search", *QUESTION.split()).stdout == cli_with_store.run("search", QUESTION).stdout


def test_a_model_without_a_key_exits_with_3(cli_with_store: CommandLine) -> None:
    assert code_and_last_lines(cli_with_store.run("ask", QUESTION, "-m", "some-model")) == (
        3,
        ["streamrag: no API key is set for some-model", "hint: export OPENAI_API_KEY=KEY"],
    )


@pytest.mark.fault("model-refuses-key")
def test_a_refused_key_echoed_by_the_server_is_not_shown(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["key refused"]  # run with --debug, which also prints a traceback

    assert outcome.code == 3
    assert "Traceback" in outcome.stderr
    assert outcome.stderr.splitlines()[-2:] == [
        "streamrag: 127.0.0.1:PORT refused the API key (401): Incorrect API key provided: [key].",
        "hint: export OPENAI_API_KEY=KEY",
    ]
    assert KEY not in outcome.stderr + outcome.stdout.decode()


def test_several_models_are_listed_with_a_command_to_choose_one(cli_with_store: CommandLine) -> None:
    with OpenAIServer(models=["one", "two"]) as server:
        outcome = cli_with_store.run("ask", QUESTION, "--base-url", server.base_url)

    assert code_and_last_lines(outcome) == (
        3,
        [
            f"streamrag: 127.0.0.1:{server.port} serves several models: one, two",
            f"hint: streamrag ask -m one --base-url {server.base_url} {shlex.quote(QUESTION)}",
        ],
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("top_k = 0", "top_k in FILE: '0' must be"),
        ("keys = 1", "the settings file FILE contains unknown settings: keys"),
    ],
)
def test_an_invalid_settings_file_exits_with_3(cli: CommandLine, file: str, message: str) -> None:
    path = cli.home / "config" / "streamrag" / "config.toml"
    write(path, file)

    code, (first, second) = code_and_last_lines(cli.run("search", "x"))

    assert (code, second.startswith("hint: ")) == (3, True)
    assert first.replace(str(path), "FILE").startswith(f"streamrag: {message}")


def test_a_failed_first_ingest_does_not_determine_the_embedder(cli: CommandLine) -> None:
    (cli.directory / "one.md").write_text("Some words.", encoding="utf-8")
    with OpenAIServer(embeddings=[failure(404, "no such model")]) as server:
        failed = cli.run("ingest", "one.md", "--embedding", "openai:lost", "--base-url", server.base_url)
    dry = cli.run("ingest", "one.md", "--dry-run")
    ingested = cli.run("ingest", "one.md")

    assert (failed.code, dry.code, ingested.code) == (3, 0, 0), (failed, dry, ingested)
    assert cli.run("search", "words").stdout.startswith(b"one.md:1\t")


@pytest.mark.fault("model-unreachable")
@pytest.mark.parametrize(
    ("run", "answer_part", "message"),
    [
        ("connection refused", b"", "cannot reach the model server at 127.0.0.1:PORT: connection refused"),
        ("cut off", b"Half an\n", "127.0.0.1:PORT closed the connection before the answer was complete"),
        ("silent", b"Half\n", "127.0.0.1:PORT sent nothing for 0.5 s"),
    ],
)
def test_a_model_server_failure_exits_with_4_and_keeps_the_output(
    outcomes: dict[str, Outcome], run: str, answer_part: bytes, message: str
) -> None:
    code, (first, second) = code_and_last_lines(outcomes[run])

    assert (code, outcomes[run].stdout, first) == (4, answer_part, f"streamrag: {message}")
    assert second.startswith("hint: ")
    assert "sample_docs/" in outcomes[run].stderr


@pytest.mark.fault("store-missing")
@pytest.mark.parametrize("command", ["ask x", "search x", "status"])
def test_a_missing_store_exits_with_5(cli: CommandLine, command: str) -> None:
    code, (first, second) = code_and_last_lines(cli.run(*command.split()))

    assert (code, second) == (5, "hint: streamrag ingest PATH")
    assert first.endswith((f" in {cli.store}", f" into {cli.store}"))


@pytest.mark.fault("store-missing")
def test_empty_and_damaged_stores_exit_with_5(cli: CommandLine) -> None:
    file = cli.directory / "one.md"
    file.write_text("Some words.", encoding="utf-8")
    cli.run("ingest", "one.md")
    cli.run("ingest", "--remove", "one.md")
    empty = cli.run("ask", "words")
    (cli.store / "collections" / "default" / "current.json").write_text("{", encoding="utf-8")
    damaged = cli.run("ask", "words")

    assert code_and_last_lines(empty) == (
        5,
        ["streamrag: nothing has been ingested into the collection", "hint: streamrag ingest PATH"],
    )
    code, (first, second) = code_and_last_lines(damaged)
    assert (code, "current.json is damaged" in first) == (5, True)
    assert second == "hint: streamrag ingest --rebuild PATH"


@pytest.mark.fault("other-embedding")
def test_a_different_embedder_is_rejected_before_anything_is_sent(cli_with_store: CommandLine) -> None:
    with OpenAIServer() as server:
        outcome = cli_with_store.run("ask", QUESTION, "--embedding", "openai:words", "--base-url", server.base_url)
        requests = server.requests

    code, (first, _) = code_and_last_lines(outcome)
    assert (code, requests) == (5, [])
    assert "builtin:all-MiniLM-L6-v2" in first
    assert "openai:words" in first


@pytest.mark.fault("unreadable-files")
def test_an_unreadable_file_is_listed_and_all_other_files_are_ingested(cli: CommandLine) -> None:
    (cli.directory / "good.md").write_text("Some words.", encoding="utf-8")
    (cli.directory / "bad.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    outcome = cli.run("ingest", ".")

    assert (outcome.code, outcome.stdout) == (6, b"")
    assert outcome.stderr.startswith("failed    bad.pdf: ")
    assert outcome.stderr.splitlines()[-1].startswith("1 added, 1 failed; 1 passage in the collection; ")


@pytest.mark.fault("unsupported-files")
def test_ingesting_a_named_file_of_unknown_format_exits_with_6(cli: CommandLine) -> None:
    (cli.directory / "budget.numbers").write_bytes(b"PK\3\4 and more")
    discovered, named = cli.run("ingest", "."), cli.run("ingest", "budget.numbers")

    assert (named.code, named.stderr.splitlines()[0]) == (
        6,
        "failed    budget.numbers: unsupported format (.numbers): the content is binary, not text",
    )
    assert (discovered.code, "Skipped 1: 1 spreadsheet" in discovered.stderr) == (0, True)


def test_a_file_name_that_is_not_utf_8_does_not_stop_the_ingest(cli: CommandLine) -> None:
    (cli.directory / "good.md").write_text("Some words.", encoding="utf-8")
    (cli.directory / os.fsdecode(b"bad\xff.md")).write_text("Other words.", encoding="utf-8")
    outcome = cli.run("ingest", ".")

    assert (outcome.code, outcome.stderr.splitlines()[0]) == (6, "failed    bad\ufffd.md: the file name is not UTF-8")
    assert cli.run("search", "words", "-k", "1").stdout.startswith(b"good.md:1\t")


def test_a_path_argument_that_is_not_utf_8_exits_with_2(cli: CommandLine) -> None:
    (cli.directory / os.fsdecode(b"\xff")).mkdir()
    (cli.directory / "good.md").write_text("Some words.", encoding="utf-8")
    cli.run("ingest", "good.md")

    assert code_and_last_lines(cli.run(b"ingest", b"\xff"))[0] == 2
    assert code_and_last_lines(cli.run(b"ingest", b"--remove", b"\xff"))[0] == 2
    assert code_and_last_lines(cli.run(b"search", b"--store", b"\xff", b"words"))[0] == 2


def test_no_model_is_called_if_nothing_is_relevant(cli_with_store: CommandLine) -> None:
    with OpenAIServer(chat=answer("Invented.")) as server:
        outcome = cli_with_store.run("ask", "zxqv wvkj qqqq", "--base-url", server.base_url)
        requests = server.requests

    first, second, *nearest = outcome.stderr.splitlines()
    assert (outcome.code, outcome.stdout, requests) == (7, b"", [])
    assert first.startswith("streamrag: nothing relevant in the documents: ")
    again = f"streamrag ask --min-score 0 --base-url {server.base_url} 'zxqv wvkj qqqq'"
    assert second.startswith("hint: rephrase the question, ")
    assert second.endswith(f"or accept weaker matches: {again}")
    assert nearest[0] == "closest matches, probably not relevant:"
    assert [line.split(" ")[0] for line in nearest[1:]] == ["[1]", "[2]", "[3]"]
