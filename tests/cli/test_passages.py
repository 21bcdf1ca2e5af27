"""Whole passages: `search --full`, `--max-chars` and `text` in JSON."""

import json

from tests.cli.conftest import HANDBOOK
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import WarmCommandLine

QUERY = ("search", "-k", "1", "When does the library open?")
PASSAGE = HANDBOOK.strip()


def test_the_full_flag_prints_whole_passages(cli_with_store: WarmCommandLine) -> None:
    first, _, passage = cli_with_store.run(*QUERY, "--full").stdout.decode().partition("\n")
    _, *rows = shown(cli_with_store, *QUERY, "--full").lines

    assert first.startswith("handbook.md:5\t")
    assert passage == f"{PASSAGE}\n\n"
    assert " ".join(rows).split() == PASSAGE.split()


def test_the_max_chars_flag_cuts_passages_in_text_and_json(cli_with_store: WarmCommandLine) -> None:
    cut = "# Handbook\n\n## Opening hours…"

    for flags in (("--full",), ()):
        assert cli_with_store.run(*QUERY, *flags, "--max-chars", "31").stdout.decode().endswith(f"\n{cut}\n\n")
    (hit,) = json.loads(cli_with_store.run(*QUERY, "--json", "--max-chars", "31").stdout)["hits"]
    assert hit["text"] == cut


def test_json_has_the_whole_passage_but_jsonl_does_not(cli_with_store: WarmCommandLine) -> None:
    (hit,) = json.loads(cli_with_store.run(*QUERY, "--json").stdout)["hits"]
    (source,) = json.loads(cli_with_store.run("ask", *QUERY[1:], "--json").stdout)["sources"]
    events = cli_with_store.run("ask", *QUERY[1:], "--jsonl").stdout.decode()

    assert hit["text"] == source["text"] == PASSAGE
    assert '"text"' not in events
