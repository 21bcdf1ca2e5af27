"""`--in`, `--since`, `--format` and `--tag` on the command line."""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamrag_cli.retrieval.search_hints import similar
from tests.support.command_line import CommandLine, Outcome
from tests.support.files import write_files
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import WarmCommandLine, warm

OLD_S = 1_500_000_000
FILES = {
    "manual/v1/pump.md": "---\ntags: [Water, old]\n---\n# Pump\n\nThe pump of the first series needs oil each month.\n",
    "manual/v2/pump.md": "---\ntags: [water]\n---\n# Pump\n\nThe pump of the second series needs no oil at all.\n",
    "letters/pump.txt": "Hello Ada, the pump in the cellar was out of oil again last winter. Yours, Max.\n",
}
QUESTION = "Does the pump need oil?"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    home = tmp_path_factory.mktemp("filters")
    work = home / "work"
    write_files(work, FILES)
    os.utime(work / "manual/v1/pump.md", (OLD_S, OLD_S))
    with warm(CommandLine(home=home, directory=work)) as user:
        assert user.run("ingest", "manual", "letters").code == 0
        yield user


def sources(outcome: Outcome) -> set[str]:
    assert outcome.code == 0, outcome
    return {hit["source"] for hit in json.loads(outcome.stdout)["hits"]}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--in", "manual"), {"manual/v1/pump.md", "manual/v2/pump.md"}),
        (("--in", "manual/v1/", "--in", "letters/*.txt"), {"manual/v1/pump.md", "letters/pump.txt"}),
        (("--in", "*.txt"), {"letters/pump.txt"}),
        (("--in", "manual/**/pump.md", "--since", "2020-01-01"), {"manual/v2/pump.md"}),
        (("--since", "7d"), {"manual/v2/pump.md", "letters/pump.txt"}),
        (("--format", "md"), {"manual/v1/pump.md", "manual/v2/pump.md"}),
        (("--format", "text", "--format", "pdf"), {"letters/pump.txt"}),
        (("--tag", "water"), {"manual/v1/pump.md", "manual/v2/pump.md"}),
        (("--tag", "water", "--tag", "OLD"), {"manual/v1/pump.md"}),
    ],
)
def test_search_uses_only_the_documents_that_the_flags_allow(
    flags: tuple[str, ...], expected: set[str], user: WarmCommandLine
) -> None:
    assert sources(user.run("search", "--json", "--min-score", "0", *flags, QUESTION)) == expected


def test_an_absolute_pattern_works_from_any_directory(user: WarmCommandLine, tmp_path: Path) -> None:
    elsewhere = CommandLine(home=user.home, directory=tmp_path)

    absolute = elsewhere.run("search", "-q", "--in", f"{user.directory}/letters", QUESTION)
    as_displayed = elsewhere.run("search", "-q", "--in", "~/work/letters", QUESTION)
    as_stored = elsewhere.run("search", "-q", "--in", "letters", QUESTION)

    assert absolute.stdout.startswith(b"~/work/letters/pump.txt")
    assert absolute.stdout == as_displayed.stdout == as_stored.stdout


def test_the_model_gets_only_allowed_passages(user: WarmCommandLine) -> None:
    with OpenAIServer(chat=answer("No [1].")) as model:
        flags = ("--base-url", model.base_url, "-m", "m", "--in", "manual/v2")
        outcome = user.run("ask", "-q", *flags, QUESTION)

    prompt = json.dumps(model.requests[-1].json)
    assert outcome.stdout == b"No [1].\n"
    assert ("second series" in prompt, "first series" in prompt, "cellar" in prompt) == (True, False, False)


