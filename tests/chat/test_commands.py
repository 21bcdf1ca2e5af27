"""The commands of `streamrag chat`, such as `/sources 2`, on a terminal."""

import stat
from pathlib import Path

import pytest

from streamrag_cli.cli.editor import command_for
from streamrag_cli.cli.exchanges import Exchange, as_markdown
from streamrag_cli.errors import UsageError
from streamrag_cli.history.reading import LoggedTurn
from streamrag_cli.model import Source
from tests.support.chats import answered, ask, chat_on_terminal, leave, question_of
from tests.support.collection import DOCUMENTS
from tests.support.command_line import CommandLine
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer

FIRST = "Who built the lighthouse?"


def program(folder: Path, script: str) -> str:
    """A shell script to use as an editor."""
    file = folder / "editor"
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def test_mistakes_in_commands_print_one_line_and_never_end_the_chat(user: CommandLine) -> None:
    variable = "STREAMRAG_API_KEY"
    expected = {
        "/sorces": "unknown command /sorces; did you mean /sources?",
        "/etc/hosts?": "unknown command /etc/hosts?; type /help to list the commands,"
        " or // to begin a question with a slash",
        "/sources": "this chat has no answer with sources yet",
        "/show": "usage: /show N",
        "/show 1": "this chat has no answer with sources yet",
        "/set collection laws,-": "collection: '-' must be 1 to 63 letters, digits, dots, dashes or underscores,"
        " begin and end with a letter or digit, and not contain '..'",
        "/open 1": "this chat has no answer with sources yet",
        "/again": "this chat has no question to ask again yet",
        "/again -x": "usage: /again [-m MODEL]",
        "/set collection default,nope": "there is no collection 'nope' in"
        f" {user.variables['STREAMRAG_STORE']}; it has default\n"
        "hint: streamrag ingest PATH -c nope",
        "/set top_k 0": "top_k: '0' must be a whole number from 1 to 100",
        "/set top-q 3": "there is no setting top_q; did you mean top_k?",
        "/set api_key k": "api_key cannot be set in a chat, where it would be visible; set the environment variable"
        f" {variable} before you start the chat",
        "/save": "usage: /save FILE.md",
        "/save 'x": "'x: no closing quotation",
    }
    with chat_on_terminal(user, columns=200) as (terminal, process):
        for command in expected:
            ask(terminal, command)
        code = leave(terminal, process)

    assert code == 0
    shown = terminal.lines[1:-1]
    assert shown == [
        line for command, text in expected.items() for line in (f"> {command}", *f"streamrag: {text}".split("\n"))
    ]


def test_the_sources_command_shows_the_whole_passage(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=answer("Ada Brandt.")) as server,
        chat_on_terminal(user, "-q", "--base-url", server.base_url, columns=200) as (terminal, process),
    ):
        ask(terminal, FIRST)
        ask(terminal, "/sources 1")
        ask(terminal, "/show [1]")
        ask(terminal, "/sources 9")
        ask(terminal, "/sources")
        code = leave(terminal, process)

    _, _, passage = DOCUMENTS["lighthouse.md"].partition("\n\n")
    assert code == 0
    assert terminal.words.count("".join(passage.split())) == 2
    assert [line for line in terminal.lines if "no source 9; the last answer has " in line]
    assert [line for line in terminal.lines if line.startswith(" 1  ")]


