"""Footnotes, links to an editor, and advice that is shown once a day."""

import os
import time
from pathlib import Path

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine
from tests.support.openai_replies import answer
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import WarmCommandLine

ADVICE = "no model is connected"


def test_footnotes_in_a_pipe_are_a_markdown_list_of_the_cited_sources(cli_with_store: WarmCommandLine) -> None:
    reply = answer("One [2]. Two [1][2]. Unknown [9].")

    plain = cli_with_store.ask(reply, QUESTION, "-q").stdout.decode()
    with_footnotes = cli_with_store.ask(reply, QUESTION, "-q", "--footnotes").stdout.decode()

    text, _, footnotes = with_footnotes.partition("\n\n")
    assert (text + "\n", plain) == (plain, "One [2]. Two [1][2]. Unknown [9].\n")
    heading, _, *lines = footnotes.splitlines()
    assert (heading, [line.split(" `")[0] for line in lines]) == ("Sources:", ["- [1]", "- [2]"])
    assert all("`sample_docs/" in line for line in lines)


def test_an_answer_without_citations_has_no_footnotes(cli_with_store: WarmCommandLine) -> None:
    assert cli_with_store.ask(answer("One."), QUESTION, "-q", "--footnotes").stdout == b"One.\n"


def test_links_open_the_configured_editor(cli_with_store: CommandLine) -> None:
    user = cli_with_store.having(STREAMRAG_EDITOR_URI="vscode://file{path}:{line}")
    terminal = shown(user, "ask", "When does the library open?")

    address = f"vscode://file{user.directory}/handbook.md:5".encode()
    assert terminal.raw.count(address) == 3  # in the row of the source, the citation and the footnote


@pytest.mark.parametrize("uri", ["vscode://file", "{path}", "x://{path}\x1b\\evil"])
def test_an_unusable_editor_uri_is_refused(cli_with_store: WarmCommandLine, uri: str) -> None:
    outcome = cli_with_store.having(STREAMRAG_EDITOR_URI=uri).run("search", "library")

    assert outcome.code == 3
    assert "must be a URI with {path} and {line}" in outcome.stderr


def test_a_terminal_shows_the_advice_to_connect_a_model_once_a_day(cli_with_store: CommandLine, tmp_path: Path) -> None:
    user = cli_with_store.having(XDG_STATE_HOME=str(tmp_path))
    question = ("ask", "When does the library open?", "--no-engine")

    assert ADVICE in " ".join(shown(user, *question).lines)
    assert ADVICE not in " ".join(shown(user, *question).lines)
    assert ADVICE in user.run(*question).stderr  # in a pipe, always

    (marker,) = tmp_path.glob("streamrag/*.shown")
    yesterday = time.time() - 86_401
    os.utime(marker, (yesterday, yesterday))
    assert ADVICE in " ".join(shown(user, *question).lines)
