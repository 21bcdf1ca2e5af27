"""Writes what the program knows itself: `docs/commands.md`, `docs/settings.md`, and the types of the browser's client.

    python -m tools.make_docs

`tests/test_docs.py` fails where they are not what this writes.
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
_WIDTH = 100


def commands_page() -> str:
    """`docs/commands.md`: the help of every command, as `--help` prints it."""
    group: Any = typer.main.get_command(app)
    parts = [
        "# Commands\n",
        "What `--help` says, command by command. The answer, and for other commands their",
        "result, goes to stdout, all else to stderr. `--json` and `--jsonl`: [events.md](events.md). Exit codes:",
        "[exit-codes.md](exit-codes.md).\n",
    ]
    for name, command in [("streamrag", group), *_named("streamrag", group)]:
        with command.make_context(name, [], resilient_parsing=True, terminal_width=_WIDTH) as context:
            parts += [f"## {name}\n", "```", command.get_help(context).rstrip(), "```\n"]
    return "\n".join(parts)


def settings_page() -> str:
    """`docs/settings.md`: every setting with its names and its default."""
    fixed = defaults()
    lines = [
        "# Settings\n",
        "A flag beats a variable, a variable beats the settings file, the file beats the default. The file is",
        "`$XDG_CONFIG_HOME/streamrag/config.toml`, without that variable `~/.config/streamrag/config.toml`, with the",
        "names of the first column: `top_k = 8`. No file is read from the working directory.\n",
        "| setting | flag | variable | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for setting in (*SETTINGS, *SERVER_SETTINGS):
        flag = f"`{setting.flag}`" if setting.flag else ""
        variables = ", ".join(f"`{variable}`" for variable in setting.variables)
        default = f"`{fixed[setting.name]}`" if setting.name in fixed else setting.default_text
        lines.append(f"| `{setting.name}` | {flag} | {variables} | {default} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def _named(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Every command beneath a group, with the words that call it."""
    for word, command in group.commands.items():
        yield f"{prefix} {word}", command
        if hasattr(command, "commands"):
            yield from _named(f"{prefix} {word}", command)


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands_page(), encoding="utf-8")
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    CLIENT_TYPES.write_text(client_types(), encoding="utf-8")