def test_the_edit_command_asks_the_question_and_leaves_no_file(user: CommandLine) -> None:
    seen = user.directory / "seen"
    editor = program(
        user.directory, f'cat "$2" > {seen}; echo "$1 $(stat -c %a "$2") $2" >> {seen}; printf "\\n{FIRST}" >> "$2"'
    )
    with (
        OpenAIServer(chat=answer("Ada Brandt.")) as server,
        chat_on_terminal(user.having(VISUAL=f"{editor} -w"), "-q", "--base-url", server.base_url) as (
            terminal,
            process,
        ),
    ):
        ask(terminal, "/edit In short:")
        terminal.wait_for("Ada Brandt.")
        code = leave(terminal, process)
        question = question_of(answered(server)[0])

    text, _, described = seen.read_text().partition("-w ")
    mode, _, path = described.strip().partition(" ")
    assert (code, question, text, mode) == (0, f"In short:\n{FIRST}", "In short:", "600")
    assert not Path(path).exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "exited with code 3"), (": > $1", "no question was asked, because the file is empty")],
    ids=["failure", "empty file"],
)
def test_a_failed_editor_or_an_empty_file_asks_no_question(user: CommandLine, script: str, message: str) -> None:
    editor = program(user.directory, script)
    with chat_on_terminal(user.having(VISUAL=editor), "-q", columns=200) as (terminal, process):
        ask(terminal, "/edit")
        terminal.wait_for(message)
        assert leave(terminal, process) == 0


def test_the_open_command_starts_the_editor_at_the_line_without_a_shell(user: CommandLine) -> None:
    seen = user.directory / "seen"
    vi = user.directory / "vi"
    vi.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\n', encoding="utf-8")
    vi.chmod(0o755)
    with (
        OpenAIServer(chat=answer("Ada Brandt.")) as server,
        chat_on_terminal(user.having(EDITOR=f"{vi} '$(touch evil)'"), "-q", "--base-url", server.base_url) as (
            terminal,
            process,
        ),
    ):
        ask(terminal, FIRST)
        ask(terminal, "/open 1")
        code = leave(terminal, process)

    option, line, path = seen.read_text().splitlines()
    assert (code, option, line, Path(path).name) == (0, "$(touch evil)", "+3", "lighthouse.md")
    assert not (user.directory / "evil").exists()


def test_the_save_command_asks_before_it_overwrites_a_file(user: CommandLine) -> None:
    (user.directory / "old.md").write_text("precious", encoding="utf-8")
    with (
        OpenAIServer(chat=answer("Ada Brandt [1].")) as server,
        chat_on_terminal(user, "-q", "--base-url", server.base_url, columns=200) as (terminal, process),
    ):
        ask(terminal, FIRST)
        ask(terminal, "/save new.md")
        ask(terminal, "/save old.md")
        terminal.wait_for("old.md exists. Overwrite it? [y/N]")
        terminal.type(b"\r")
        ask(terminal, "/save no/such/folder.md")
        ask(terminal, f"/save {user.directory}")
        code = leave(terminal, process)

    saved = (user.directory / "new.md").read_text(encoding="utf-8")
    assert (code, (user.directory / "old.md").read_text()) == (0, "precious")
    assert saved.startswith(f"## {FIRST}\n\nAda Brandt [1].\n\nSources:\n\n- [1] ")
    assert saved.splitlines()[6].endswith("docs/lighthouse.md:3` The lighthouse")
    assert [line for line in terminal.lines if "No such file or directory" in line]
    assert [line for line in terminal.lines if "the path is not a regular file" in line]


def test_the_set_command_changes_the_next_answer(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=[answer("Ada Brandt."), answer("She did.")]) as server,
        chat_on_terminal(user, "-q", "--base-url", server.base_url, "-m", "m") as (terminal, process),
    ):
        ask(terminal, FIRST)
        ask(terminal, "/set model other")
        ask(terminal, "/again")
        ask(terminal, "/set rewrite off")
        ask(terminal, "/set collection default, default")
        ask(terminal, "/set")
        code = leave(terminal, process)

    assert (code, [each.json["model"] for each in answered(server)]) == (0, ["m", "other"])
    assert {"model = other", "top_k = 5", "log_questions = off", "rewrite = off", "collection = default"} <= set(
        terminal.lines
    )


