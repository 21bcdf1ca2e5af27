"""Completion in bash, zsh and fish."""

import pytest

from tests.cli.test_startup import HEAVY, IMPORTED_BY_TYPER, loaded
from tests.support.command_line import CommandLine
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import warm


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A user with two collections, and a file in the working directory."""
    home = tmp_path_factory.mktemp("completion")
    (home / "question.md").write_text("The harbour master keeps the keys.", encoding="utf-8")
    user = CommandLine(home=home, directory=home)
    with warm(user) as warm_user:
        for name in ("harbour", "hills"):
            assert warm_user.run("ingest", "-q", "question.md", "-c", name).code == 0
    return user


def in_bash(user: CommandLine, line: str) -> list[str]:
    """The completions in bash at the end of `line`."""
    words = line.split(" ")
    array = " ".join(f"'{word}'" for word in words)
    script = f"""
        eval "$(streamrag --show-completion bash)"
        compopt() {{ IFS=" "; echo "compopt $*"; }}
        streamrag_words=({array})
        COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}
        _streamrag_completion "$PROGRAM"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    program = user.home / "program"
    program.write_text(f'#!/bin/sh\nexec {" ".join(user.program)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    shown = user.having(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1", PROGRAM=str(program)).shell(script)
    assert shown.stderr == "", shown
    return shown.stdout.decode().split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("streamrag ask -c h", ["harbour", "hills"]),
        ("streamrag status --collection ha", ["harbour"]),
        ("streamrag ask -c x", ["compopt +o default", ""]),
        ("streamrag ask q", ["compopt +o default", ""]),
        ("streamrag search q", ["compopt +o default", ""]),
        ("streamrag ingest q", [""]),
        ("streamrag ask -m x", ["compopt +o default", ""]),
        ("streamrag sta", ["status"]),
    ],
)
def test_bash_completes_names_and_paths_but_not_questions(user: CommandLine, line: str, offered: list[str]) -> None:
    assert in_bash(user, line) == offered


def test_completion_offers_the_models_of_the_given_server(user: CommandLine) -> None:
    with OpenAIServer(models=("north", "nordic", "south")) as server:
        assert in_bash(user, f"streamrag ask --base-url {server.base_url} -m nor") == ["north", "nordic"]
        assert in_bash(user, "streamrag ask -m nor") == ["compopt +o default", ""]
        assert len(server.requests) == 1


@pytest.mark.fault("completion")
def test_names_that_a_shell_would_execute_are_not_offered(user: CommandLine) -> None:
    names = ("north$(touch${IFS}made)", "north`date`", "north\x1b]0;title\x07", "north;ls", "north*", "north-1:8b")
    with OpenAIServer(models=names) as server:
        assert in_bash(user, f"streamrag ask --base-url {server.base_url} -m nor") == ["north-1:8b"]


@pytest.mark.parametrize(
    ("shell", "line", "reply"),
    [
        ("zsh", "streamrag ask -c ha", "_arguments '*: :((\"harbour\"))'"),
        ("zsh", "streamrag ask q", "true"),
        ("zsh", "streamrag ingest q", "_files"),
        ("fish", "streamrag ask -c ha", "harbour"),
        ("fish", "streamrag ask q", ""),
    ],
)
def test_zsh_and_fish_complete_names_but_not_questions(user: CommandLine, shell: str, line: str, reply: str) -> None:
    variables = {"_STREAMRAG_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    outcome = user.having(**variables, _TYPER_COMPLETE_FISH_ACTION="get-args").run()

    assert (outcome.code, outcome.stdout.decode().strip(), outcome.stderr) == (0, reply, "")


@pytest.mark.parametrize(("line", "code"), [("streamrag ask q", 0), ("streamrag ingest q", 1)])
def test_fish_offers_file_names_only_for_paths(user: CommandLine, line: str, code: int) -> None:
    variables = {"_STREAMRAG_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": line}

    assert user.having(**variables, _TYPER_COMPLETE_FISH_ACTION="is-args").run().code == code


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/streamrag.sh"),
        ("zsh", ".zfunc/_streamrag"),
        ("fish", "config/fish/completions/streamrag.fish"),
    ],
)
def test_completion_is_installed_in_the_directory_that_the_shell_searches(
    cold_cli: CommandLine, shell: str, file: str
) -> None:
    outcome = cold_cli.having(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").run("--install-completion", shell)

    assert (outcome.code, outcome.stderr) == (0, "")
    assert "_STREAMRAG_COMPLETE" in (cold_cli.home / file).read_text(encoding="utf-8")


@pytest.mark.fault("completion")
def test_completion_offers_nothing_if_the_store_or_the_server_fails(cold_cli: CommandLine) -> None:
    (cold_cli.directory / "broken").mkdir()
    (cold_cli.directory / "broken" / "collections").write_text("not a folder", encoding="utf-8")
    lines = [
        "streamrag ask --store broken -c h",
        "streamrag ask --base-url http://127.0.0.1:9/v1 -m x",
        "streamrag ask --base-url nonsense -m x",
    ]

    for line in lines:
        outcome = cold_cli.having(_STREAMRAG_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line).run()
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"true\n", ""), line


def test_completion_imports_no_heavy_modules(user: CommandLine) -> None:
    variables = {"_STREAMRAG_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "streamrag ask -c h"}
    modules = loaded(user.having(**variables), "-m", "streamrag_cli")

    assert "streamrag_cli.store.local.layout" in modules
    assert modules & (HEAVY - IMPORTED_BY_TYPER) == set()
