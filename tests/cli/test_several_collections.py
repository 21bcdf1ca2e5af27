"""`-c` more than once: on `ask`, `search`, `chat`, and in what follows an answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import WarmCommandLine, warm

FILES = {
    "rules/keys.md": "# Keys\n\nThe key of the workshop hangs behind the third locker.\n",
    "diary/june.md": "# June\n\nThe key of the workshop was lost by Nadia, who ordered another one.\n",
}
KEY = "Where is the key of the workshop, and who lost it?"
BOTH = ("-c", "rules", "-c", "diary")
RULES, DIARY = "rules/keys.md:3", "diary/june.md:3"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user with two collections, and a log."""
    home = tmp_path_factory.mktemp("both")
    write_files(home / "work", FILES)
    with warm(CommandLine(home=home, directory=home / "work")) as without_log:
        user = without_log.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(home / "state"))
        for name in ("rules", "diary"):
            assert user.run("ingest", name, "-c", name).code == 0
        yield user


def hits(user: CommandLine, *flags: str) -> set[tuple[str, str | None]]:
    outcome = user.run("search", "--json", "--min-score", "0", *flags, KEY)
    assert outcome.code == 0, outcome
    return {(hit["source"], hit.get("collection")) for hit in json.loads(outcome.stdout)["hits"]}


@pytest.mark.parametrize("flags", [BOTH, ("-c", "rules,diary"), (*BOTH, "-c", "rules")])
def test_hits_name_their_collection_if_several_are_searched(flags: tuple[str, ...], user: WarmCommandLine) -> None:
    assert hits(user, *flags) == {("rules/keys.md", "rules"), ("diary/june.md", "diary")}


@pytest.mark.parametrize("flags", [("-c", "rules"), ("-c", "rules", "-c", "rules")])
def test_hits_do_not_name_the_collection_if_only_one_is_searched(flags: tuple[str, ...], user: WarmCommandLine) -> None:
    assert hits(user, *flags) == {("rules/keys.md", None)}


def test_text_output_names_the_collection_after_the_location(user: WarmCommandLine) -> None:
    searched = user.run("search", "-q", "--min-score", "0", *BOTH, KEY).stdout.decode().splitlines()
    answered = user.run("ask", "--min-score", "0", *BOTH, KEY)
    on_terminal = shown(user, "search", "--min-score", "0", *BOTH, KEY, columns=100).lines

    notes = {line.split("\t")[0]: line.split("\t")[-1] for line in searched}
    assert notes == {RULES: "(in rules)", DIARY: "(in diary)"}
    assert {f"{RULES} (in rules)", f"{DIARY} (in diary)"} <= {line[4:] for line in answered.stderr.splitlines()}
    assert any(RULES in line and "(in rules)" in line for line in on_terminal)


def log(user: CommandLine, *flags: str) -> list[dict[str, Any]]:
    outcome = user.run("log", "--jsonl", *flags)
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def test_a_conversation_keeps_its_collections_and_shows_sources_from_them(user: WarmCommandLine) -> None:
    first = user.run("ask", "--json", "--min-score", "0", *BOTH, KEY)
    followed = user.run("ask", "-C", "--json", "--min-score", "0", "And who ordered another one?")
    [turn, before] = log(user, "-n", "2")
    shown_sources = {each["collection"]: user.run("show", str(each["n"])).stdout.decode() for each in turn["sources"]}

    assert [each.code for each in (first, followed)] == [0, 0]
    assert {each["collection"] for each in json.loads(followed.stdout)["sources"]} == {"rules", "diary"}
    assert {each["collection"] for each in (turn, before)} == {"rules,diary"}
    assert {name: text.partition("\n")[0] for name, text in shown_sources.items()} == {
        "rules": "# Keys",
        "diary": "# June",
    }
    assert {name: bool(log(user, "-c", name)) for name in ("rules", "diary", "dia", "rules,diary")} == {
        "rules": True,
        "diary": True,
        "dia": False,
        "rules,diary": True,
    }


def test_a_chat_answers_from_both_collections_and_shows_sources_of_each(user: WarmCommandLine) -> None:
    outcome = user.run("chat", "-q", "--min-score", "0", *BOTH, stdin=f"{KEY}\n/sources 1\n/sources 2\n".encode())

    assert outcome.code == 0, outcome
    assert "Nadia" in outcome.stdout.decode()
    assert {"# Keys", "# June"} <= set(outcome.stderr.splitlines())


def test_an_error_names_the_collection_and_its_hint_repeats_the_flags(user: WarmCommandLine) -> None:
    missing = user.run("ask", "-c", "rules", "-c", "letters", KEY)
    irrelevant = user.run("ask", "--min-score", "1", *BOTH, "Where?")

    assert (missing.code, missing.stderr.splitlines()[-1]) == (5, "hint: streamrag ingest PATH -c letters")
    assert missing.stderr.startswith("streamrag: there is no collection 'letters' in ")
    assert irrelevant.code == 7
    assert (
        "hint: rephrase the question, or accept weaker matches: streamrag ask --min-score 0 -c rules -c diary 'Where?'"
        in (irrelevant.stderr.splitlines())
    )


@pytest.mark.parametrize("names", ["rules,", ",", "", "rules, di ary"])
def test_every_collection_name_must_be_valid(names: str, user: WarmCommandLine) -> None:
    outcome = user.run("search", "-c", names, KEY)

    assert (outcome.code, "must be 1 to 63 letters" in outcome.stderr) == (2, True)


def test_the_collection_variable_and_ls_accept_only_one_collection(user: WarmCommandLine) -> None:
    variable = user.having(STREAMRAG_COLLECTION="rules,diary").run("search", KEY)
    listed = user.run("ls", "-c", "rules,diary")

    assert [(each.code, "must be 1 to 63 letters" in each.stderr) for each in (variable, listed)] == [
        (3, True),
        (2, True),
    ]
