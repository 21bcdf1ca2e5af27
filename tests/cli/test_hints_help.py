"""Every hint is a command that helps: tests provoke an error, run the command in its hint, and see the effect."""

import json
import re
import shlex
import signal

import pytest
import typer.main

from streamrag_cli.cli.app import app
from streamrag_cli.cli.program import MEANT_COMMANDS
from tests.support.command_line import CommandLine, Outcome
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "When does the lighthouse open?"
_COMMAND = re.compile(r"(?:^|[:,(] (?:or )?)(streamrag .+|ollama serve)$")


def command_in(outcome: Outcome, **placeholders: str) -> list[str]:
    """The arguments of the command at the end of the hint, with values for its placeholders."""
    hint = next(line.removeprefix("hint: ") for line in outcome.stderr.splitlines() if line.startswith("hint: "))
    match = _COMMAND.search(hint)
    assert match, hint
    words = [placeholders.get(word, word) for word in shlex.split(match[1])]
    assert not [word for word in words if re.fullmatch("[A-Z]{3,}", word)], hint
    return words[1:] if words[0] == "streamrag" else words


@pytest.fixture
def island(cli: WarmCommandLine) -> WarmCommandLine:
    """A user with a folder of two documents, which are not ingested."""
    folder = cli.directory / "island"
    folder.mkdir()
    (folder / "lighthouse.md").write_text("The lighthouse opens at ten in the morning.", encoding="utf-8")
    (folder / "ferry.md").write_text("The ferry to the mainland leaves at noon.", encoding="utf-8")
    return cli


@pytest.mark.parametrize("flags", [(), ("-c", "sea"), ("-c", "sea", "--store", "other store")])
@pytest.mark.parametrize("command", ["ask", "search", "status"])
def test_the_hint_for_a_missing_collection_is_an_ingest_command(
    island: WarmCommandLine, command: str, flags: tuple[str, ...]
) -> None:
    arguments = (command, *flags) if command == "status" else (command, *flags, QUESTION)
    failed = island.run(*arguments)
    ingested = island.run(*command_in(failed, PATH="island"))

    assert failed.code == 5
    assert ingested.code == 0, ingested
    assert island.run(*arguments).code == 0


def test_the_error_for_a_missing_collection_names_the_existing_ones(island: WarmCommandLine) -> None:
    for name in ("sea", "shore"):
        assert island.run("ingest", "-q", "island", "-c", name).code == 0

    messages = [island.run(*each, "-c", "see").stderr.splitlines()[0] for each in (("ask", QUESTION), ("status",))]

    assert [message.partition("; ")[2] for message in messages] == ["it has sea, shore"] * 2


@pytest.mark.parametrize("command", ["ask", "search"])
def test_if_nothing_is_relevant_the_hint_shows_weaker_matches(island: WarmCommandLine, command: str) -> None:
    island.run("ingest", "-q", "island")
    failed = island.run(command, "Which violin did the dentist repaint?")
    shown = island.run(*command_in(failed))

    assert (failed.code, failed.stdout) == (7, b"")
    assert {"[1]", "[2]"} <= {line.split(" ")[0] for line in failed.stderr.splitlines()}
    assert shown.code == 0


def test_the_hint_adds_the_scheme_that_a_base_url_lacks(island: WarmCommandLine) -> None:
    island.run("ingest", "-q", "island")
    with OpenAIServer(chat=answer("At ten [1].")) as server:
        failed = island.run("ask", QUESTION, "--base-url", server.base_url.removeprefix("http://"))
        answered = island.run(*command_in(failed))

    assert (failed.code, answered.code, answered.stdout) == (3, 0, b"At ten [1].\n")


def test_the_hint_for_a_server_with_several_models_names_one_of_them(island: WarmCommandLine) -> None:
    island.run("ingest", "-q", "island")
    with OpenAIServer(chat=answer("At ten [1]."), models=("gull", "tern")) as server:
        failed = island.run("ask", QUESTION, "--base-url", server.base_url)
        answered = island.run(*command_in(failed))

    assert (failed.code, answered.code) == (3, 0), answered


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest",), 2),
        (("ingest", "--remove"), 2),
        (("ingest", "--all"), 2),
        (("ingest", "--remove", "elsewhere"), 2),
        (("ask",), 2),
        (("ask", ""), 2),
        (("search", ""), 2),
        (("ask", "-C", QUESTION), 2),
        (("log", "show", "99"), 2),
        (("log", "rm"), 2),
        (("ask", "--no-such-flag"), 2),
        (("ask", "-k", "0", QUESTION), 2),
    ],
)
def test_the_hint_for_an_invalid_command_line_is_an_accepted_command(
    island: WarmCommandLine, arguments: tuple[str, ...], code: int
) -> None:
    if arguments != ("ingest",):
        island.run("ingest", "-q", "island")
    failed = island.having(STREAMRAG_LOG_QUESTIONS="on").run(*arguments)
    command = command_in(failed, PATH="island", QUESTION=QUESTION, QUERY=QUESTION, COLLECTION="default", ID="1")
    helped = island.run(*command)

    assert failed.code == code, failed
    assert helped.code == 0, (command, helped)


def test_the_hint_for_an_unconfirmed_removal_lists_what_would_be_removed(island: WarmCommandLine) -> None:
    for number in range(25):
        (island.directory / "island" / f"{number}.md").write_text(f"Buoy {number} is red.", encoding="utf-8")
    island.run("ingest", "-q", "island", "-c", "sea")
    failed = island.run("ingest", "--remove", "island", "-c", "sea")
    command = command_in(failed)
    listed = island.run(*command)
    removed = island.run(*(word for word in command if word not in {"--dry-run", "-v"}), "--yes")

    assert failed.code == 2
    assert listed.stderr.count("deleted   island/") == 27
    assert "27 deleted; 0 passages" in removed.stderr


