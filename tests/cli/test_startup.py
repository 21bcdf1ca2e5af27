"""Commands import only what they need, so that help and version appear immediately."""

import sys
from dataclasses import replace

import pytest

from streamrag_cli import __version__
from streamrag_cli.settings import defaults
from tests.support.command_line import CommandLine

HEAVY = {"chromadb", "fastapi", "langchain", "langchain_chroma", "langchain_core", "langchain_openai", "numpy"} | {
    "onnxruntime",
    "openai",
    "prompt_toolkit",
    "pydantic",
    "rich.markdown",
    "limits",
    "starlette",
    "tokenizers",
    "uvicorn",
}

# Typer 0.29 imports it to check the parameters of every command, 65 ms; streamrag itself does not use it.
IMPORTED_BY_TYPER = {"pydantic"}


def loaded(user: CommandLine, *arguments: str) -> set[str]:
    """The modules and packages that a new process imports for these arguments."""
    outcome = replace(user, program=(sys.executable, "-X", "importtime", *arguments)).run()
    assert outcome.code == 0, outcome
    lines = outcome.stderr.splitlines()
    modules = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return modules | {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("arguments", ["--help", "--version"])
def test_help_and_version_import_no_heavy_modules(cold_cli: CommandLine, arguments: str) -> None:
    modules = loaded(cold_cli, "-m", "streamrag_cli", arguments)

    assert "streamrag_cli" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    "command", ["ask", "chat", "search", "show", "ls", "ingest", "serve", "status", "doctor", "eval"]
)
def test_command_help_imports_no_heavy_modules(cold_cli: CommandLine, command: str) -> None:
    modules = loaded(cold_cli, "-m", "streamrag_cli", command, "--help")

    assert modules & (HEAVY - IMPORTED_BY_TYPER) == set()


def test_version_imports_neither_typer_nor_the_app(cold_cli: CommandLine) -> None:
    modules = loaded(cold_cli, "-m", "streamrag_cli", "--version")

    assert modules & {"typer", "click", "rich", "streamrag_cli.cli.app", "asyncio"} == set()


def test_importing_the_answer_pipeline_imports_no_heavy_libraries(cold_cli: CommandLine) -> None:
    modules = loaded(cold_cli, "-c", "import streamrag_cli.answer.pipeline")

    assert modules & {"langchain_core", "langchain_openai", "openai", "chromadb", "onnxruntime"} == set()


def test_a_chat_in_a_pipe_does_not_import_the_line_editor(cold_cli: CommandLine) -> None:
    modules = loaded(cold_cli, "-m", "streamrag_cli", "chat")

    assert "streamrag_cli.cli.chat_session" in modules
    assert modules & HEAVY - IMPORTED_BY_TYPER == set()


def test_status_imports_no_heavy_modules(cold_cli_with_store: CommandLine) -> None:
    modules = loaded(cold_cli_with_store, "-m", "streamrag_cli", "status")

    assert modules & (HEAVY - IMPORTED_BY_TYPER) == set()


@pytest.mark.parametrize("flags", [(), ("--help",)])
def test_log_imports_neither_rich_nor_heavy_modules(cold_cli: CommandLine, flags: tuple[str, ...]) -> None:
    modules = loaded(cold_cli, "-m", "streamrag_cli", "log", *flags)

    assert modules & (HEAVY - IMPORTED_BY_TYPER | {"rich", "asyncio"}) == set()


def test_version_prints_only_the_version(cold_cli: CommandLine) -> None:
    assert cold_cli.run("--version").stdout.decode() == f"streamrag {__version__}\n"


def test_the_help_of_ask_shows_the_actual_defaults(cold_cli: CommandLine) -> None:
    text = cold_cli.run("ask", "--help").stdout.decode()

    assert f"[default: {defaults()['top_k']}]" in text
    assert f"[default: {defaults()['min_score']}]" in text
    assert "{" not in text.partition("Options:")[2]
