"""What a person sees on a terminal, whatever its width, its kind and the names of the files."""

import re
import tempfile
import threading

import pytest

from tests.cli.command_line import CommandLine, at_once
from tests.cli.conftest import QUESTION
from tests.cli.pseudo_terminal import Terminal, on_terminal, shown
from tests.openai_replies import Hold, answer
from tests.openai_server import OpenAIServer

MARKDOWN = ("A **bold** beginning [1].\n", "\n- first point\n- second", " point\n\nThe `end`.\n")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)[;m]")


def answered(user: CommandLine, *flags: str, columns: int = 120, rows: int = 60) -> Terminal:
    with OpenAIServer(chat=answer(*MARKDOWN)) as server:
        return shown(user, "ask", QUESTION, "--base-url", server.base_url, *flags, columns=columns, rows=rows)


@pytest.fixture(scope="module")
def terminals(reader: CommandLine) -> dict[str, Terminal]:
    """The same answer on terminals of several kinds."""
    return at_once(
        {
            "usual": lambda: answered(reader),
            "NO_COLOR": lambda: answered(reader.having(NO_COLOR="1")),
            "TERM=dumb": lambda: answered(reader.having(TERM="dumb")),
            "--plain": lambda: answered(reader, "--plain"),
            "1 column": lambda: answered(reader, columns=1, rows=24),
            "20 columns": lambda: answered(reader, columns=20, rows=24),
            "200 columns": lambda: answered(reader, columns=200, rows=24),
        }
    )


def test_sources_come_first_then_the_rendered_answer_then_the_timings(terminals: dict[str, Terminal]) -> None:
    terminal = terminals["usual"]

    text = "\n".join(terminal.lines)
    parts = (
        "source ",
        "sample_docs/",
        "A bold beginning [1].",
        "first point",
        "second point",
        "The end.",
        "retrieval ",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "*" not in text
    assert "`" not in text.partition("A bold")[2]
    assert (terminal.cursor_is_visible, text.count("first point")) == (True, 1)
    assert re.fullmatch(
        r"retrieval .+ \| first token .+ \| total .+ \| .+ tokens/s \| test-model \| 7 tokens in, 3 out",
        terminal.lines[-1],
    )


def test_no_color_drops_colour_and_keeps_the_words(terminals: dict[str, Terminal]) -> None:
    in_colour, without = terminals["usual"], terminals["NO_COLOR"]

    assert (bool(COLOUR.search(in_colour.raw)), bool(COLOUR.search(without.raw))) == (True, False)
    assert "Aboldbeginning[1]." in without.words


@pytest.mark.parametrize("kind", ["TERM=dumb", "--plain"])
def test_a_terminal_that_cannot_redraw_gets_the_text_as_it_is(terminals: dict[str, Terminal], kind: str) -> None:
    terminal = terminals[kind]

    assert b"\x1b" not in terminal.raw
    assert "".join(MARKDOWN).replace("\n", "\r\n").encode() in terminal.raw


@pytest.mark.parametrize("width", ["1 column", "20 columns", "200 columns"])
def test_at_any_width_nothing_of_the_answer_or_the_sources_is_lost(terminals: dict[str, Terminal], width: str) -> None:
    words = terminals[width].words.replace("*", "")

    for part in ("Aboldbeginning[1].", "firstpoint", "secondpoint", "pipes-and-signals.txt"):
        assert part in words


@pytest.mark.parametrize("arguments", ["search tokens", "status", "ingest --dry-run -v sample_docs"])
def test_on_a_dumb_terminal_no_command_writes_an_escape(reader: CommandLine, arguments: str) -> None:
    assert b"\x1b" not in shown(reader.having(TERM="dumb"), *arguments.split()).raw


@pytest.mark.parametrize("arguments", ["search tokens", "status"])
def test_one_column_is_enough_for_every_command(reader: CommandLine, arguments: str) -> None:
    assert "sample_docs" in shown(reader, *arguments.split(), columns=1).words


def test_a_window_resized_amid_the_answer_loses_nothing(reader: CommandLine) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer(*MARKDOWN, between=(Hold(release),))) as server,
        on_terminal(reader, "ask", QUESTION, "--base-url", server.base_url) as (terminal, process),
    ):
        terminal.wait_for("bold beginning")
        terminal.resize(30, 20)
        release.set()
        code = terminal.wait_for_end(process)

    assert code == 0
    for part in ("Aboldbeginning[1].", "firstpoint", "secondpoint", "Theend."):
        assert part in terminal.words


def test_a_source_is_a_link_to_its_file(reader: CommandLine) -> None:
    terminal = shown(reader, "search", "When does the library open?", "-k", "1")

    address = (reader.directory / "handbook.md").as_uri().encode()
    assert re.search(rb"\x1b\]8;[^;]*;" + re.escape(address) + rb"\x1b\\handbook\.md:\d", terminal.raw)


@pytest.mark.parametrize("columns", [50, 200])
def test_names_headings_and_text_of_documents_are_shown_as_text(reader: CommandLine, columns: int) -> None:
    terminal = shown(reader, "ask", "How is the zebra crossing painted?", "-c", "evil", columns=columns)

    assert not re.search(rb"\x1b\[31mred|\x1b\]52|\x07|\xe2\x80\xae", terminal.raw)
    assert "\ufffd[31mred[bold][link=http:evil]name.md" in terminal.words
    assert "crossing[/red]ispainted[link=x]white[/link]." in terminal.words


def test_stdout_in_a_file_gets_the_answer_alone_and_the_terminal_the_rest(reader: CommandLine) -> None:
    with (
        tempfile.TemporaryFile() as file,
        OpenAIServer(chat=answer(*MARKDOWN)) as server,
        on_terminal(reader, "ask", QUESTION, "--base-url", server.base_url, stdout=file.fileno()) as (
            terminal,
            process,
        ),
    ):
        code = terminal.wait_for_end(process)
        file.seek(0)
        written = file.read()

    assert (code, written) == (0, "".join((*MARKDOWN, "\n")).encode())
    assert "sample_docs/" in terminal.words
    assert "beginning" not in terminal.words
