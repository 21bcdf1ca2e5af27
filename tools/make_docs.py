"""Generates `docs/commands.md`, `docs/settings.md` and the TypeScript types of the browser client.

    python -m tools.make_docs

`tests/test_docs.py` fails if they are out of date.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from streamrag_cli.cli.app import app
from streamrag_cli.settings import defaults
from streamrag_cli.settings_table import SERVER_SETTINGS, SETTINGS
from tools.client_types import CLIENT_TYPES, client_types

DOCS = Path(__file__).resolve().parent.parent / "docs"
_COLUMNS = 98  # the maximum width of `--help`


def commands_page() -> str:
    """The text of `docs/commands.md`: the `--help` of every command."""
    parts = [
        "# Commands\n",
        "The `--help` of every command. Answers and other results go to stdout, everything else to stderr.",
        "[events.md](events.md) describes `--json` and `--jsonl`, and [exit-codes.md](exit-codes.md) the exit codes.\n",
    ]
    for name, text in _help_texts("streamrag", typer.main.get_command(app)):
        parts += [f"## {name}\n", "```", text, "```\n"]
    return "\n".join(parts)


def settings_page() -> str:
    """The text of `docs/settings.md`: every setting with its flag, its variables and its default."""
    fixed = defaults()
    lines = [
        "# Settings\n",
        "A flag overrides a variable, a variable overrides the settings file, and the file overrides the default. The",
        "settings file is `$XDG_CONFIG_HOME/streamrag/config.toml`, or `~/.config/streamrag/config.toml` if",
        "`XDG_CONFIG_HOME` is not set. It uses the names in the first column, such as `top_k = 8`. No file is read",
        "from the working directory.\n",
        "| setting | flag | variable | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for setting in (*SETTINGS, *SERVER_SETTINGS):
        flag = f"`{setting.flag}`" if setting.flag else ""
        variables = ", ".join(f"`{variable}`" for variable in setting.variables)
        default = f"`{fixed[setting.name]}`" if setting.name in fixed else setting.default_text
        lines.append(f"| `{setting.name}` | {flag} | {variables} | {default} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def _help_texts(word: str, command: Any, parent: Any = None) -> Iterator[tuple[str, str]]:
    """The command line and the help of `command` and of all its subcommands.

    Some options, such as `-h`, are inherited from the context of the `parent`.
    """
    with command.make_context(word, [], parent=parent, resilient_parsing=True, terminal_width=_COLUMNS) as context:
        yield context.command_path, command.get_help(context).rstrip()
        for name, subcommand in getattr(command, "commands", {}).items():
            yield from _help_texts(name, subcommand, context)


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands_page(), encoding="utf-8")
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    CLIENT_TYPES.write_text(client_types(), encoding="utf-8")