def test_a_replaced_answer_is_not_saved(user: CommandLine) -> None:
    with (
        OpenAIServer(chat=[answer("Ada Brand."), answer("Ada Brandt.")]) as server,
        chat_on_terminal(user, "-q", "-k", "1", "--base-url", server.base_url, "-m", "m") as (terminal, process),
    ):
        ask(terminal, FIRST)
        ask(terminal, "/again")
        ask(terminal, "/save saved.md")
        ask(terminal, "/open")
        assert leave(terminal, process) == 0

    saved = (user.directory / "saved.md").read_text(encoding="utf-8")
    assert saved.startswith(f"## {FIRST}\n\nAda Brandt.\n\nSources:\n\n- [1] ")
    assert saved.count(FIRST) == 1
    assert "streamrag: usage: /open N; the last answer has only source 1" in terminal.lines


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_help_and_quit_need_no_slash_on_a_terminal(user: CommandLine, word: str) -> None:
    with chat_on_terminal(user, "-q") as (terminal, process):
        ask(terminal, "help")
        ask(terminal, word)
        assert terminal.wait_for_end(process) == 0

    assert "/quit              quit the chat" in terminal.lines


@pytest.mark.parametrize(
    ("editor", "arguments"),
    [
        ("vim", ["vim", "+7", "FILE"]),
        ("code --wait", ["code", "--wait", "--goto", "FILE:7"]),
        ("hx", ["hx", "FILE:7"]),
        ("unheard-of", ["unheard-of", "FILE"]),
    ],
)
def test_each_editor_receives_the_line_number_in_its_own_syntax(
    tmp_path: Path, editor: str, arguments: list[str]
) -> None:
    file = tmp_path / "-rf; name.md"
    file.touch()

    command, on_terminal = command_for(file, 7, {"VISUAL": editor, "EDITOR": "ed"})

    assert (command, on_terminal) == ([each.replace("FILE", str(file)) for each in arguments], True)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError) as caught:
            command_for(path, 1, {"EDITOR": "vi"})
        assert caught.value.code == "no_such_file"


def test_a_source_without_a_line_number_is_opened_with_xdg_open(tmp_path: Path) -> None:
    opener = tmp_path / "xdg-open"
    opener.touch()
    opener.chmod(stat.S_IRWXU)
    environment = {"EDITOR": "vi", "DISPLAY": ":0", "PATH": str(tmp_path)}

    page = tmp_path / "tree.html"
    page.touch()

    assert command_for(opener, None, environment) == ([str(opener), str(opener)], False)
    assert command_for(page, 7, environment) == ([str(opener), str(page)], False)
    assert command_for(page, 7, {**environment, "DISPLAY": ""}) == (["vi", "+7", str(page)], True)


def test_a_saved_conversation_marks_incomplete_answers() -> None:
    source = Source(
        n=1, source="a.md", page=None, line_start=3, line_end=4, title="", content="", score=0.5, chunk_id="x"
    )
    exchanges = [
        Exchange(question="Two\nlines?", pieces=["Half"], sources=(source,)),
        Exchange(question="Why?", failure="the model is gone"),
    ]

    assert as_markdown(exchanges) == (
        "## Question\n\n> Two\n> lines?\n\nHalf\n\n*interrupted before the answer was complete*\n\n"
        "Sources:\n\n- [1] `a.md:3`\n\n## Why?\n\n*the model is gone*\n"
    )


@pytest.mark.parametrize(
    ("state", "saved"),
    [
        ("nothing_relevant", "nothing relevant was found in the documents"),
        ("no_document_matches", "no document matches the filter"),
        ("rate_limited", "no answer: rate limited"),
        ("interrupted", "interrupted before the answer was complete"),
    ],
)
def test_a_saved_question_from_an_earlier_chat_includes_its_outcome(state: str, saved: str) -> None:
    turn = LoggedTurn(
        id=1, thread="t", n=1, started_at="", question="Why?", extra_chars=0, extra_sha256="", answer="", state=state,
        collection="", store="", model="", finish_reason="", sources=(), cited=(), timings={},
    )  # fmt: skip

    assert as_markdown([Exchange.from_log(turn)]) == f"## Why?\n\n*{saved}*\n"