def test_the_hint_after_an_interruption_continues_the_ingest(cold_cli: CommandLine) -> None:
    folder = cold_cli.directory / "many files"
    folder.mkdir()
    for number in range(1200):  # of which 256 are written when the signal is sent
        (folder / f"{number}.md").write_text(f"Buoy {number} is {number * 7} fathoms deep.", encoding="utf-8")
    with cold_cli.running("ingest", "many files", "-c", "sea", "--jsonl") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b'"type":"document"' in line:  # the store is open
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    hint = json.loads(stdout.splitlines()[-1])["hint"]
    interrupted = Outcome(code=process.returncode, stdout=stdout, stderr=f"hint: {hint}\n{stderr.decode()}")
    command = command_in(interrupted)

    assert interrupted.code == 130
    assert command == ["ingest", "many files", "-c", "sea", "--jsonl"]
    assert "run the same command again to continue" in interrupted.stderr
    cache = list((cold_cli.home / ".local" / "state" / "streamrag").glob("unfinished-*.npz"))
    assert len(cache) == 1
    assert cache[0].stat().st_mode & 0o077 == 0


def test_every_mistyped_command_name_suggests_an_existing_command(cold_cli: CommandLine) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    assert not set(MEANT_COMMANDS) & set(commands)
    for name, hint in MEANT_COMMANDS.items():
        program, command, *_ = shlex.split(hint)
        assert (program, command in {*commands, "--version"}) == ("streamrag", True), name
    outcome = cold_cli.run("query", "x")
    assert outcome.stderr == "streamrag: No such command 'query'.\nhint: streamrag search \"QUERY\"\n"


def test_the_hint_starts_ollama_if_nothing_listens_on_its_port(island: WarmCommandLine) -> None:
    island.run("ingest", "-q", "island")
    failed = island.run("ask", QUESTION, "--base-url", "http://localhost:11434/v1", "-m", "x")

    assert failed.code == 4
    assert command_in(failed) == ["ollama", "serve"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("who keeps the lighthouse", "streamrag ask 'who keeps the lighthouse'"),
        ("who's the keeper -c sea --plain", "streamrag ask 'who'\"'\"'s the keeper' -c sea"),
        ("find the ferry times", "streamrag search 'the ferry times'"),
        ("who keeps", "streamrag --help"),
        ("open 2", "streamrag show 2"),
        ("sources", "streamrag show 1"),
        ("last", "streamrag show last"),
        ("undo", "streamrag ingest --remove PATH"),
        ("undo -c sea", "streamrag ingest --remove -c sea"),
        ("rm island/ferry.md", "streamrag ingest --remove island/ferry.md"),
        ("drop island", "streamrag ingest --remove island"),
        ("mv island sea", "streamrag ingest sea && streamrag ingest --remove island"),
        ("rename", "streamrag ingest NEW && streamrag ingest --remove OLD"),
        ("retry", "streamrag chat -C"),
        ("version", "streamrag --version"),
        ("tags", "streamrag ls"),
        ("collections rm sea", "streamrag ingest --remove -c sea"),
        ("collections --remove sea", "streamrag ingest --remove -c sea"),
        ("collections --remove", "streamrag ingest --remove -c NAME"),
        ("collections sea", "streamrag collections --help"),
    ],
)
def test_a_line_without_a_command_suggests_the_intended_command(words: str, hint: str, cli: WarmCommandLine) -> None:
    outcome = cli.run(*words.split(" "))

    assert (outcome.code, outcome.stderr.splitlines()[-1]) == (2, f"hint: {hint}")


def test_removing_a_collection_as_a_path_suggests_the_right_command(island: WarmCommandLine) -> None:
    assert island.run("ingest", "-q", "island", "-c", "sea").code == 0
    without_default = island.run("ingest", "--remove", "sea")
    assert island.run("ingest", "-q", "island").code == 0
    failed = island.run("ingest", "--remove", "sea")
    removed = island.run(*command_in(failed), "--yes")

    assert command_in(without_default) == command_in(failed) == ["ingest", "--remove", "-c", "sea"]
    assert (removed.code, island.run("collections").stdout.count(b"\n")) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("ask", QUESTION), f"streamrag ask -c cooking '{QUESTION}'"),
        (("search", QUESTION), f"streamrag search -c cooking '{QUESTION}'"),
        (("ls",), "streamrag ls -c cooking"),
        (("status",), "streamrag status -c cooking"),
        (("ingest", "--remove", "island"), "streamrag ls -c cooking"),
    ],
)
def test_the_hint_for_a_mistyped_collection_names_the_existing_one(
    island: WarmCommandLine, arguments: tuple[str, ...], hint: str
) -> None:
    assert island.run("ingest", "-q", "island", "-c", "cooking").code == 0
    failed = island.run(*arguments, "-c", "cookin")

    assert failed.code == 5
    assert failed.stderr.splitlines()[1] == f"hint: {hint}"
    assert island.run(*command_in(failed)).code == 0


def test_doctor_names_the_existing_collection_instead_of_a_mistyped_one(island: WarmCommandLine) -> None:
    assert island.run("ingest", "-q", "island", "-c", "cooking").code == 0

    assert "hint: streamrag doctor -c cooking\n" in island.run("doctor", "-c", "cookin").stdout.decode()