def test_a_chat_keeps_the_filter_until_it_is_changed(user: WarmCommandLine) -> None:
    questions = f"{QUESTION}\n/filter --in letters --format text\n{QUESTION}\n/filter off\n{QUESTION}\n/filter --in\n"
    outcome = user.run("chat", "--jsonl", "--tag", "old", stdin=questions.encode())

    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    shown = [{each["source"] for each in event["sources"]} for event in events if event["type"] == "sources"]
    assert shown[:2] == [{"manual/v1/pump.md"}, {"letters/pump.txt"}]
    assert len(shown[2]) > 1
    assert "--in letters --format text\n" in outcome.stderr
    assert "no filter is set: all documents are searched\n" in outcome.stderr
    assert "usage: /filter [--in GLOB]" in outcome.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--in", "invoices"), "no document in the collection matches --in invoices"),
        (("--tag", "fire", "--format", "md"), "no document in the collection matches --format md --tag fire"),
        (("--since", "2999-01-01"), "no document in the collection matches --since 2999-01-01"),
        (("--in", "\x1b[31m*"), "no document in the collection matches --in '\ufffd[31m*'"),
    ],
)
def test_a_filter_that_matches_no_document_exits_with_7(
    flags: tuple[str, ...], message: str, user: WarmCommandLine
) -> None:
    for command in ("ask", "search"):
        outcome = user.run(command, *flags, QUESTION)
        assert (outcome.code, outcome.stdout) == (7, b"")
        assert outcome.stderr == f"streamrag: {message}\nhint: list the documents: streamrag ls\n"


@pytest.mark.parametrize("flags", [("--since", "soon"), ("--format", "worddoc"), ("--in", ""), ("--tag", "")])
def test_an_invalid_filter_is_a_usage_error(flags: tuple[str, ...], user: WarmCommandLine) -> None:
    outcome = user.run("search", "--json", *flags, QUESTION)

    assert outcome.code == 2
    assert json.loads(outcome.stdout)["error"]["code"] == "bad_filter"


def test_hints_repeat_the_filter(user: WarmCommandLine) -> None:
    outcome = user.run("search", "--in", "manual/v2", "--in", "two words", "--tag", "water", "unicorns")

    assert outcome.code == 7
    hint = "streamrag search --min-score 0 --in manual/v2 --in 'two words' --tag water unicorns"
    assert outcome.stderr.splitlines()[1].endswith(hint)


@pytest.mark.parametrize(
    ("pattern", "suggestion"),
    [
        ("v2", "did you mean --in manual/v2?"),
        ("manaul/v1/", "did you mean --in manual/v1 or --in manual/v2?"),
        ("V1/*.md", "did you mean --in 'manual/v1/*.md'?"),
        ("leters/pump.txt", "did you mean --in letters/pump.txt?"),
        ("pump", "did you mean --in manual/v1/pump.md or --in manual/v2/pump.md or --in letters/pump.txt?"),
        ("quarterly", ""),
    ],
)
def test_a_filter_path_without_matches_suggests_similar_names(pattern: str, suggestion: str) -> None:
    names = ["manual/v1/pump.md", "manual/v2/pump.md", "letters/pump.txt"]

    assert similar(pattern.rstrip("/"), names) == [
        word for word in shlex.split(suggestion.removeprefix("did you mean ").rstrip("?")) if word not in {"--in", "or"}
    ]


def test_hints_of_an_empty_search_name_existing_documents(user: WarmCommandLine) -> None:
    assert user.run("ingest", "-q", "letters", "-c", "post").code == 0

    hints = [
        next(line for line in user.run("search", *words).stderr.splitlines() if line.startswith("hint: "))
        for words in (("--in", "manul/v2", QUESTION), ("--since", "7d", "Which violin did the dentist repaint?"))
    ]

    assert hints == [
        "hint: did you mean --in manual/v2 or --in manual/v1 or --in manual? To list the documents: streamrag ls",
        "hint: rephrase the question, leave out the filter (--since 7d), ask another collection (-c post), or accept"
        " weaker matches: streamrag search --min-score 0 --since 7d 'Which violin did the dentist repaint?'",
    ]


def test_the_hint_suggests_no_other_collection_if_all_were_searched(user: WarmCommandLine) -> None:
    assert user.run("ingest", "-q", "letters", "-c", "post").code == 0
    both = ("-c", "default", "-c", "post", "--since", "7d")
    lines = user.run("search", *both, "Which violin did the dentist repaint?").stderr.splitlines()

    assert [line.partition(", or accept")[0] for line in lines if line.startswith("hint: ")] == [
        "hint: rephrase the question, leave out the filter (--since 7d)"
    ]
