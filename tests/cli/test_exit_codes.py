"""Every exit code, with the line that says what happened and the line that says what to do."""

import socket

import pytest

from tests.cli.command_line import CommandLine, Outcome
from tests.cli.conftest import QUESTION
from tests.openai_replies import HTML, Cut, Stall, answer, failure, stream, token, whole_body
from tests.openai_server import OpenAIServer, Script

KEY = "sk-secret-0123456789abcdefghij"


def said(outcome: Outcome) -> tuple[int, list[str]]:
    """The exit code, and the two last lines on stderr."""
    assert "Traceback" not in outcome.stderr
    return outcome.code, outcome.stderr.splitlines()[-2:]


def asked(user: CommandLine, chat: Script, *flags: str) -> tuple[Outcome, str]:
    """What came of a question to a server with that script, and the server's address."""
    with OpenAIServer(chat=chat) as server:
        outcome = user.run("ask", QUESTION, "--base-url", server.base_url, "-m", "m", *flags)
        return outcome, f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("ask", "Missing argument 'QUESTION'.", "streamrag ask --help"),
        ("bogus", "No such command 'bogus'.", "streamrag --help"),
        ("ask --bogus x", "No such option: --bogus", "streamrag ask --help"),
        ("ask -k 0 x", "--top-k: '0' must be a whole number from 1 to 100", "streamrag --help"),
        ("search -k many x", "--top-k: 'many' must be a whole number from 1 to 100", "streamrag --help"),
        ("ask --min-score 2 x", "--min-score: '2' must be a number from 0 to 1", "streamrag --help"),
        ("ask -c ../up x", "--collection: '../up' must be 3 to 63 letters,", "streamrag --help"),
        ("ask -m", "Option '-m' requires an argument.", "streamrag ask --help"),
        ("ingest", "no path to ingest", "streamrag ingest PATH"),
        ("ingest --remove", "--remove takes a PATH and no --rebuild or --dry-run", "streamrag ingest --remove PATH"),
        ("eval nowhere", "nowhere/qrels.tsv: No such file or directory", "streamrag eval DIR, with corpus.jsonl,"),
    ],
)
def test_2_usage(newcomer: CommandLine, arguments: str, message: str, hint: str) -> None:
    code, (first, second) = said(newcomer.run(*arguments.split()))

    assert (code, first.startswith(f"streamrag: {message}"), second.startswith(f"hint: {hint}")) == (2, True, True), (
        first,
        second,
    )


def test_2_without_a_command_the_help_is_on_stderr(newcomer: CommandLine) -> None:
    outcome = newcomer.run()

    assert (outcome.code, outcome.stdout, outcome.stderr.splitlines()[0]) == (
        2,
        b"",
        "Usage: streamrag [OPTIONS] COMMAND [ARGS]...",
    )


def test_3_a_model_without_a_key(reader: CommandLine) -> None:
    assert said(reader.run("ask", QUESTION, "-m", "some-model")) == (
        3,
        ["streamrag: no key is set to ask some-model with", "hint: export OPENAI_API_KEY=KEY"],
    )


def test_3_a_refused_key_is_not_shown_though_the_server_repeats_it(reader: CommandLine) -> None:
    with_key = reader.having(OPENAI_API_KEY=KEY)
    refusal = failure(401, f"Incorrect API key provided: {KEY}.", code="invalid_api_key")
    for flags in ((), ("--debug",), ("--json",), ("--jsonl", "--debug")):
        outcome, address = asked(with_key, refusal, *flags)

        assert outcome.code == 3
        assert outcome.stderr.splitlines()[-2:] == [
            f"streamrag: {address} refused the key (401): Incorrect API key provided: [key].",
            "hint: export OPENAI_API_KEY=KEY",
        ]
        assert KEY not in outcome.stderr + outcome.stdout.decode()


def test_3_several_models_are_named_and_the_command_that_takes_one(reader: CommandLine) -> None:
    with OpenAIServer(models=["one", "two"]) as server:
        outcome = reader.run("ask", QUESTION, "--base-url", server.base_url)

    assert said(outcome) == (
        3,
        [
            f"streamrag: 127.0.0.1:{server.port} serves several models: one, two",
            f"hint: streamrag ask -m one --base-url {server.base_url} QUESTION",
        ],
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [("top_k = 0", "top_k in FILE: '0' must be"), ("keys = 1", "the settings file FILE has unknown names: keys")],
)
def test_3_a_settings_file_that_makes_no_sense(newcomer: CommandLine, file: str, message: str) -> None:
    path = newcomer.home / "config" / "streamrag" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(file, encoding="utf-8")

    code, (first, second) = said(newcomer.run("search", "x"))

    assert (code, second.startswith("hint: ")) == (3, True)
    assert first.replace(str(path), "FILE").startswith(f"streamrag: {message}")


