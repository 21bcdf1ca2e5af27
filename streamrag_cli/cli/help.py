"""The parts of `--help` that typer does not provide: groups of commands, examples, and the sources of settings."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Ask": ("ask", "chat", "search", "log"),
    "Documents": ("ingest", "ls", "show", "collections", "status", "copy"),
    "Serve": ("serve", "mcp", "engine"),
    "Maintain": ("doctor", "bench", "eval"),
}
"""The commands in each group, in the order of `streamrag --help`."""
_OTHER: Final = "Commands"
_NARROW_COLUMNS: Final = 52
_NARROW_OPTION_COLUMNS: Final = 4
_OPTION_COLUMNS: Final = 30
_GAP: Final = 2
_LEAST_TEXT_COLUMNS: Final = 10
_KEPT_TOGETHER: Final = re.compile(r"(?<=\[default:) (?!\$)| (?==)|(?<==) |(?<=\b\d) (?=[a-z])")
"""Spaces at which a line is not wrapped: in `[default: 5]`, `top_k = 8` and `6 some files failed`."""
_UNBREAKABLE: Final = "\xa0"
_SETTINGS: Final = (
    "Settings can also be given in $XDG_CONFIG_HOME/streamrag/config.toml (top_k = 8) and in environment variables"
    " (STREAMRAG_TOP_K=8). A flag overrides both."
)
EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "streamrag": ("streamrag ingest docs/", 'streamrag ask "How long is the notice period?"'),
    "ask": (
        'streamrag ask "How long is the notice period?"',
        'streamrag ask -C "And for a trial?"',
    ),
    "chat": ("streamrag chat", "streamrag chat -c handbook --continue"),
    "search": ('streamrag search "notice period"', 'streamrag search --json -k 3 "notice period"'),
    "log": ("streamrag log", "streamrag log show last"),
    "log show": ("streamrag log show last", "streamrag log show --md 12"),
    "log rm": ("streamrag log rm 12", "streamrag log rm --older 30d"),
    "log on": ("streamrag log on",),
    "log off": ("streamrag log off",),
    "log status": ("streamrag log status",),
    "log path": ("streamrag log path",),
    "ingest": ("streamrag ingest docs/ README.md", "streamrag ingest --remove docs/old"),
    "ls": ("streamrag ls", "streamrag ls --failed"),
    "show": ("streamrag show docs/guide.md:12", "streamrag show 2"),
    "collections": ("streamrag collections",),
    "status": ("streamrag status", "streamrag status --json"),
    "copy": ("streamrag copy --from backup/ --to postgresql://localhost/docs",),
    "serve": ("streamrag serve", "streamrag serve --port 8500 --all-collections"),
    "mcp": ("streamrag mcp",),
    "engine": ("streamrag engine status", "streamrag engine stop"),
    "engine status": ("streamrag engine status --json",),
    "engine stop": ("streamrag engine stop",),
    "doctor": ("streamrag doctor", "streamrag doctor --full -c handbook"),
    "bench": ('streamrag bench "How long is the notice period?"',),
    "eval": ("streamrag eval questions/",),
}
"""Example command lines in `--help`, by the name of the command."""


def write_commands(group: Any, context: Any, formatter: Any) -> None:
    """Write the commands in a group, with complete summaries. The program's own commands are in sections."""
    commands = {name: command for name in group.list_commands(context) if (command := group.get_command(context, name))}
    rows = {name: command.get_short_help_str(limit=200) for name, command in commands.items() if not command.hidden}
    sections = GROUPS if context.parent is None else {}
    listed = {name for names in sections.values() for name in names}
    widths = max(map(len, rows), default=0)
    for title, names in {**sections, _OTHER: tuple(name for name in rows if name not in listed)}.items():
        if shown := [(name.ljust(widths), rows[name]) for name in names if name in rows]:
            with formatter.section(title):
                formatter.write_dl(shown)


def use_whole_words(formatter: Any) -> None:
    """Let `formatter` wrap text only between words, so that paths and variables stay whole.

    On a narrow terminal, the description of an option is written below it, not in a second column.
    """
    formatter.write_text = partial(_write_text, formatter)
    formatter.write_dl = partial(_write_rows, formatter)


def _write_text(formatter: Any, text: str) -> None:
    indent = " " * formatter.current_indent
    paragraphs = (_wrapped(each, formatter.width - len(indent)) for each in re.split(r"\n\s*\n", text.strip()))
    formatter.write("\n".join("".join(f"{indent}{line}\n" for line in lines) for lines in paragraphs))


def _write_rows(formatter: Any, rows: Iterable[tuple[str, str]]) -> None:
    """Write names and their descriptions in two columns."""
    rows = list(rows)
    is_narrow = formatter.width <= _NARROW_COLUMNS and any(name.startswith("-") for name, _ in rows)
    most = _NARROW_OPTION_COLUMNS if is_narrow else _OPTION_COLUMNS
    columns = min(max((len(name) for name, _ in rows), default=0), most)
    indent = " " * (formatter.current_indent + columns + _GAP)
    for name, text in rows:
        lines = _wrapped(text, max(formatter.width - len(indent), _LEAST_TEXT_COLUMNS))
        start = f"{'':{formatter.current_indent}}{name}"
        first = f"{start:{len(indent)}}{lines.pop(0)}" if lines and len(name) <= columns else start
        formatter.write("".join(f"{line}\n" for line in (first, *(f"{indent}{line}" for line in lines))))


def _wrapped(text: str, columns: int) -> list[str]:
    """Wrap one paragraph.

    >>> _wrapped("The number of sources. [default: 5]", 33)
    ['The number of sources.', '[default: 5]']
    """
    joined = _KEPT_TOGETHER.sub(_UNBREAKABLE, " ".join(text.split()))
    lines = textwrap.wrap(joined, columns, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_UNBREAKABLE, " ") for line in lines]


def write_examples(context: Any, formatter: Any) -> None:
    """Write the examples for the command in `context`, and the other sources for its settings."""
    name = context.command_path.partition(" ")[2] or context.command_path
    examples = EXAMPLES.get(name, ())
    if examples:
        with formatter.section("Examples" if len(examples) > 1 else "Example"):
            for example in examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
    if context.parent is None or _has_settings(context.command):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_SETTINGS)


def _has_settings(command: Any) -> bool:
    return any("--store" in parameter.opts for parameter in command.params)
