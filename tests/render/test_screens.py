"""Golden screens of the commands at 40 to 200 columns, as an emulator shows them.

To write the files again after a deliberate change: STREAMRAG_RENEW_TRANSCRIPTS=1 pytest tests/render/test_screens.py
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chats import ask, chat_on_terminal, leave
from tests.support.command_line import CommandLine
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import shown
from tests.support.warm_command_line import warm

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (40, 80, 100, 200)
DOCUMENT = """# Brewing

## Water

Use 60 g of coffee for a litre of water, and keep the water at 94 degrees while it runs through the filter.

## Cleaning

Rinse the machine with `citric acid` after every fifty pots, or when the pump gets louder.
"""
HARD_TO_READ = re.compile(rb"\x1b\[(?:\d+;)*(?:2|33|9\d)[;m]")
"""Dim, yellow and bright text."""
QUESTION = "How much coffee do I need for a litre of water?"
ANSWER = (
    "Take **60 g** of coffee for a litre [1], at 94 degrees; the scale of the shop at <https://scales.example/kitchen>"
    " is exact enough, and `kettle --hold 94` keeps the temperature while the water runs through the filter.\n\n",
    "1. Grind the beans:\n\n   ```sh\n"
    "   grind --beans 60 --setting medium --output filter.ground && echo ready to brew\n   ```\n"
    "2. Pour the water slowly.\n\n",
    "> Rinse the machine after every fifty pots, or when the pump gets louder.\n\n| step | time |\n|---|--:|\n"
    "| bloom | 30 s |\n| brew | 4 min |\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user with two documents in the store."""
    home = tmp_path_factory.mktemp("screens")
    folder = home / "work" / "handbooks" / "kitchen"
    folder.mkdir(parents=True)
    (folder / "coffee-machine-of-the-second-floor.md").write_text(DOCUMENT, encoding="utf-8")
    (folder / "tea.md").write_text("# Tea\n\nA pot of tea takes four minutes and no coffee.\n", encoding="utf-8")
    with warm(CommandLine(home=home, directory=home / "work")) as user:
        assert user.run("ingest", "handbooks").code == 0
        yield user


def golden(name: str, columns: int, lines: list[str]) -> None:
    file = SCREENS / f"{name}-{columns}.txt"
    text = "".join(f"{_without_times(line, columns)}\n" for line in lines)
    if os.environ.get("STREAMRAG_RENEW_TRANSCRIPTS"):
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", WIDTHS)
def test_an_answer_looks_as_recorded(user: CommandLine, columns: int) -> None:
    with OpenAIServer(chat=answer(*ANSWER)) as server:
        terminal = shown(user, "ask", QUESTION, "--base-url", server.base_url, "-m", "test-model", columns=columns)

    golden("ask", columns, terminal.lines)


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_last_answer_and_the_log_look_as_recorded(user: CommandLine, columns: int) -> None:
    new = user.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(user.home / f"logged-{columns}"))
    with OpenAIServer(chat=answer(*ANSWER)) as server:
        assert new.run("ask", QUESTION, "--base-url", server.base_url, "-m", "test-model").code == 0
    golden("last", columns, shown(new, "show", "last", columns=columns).lines)
    assert new.run("ask", "Who is the president?").code == 7
    log = [
        re.sub(r"\b[a-z][a-z2-7]{7}\b", "THREADID", line, count=1) for line in shown(new, "log", columns=columns).lines
    ]

    golden("log", columns, [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM", line) for line in log])


@pytest.mark.parametrize("columns", WIDTHS)
def test_hits_look_as_recorded(user: CommandLine, columns: int) -> None:
    golden("search", columns, shown(user, "search", QUESTION, columns=columns).lines)


@pytest.mark.parametrize("columns", WIDTHS)
def test_quotes_look_as_recorded_with_the_note_only_the_first_time(user: CommandLine, columns: int) -> None:
    new = user.having(XDG_STATE_HOME=str(user.home / f"state-{columns}"))
    first, second = (shown(new, "ask", QUESTION, columns=columns).lines for _ in range(2))

    golden("quotes", columns, first)
    assert [line for line in second if line.startswith("note: ")] == []


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["status", "collections", "ls", "doctor", "--help", "ask --help"])
def test_other_commands_look_as_recorded(user: CommandLine, command: str, columns: int) -> None:
    terminal = shown(user, *command.split(), columns=columns, rows=200)
    lines = [_without_changing_parts(line) for line in terminal.lines]

    golden(command.replace(" --", "-").removeprefix("--"), columns, lines)
    assert not HARD_TO_READ.search(terminal.raw)


@pytest.mark.parametrize("columns", WIDTHS)
def test_an_ingest_looks_as_recorded(user: CommandLine, columns: int) -> None:
    new = user.having(XDG_DATA_HOME=str(user.home / f"data-{columns}"))
    terminal = shown(new, "ingest", "handbooks", columns=columns)

    golden("ingest", columns, [_without_changing_parts(line) for line in terminal.lines])


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_chat_looks_as_recorded(user: CommandLine, columns: int) -> None:
    with (
        OpenAIServer(chat=answer("Take **60 g** of coffee for a litre [1].")) as server,
        chat_on_terminal(user, "--base-url", server.base_url, "-m", "test-model", columns=columns) as (
            terminal,
            process,
        ),
    ):
        for question in ("How much coffee for a litre?", "And for two litres?"):
            ask(terminal, question)
        leave(terminal, process)

    golden("chat", columns, terminal.lines)


def _without_times(line: str, columns: int) -> str:
    if not line.startswith("first words "):
        return line
    line = re.sub(r"\b[\d.]+ m?s(?= ·|$)", "N ms", line)
    return line.partition(" ms · done")[0] if columns == min(WIDTHS) else line  # whether more fits depends on the times


def _without_changing_parts(line: str) -> str:
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM", line)
    line = re.sub(r"(?<=[:,] )[\d,.]+ [GT]B free", "N GB free", line)
    line = re.sub(r"\b\d\.\d MB", "N.N MB", line)
    return re.sub(r"\b[\d.]+ m?s$", "N s", line)