def test_4_a_refused_connection_names_the_server_and_the_sources_are_shown(reader: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    outcome = reader.run("ask", QUESTION, "--base-url", f"http://127.0.0.1:{port}/v1", "-m", "m")

    assert said(outcome) == (
        4,
        [
            f"streamrag: cannot reach the model server at 127.0.0.1:{port}: connection refused",
            "hint: streamrag doctor",
        ],
    )
    assert "sample_docs/" in outcome.stderr


def test_4_an_answer_that_is_cut_off_stays(reader: CommandLine) -> None:
    outcome, address = asked(reader, stream(token("Half"), token(" an"), Cut(reset=False)))

    assert (outcome.stdout, *said(outcome)) == (
        b"Half an\n",
        4,
        [f"streamrag: {address} ended the answer before it was complete", "hint: streamrag ask QUESTION"],
    )


def test_4_a_server_that_falls_silent(reader: CommandLine) -> None:
    impatient = reader.having(STREAMRAG_TIMEOUT="0.5")
    outcome, address = asked(impatient, stream(token("Half"), Stall(ping_every_s=0.05)))

    assert (outcome.stdout, *said(outcome)) == (
        b"Half\n",
        4,
        [
            f"streamrag: {address} has been silent for 0.5 s",
            "hint: STREAMRAG_TIMEOUT=300 streamrag ask QUESTION",
        ],
    )


def test_4_a_web_page_instead_of_an_answer_is_not_printed(reader: CommandLine) -> None:
    code, (first, second) = said(asked(reader, whole_body(HTML, status=404))[0])

    assert (code, "<" in first, second) == (
        3,
        False,
        "hint: streamrag ask --base-url http://HOST:PORT/v1 -m MODEL QUESTION",
    )


@pytest.mark.parametrize("command", ["ask x", "search x", "status"])
def test_5_there_is_no_store(newcomer: CommandLine, command: str) -> None:
    code, (first, second) = said(newcomer.run(*command.split()))

    assert (code, second) == (5, "hint: streamrag ingest PATH")
    assert first.endswith(f" in {newcomer.store}")


def test_5_an_empty_store_and_a_damaged_one(newcomer: CommandLine) -> None:
    file = newcomer.directory / "one.md"
    file.write_text("Some words.", encoding="utf-8")
    newcomer.run("ingest", "one.md")
    newcomer.run("ingest", "--remove", "one.md")
    empty = newcomer.run("ask", "words")
    (newcomer.store / "collections" / "default" / "current.json").write_text("{", encoding="utf-8")
    damaged = newcomer.run("ask", "words")

    assert said(empty) == (
        5,
        ["streamrag: the store is empty: nothing was ingested", "hint: streamrag ingest PATH"],
    )
    code, (first, second) = said(damaged)
    assert (code, "current.json is damaged" in first) == (5, True)
    assert second == "hint: streamrag ingest --rebuild PATH"


def test_5_another_embedding_is_noticed_before_anything_is_sent(reader: CommandLine) -> None:
    with OpenAIServer() as server:
        outcome = reader.run("ask", QUESTION, "--embedding", "openai:words", "--base-url", server.base_url)
        requests = server.requests

    code, (first, _) = said(outcome)
    assert (code, requests) == (5, [])
    assert "builtin:all-MiniLM-L6-v2" in first
    assert "openai:words" in first


def test_6_a_file_that_cannot_be_read_is_named_and_the_rest_is_ingested(newcomer: CommandLine) -> None:
    (newcomer.directory / "good.md").write_text("Some words.", encoding="utf-8")
    (newcomer.directory / "bad.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    outcome = newcomer.run("ingest", ".")

    assert (outcome.code, outcome.stdout) == (6, b"")
    assert outcome.stderr.startswith("failed    bad.pdf: ")
    assert outcome.stderr.splitlines()[-1].startswith("1 added, 1 failed; 1 chunks in the store; ")


def test_7_where_nothing_is_relevant_no_model_is_called(reader: CommandLine) -> None:
    with OpenAIServer(chat=answer("Invented.")) as server:
        outcome = reader.run("ask", "zxqv wvkj qqqq", "--base-url", server.base_url)
        requests = server.requests

    code, (first, second) = said(outcome)
    assert (code, outcome.stdout, requests) == (7, b"", [])
    assert first.startswith("streamrag: nothing relevant in the documents: ")
    assert second == "hint: ask in other words, or accept weaker matches: streamrag ask --min-score 0 QUESTION"
