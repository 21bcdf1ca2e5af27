"""Checks what the terminal can display. Problems are only warnings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok, warning

_NARROW_COLUMNS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Properties of stdout. `colours` is "none", "standard", "256" or "truecolor"."""

    is_terminal: bool
    encoding: str
    colours: str
    columns: int
    hyperlinks: bool


def check_terminal(screen: Screen, environment: Mapping[str, str]) -> Iterator[Finding]:
    if screen.encoding.lower().replace("-", "").replace("_", "") != "utf8":
        overridden = "PYTHONIOENCODING" in environment
        message = f"the encoding is {screen.encoding}, so characters outside it are shown as ?"
        hint = "unset PYTHONIOENCODING" if overridden else "export LC_ALL=C.UTF-8"
        yield warning("terminal", message, hint=hint, code="not_utf_8")
    if not screen.is_terminal:
        yield ok("terminal", f"stdout is not a terminal: plain text, {screen.encoding}")
        return
    if screen.columns < _NARROW_COLUMNS:
        message = f"only {screen.columns} columns wide: sources are shown without their headings"
        yield warning("terminal", message, code="narrow", figures={"columns": screen.columns})
    colours = {"none": "no colour", "truecolor": "16 million colours"}.get(screen.colours, f"{screen.colours} colours")
    links = "links to sources" if screen.hyperlinks else "no links"
    yield ok(
        "terminal",
        f"{screen.encoding}, {colours}, {screen.columns} columns, {links}",
        figures={"columns": screen.columns},
    )
