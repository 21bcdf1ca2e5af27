"""Output on terminals of different widths and types, and with hostile documents."""

import re
import tempfile
import threading

import pytest

from tests.support.collection import QUESTION
from tests.support.command_line import CommandLine, run_concurrently
from tests.support.openai_replies import Hold, answer
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import Terminal, on_terminal, shown

MARKDOWN = ("A **bold** beginning [1].\n", "\n- first point\n- second", " point\n\nThe `end`.\n")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)[;m]")


def answered(user: CommandLine, *flags: str, columns: int = 120, rows: int = 60) -> Terminal:
    with OpenAIServer(chat=answer(*MARKDOWN)) as server:
        return shown(user, "ask", QUESTION, "--base-url", server.base_url, *flags, columns=columns, rows=rows)


@pytest.fixture(scope="module")
def terminals(cli_with_store: CommandLine) -> dict[str, Terminal]:
    """Answers on different terminals; without a model if the key begins with "quotes"."""
    quote = ("ask", QUESTION)
    return run_concurrently(
        {
            "usual": lambda: answered(cli_with_store),
            "--plain": lambda: answered(cli_with_store, "--plain"),
            "20 columns": lambda: answered(cli_with_store, columns=20, rows=24),
            "quotes, NO_COLOR": lambda: shown(cli_with_store.having(NO_COLOR="1"), *quote),
            "quotes, TERM=dumb": lambda: shown(cli_with_store.having(TERM="dumb"), *quote),
            "quotes, 1 column": lambda: shown(cli_with_store, *quote, columns=1, rows=24),
            "quotes, 200 columns": lambda: shown(cli_with_store, *quote, columns=200, rows=24),
        }
    )


@pytest.fixture(scope="module")
def quotes(cli_with_store: CommandLine) -> str:
    """The quotes as printed to a pipe."""
    return cli_with_store.run("ask", "-q", QUESTION).stdout.decode()


def test_sources_come_before_the_answer_and_timings_after_it(terminals: dict[str, Terminal]) -> None:
    terminal = terminals["usual"]

    text = "\n".join(terminal.lines)
    parts = (
        " 1  sample_docs/",
        "A bold beginning [1].",
        "first point",
        "second point",
        "The end.",
        "[1] sample_docs/",
        "first words ",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "*" not in text
    assert "`" not in text.partition("A bold")[2]
    assert (terminal.cursor_is_visible, text.count("first point")) == (True, 1)
    assert re.fullmatch(
        r"first words [\d.]+ m?s · done [\d.]+ m?s · test-model · 7 \+ 3 tokens",
        terminal.lines[-1],
    )


def test_the_no_color_variable_removes_only_colour(terminals: dict[str, Terminal], quotes: str) -> None:
    in_colour, without = terminals["quotes, 200 columns"], terminals["quotes, NO_COLOR"]

    assert (bool(COLOUR.search(in_colour.raw)), bool(COLOUR.search(without.raw))) == (True, False)
    assert "".join(quotes.split()) in without.words


def test_the_plain_flag_prints_the_unrendered_text(terminals: dict[str, Terminal]) -> None:
    raw = terminals["--plain"].raw

    assert b"\x1b" not in raw
    assert "".join(MARKDOWN).replace("\n", "\r\n").encode() in raw


def test_a_dumb_terminal_gets_the_unrendered_text(terminals: dict[str, Terminal], quotes: str) -> None:
    raw = terminals["quotes, TERM=dumb"].raw

    assert b"\x1b" not in raw
    assert quotes.replace("\n", "\r\n").encode() in raw


@pytest.mark.fault("terminal-resized")
@pytest.mark.parametrize("columns", ["1 column", "200 columns"])
def test_no_output_is_lost_at_extreme_widths(terminals: dict[str, Terminal], quotes: str, columns: str) -> None:
    words = terminals[f"quotes, {columns}"].words

    assert "".join(quotes.split()) in words
    assert "sample_docs/lease.pdf" in words


@pytest.mark.fault("terminal-resized")
def test_an_answer_is_complete_on_a_terminal_of_twenty_columns(terminals: dict[str, Terminal]) -> None:
    for part in ("Aboldbeginning[1].", "firstpoint", "secondpoint", "tenant-faq.html"):
        assert part in terminals["20 columns"].words


@pytest.mark.parametrize("arguments", ["search tokens", "status", "ingest --dry-run -v sample_docs"])
def test_commands_write_no_escape_codes_to_a_dumb_terminal(cli_with_store: CommandLine, arguments: str) -> None:
    assert b"\x1b" not in shown(cli_with_store.having(TERM="dumb"), *arguments.split()).raw


@pytest.mark.parametrize(("arguments", "expected"), [("search tokens", "sample_docs"), ("status", "streamrag")])
def test_search_and_status_work_on_a_one_column_terminal(
    cli_with_store: CommandLine, arguments: str, expected: str
) -> None:
    assert expected in shown(cli_with_store, *arguments.split(), columns=1).words


@pytest.mark.fault("terminal-resized")
def test_a_resize_during_the_answer_loses_nothing(cli_with_store: CommandLine) -> None:
    release = threading.Event()
    with (
        OpenAIServer(chat=answer(*MARKDOWN, between=(Hold(release),))) as server,
        on_terminal(cli_with_store, "ask", QUESTION, "--base-url", server.base_url) as (terminal, process),
    ):
        terminal.wait_for("bold beginning")
        terminal.resize(30, 20)
        release.set()
        code = terminal.wait_for_end(process)

    assert code == 0
    for part in ("Aboldbeginning[1].", "firstpoint", "secondpoint", "Theend."):
        assert part in terminal.words


def test_a_source_links_to_its_file(cli_with_store: CommandLine) -> None:
    terminal = shown(cli_with_store, "search", "When does the library open?", "-k", "1")

    address = (cli_with_store.directory / "handbook.md").as_uri().encode()
    assert re.search(rb"\x1b\]8;[^;]*;" + re.escape(address) + rb"#\d+\x1b\\handbook\.md:\d", terminal.raw)


@pytest.mark.fault("markup-in-text")
@pytest.mark.parametrize("columns", [50, 200])
def test_document_text_is_never_interpreted_as_markup(cli_with_store: CommandLine, columns: int) -> None:
    terminal = shown(cli_with_store, "ask", "How is the zebra crossing painted?", "-c", "evil", columns=columns)

    assert not re.search(rb"\x1b\[31mred|\x1b\]52|\x07|\xe2\x80\xae", terminal.raw)
    assert "\ufffd[31mred[bold][link=http:evil]name.md" in terminal.words
    assert "crossing[/red]ispainted[link=x]white[/link]." in terminal.words


def test_redirected_stdout_receives_only_the_answer(cold_cli_with_store: CommandLine, quotes: str) -> None:
    with (
        tempfile.TemporaryFile() as file,
        on_terminal(cold_cli_with_store, "ask", QUESTION, stdout=file.fileno()) as (terminal, process),
    ):
        code = terminal.wait_for_end(process)
        file.seek(0)
        written = file.read().decode()

    assert (code, written) == (0, quotes)
    assert "sample_docs/" in terminal.words
    assert "".join(quotes.split()) not in terminal.words
