"""Chats on a terminal: prompts, questions, and what the model server was asked."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.command_line import LIMIT_S, CommandLine
from tests.support.openai_connection import LoggedRequest
from tests.support.openai_server import OpenAIServer
from tests.support.pseudo_terminal import Terminal, on_terminal

ENTER, CTRL_C, CTRL_D, CTRL_Z, UP = b"\r", b"\x03", b"\x04", b"\x1a", b"\x1b[A"


def pasted(text: str) -> bytes:
    """The bytes that a terminal sends for pasted text if bracketed paste is on."""
    return b"\x1b[200~" + text.replace("\n", "\r").encode() + b"\x1b[201~"


def wait_for_prompt(terminal: Terminal, text: str = "") -> None:
    """Wait until the last line is the prompt, followed by `text`."""
    terminal.wait_until(lambda lines: lines[-1:] == [f"> {text}".rstrip()])


def ask(terminal: Terminal, question: str) -> None:
    """Wait for an empty prompt and ask a question, or enter a command."""
    wait_for_prompt(terminal)
    terminal.type(question.encode())
    wait_for_prompt(terminal, question)
    terminal.type(ENTER)


@contextmanager
def chat_on_terminal(
    user: CommandLine, *flags: str, columns: int = 80, rows: int = 60
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    with on_terminal(user, "chat", *flags, columns=columns, rows=rows) as (terminal, process):
        yield terminal, process


def leave(terminal: Terminal, process: "subprocess.Popen[bytes]") -> int:
    """Wait for the prompt and press Ctrl-D; return the exit code."""
    wait_for_prompt(terminal)
    terminal.type(CTRL_D)
    return terminal.wait_for_end(process, limit_s=LIMIT_S)


def answered(server: OpenAIServer) -> list[LoggedRequest]:
    """The requests for an answer that the model server has received so far."""
    return [each for each in server.requests if each.path == "/v1/chat/completions"]


def messages_of(request: LoggedRequest) -> list[tuple[str, str]]:
    """The messages' role and text after the instructions. The last one ends in the question."""
    return [(each["role"], each["content"]) for each in request.json["messages"][1:]]


def question_of(request: LoggedRequest) -> str:
    """The question in the last message of the request."""
    return messages_of(request)[-1][1].rpartition("Question: ")[2]
