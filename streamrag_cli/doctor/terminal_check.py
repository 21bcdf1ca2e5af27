"""The terminal: nothing here can fail, but it may show less than it could."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok, warning

_NARROW_COLUMNS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where output goes. `colours` names how many there are ("none", "standard", "256", "truecolor")."""

    is_terminal: bool
    encoding: str
    colours: str
    columns: int
    hyperlinks: bool


def check_terminal(screen: Screen, environment: Mapping[str, str]) -> Iterator[Finding]:
    if screen.encoding.lower().replace("-", "").replace("_", "") != "utf8":
        overridden = "PYTHONIOENCODING" in environment
        said = f"its encoding is {screen.encoding}: characters outside of it are shown as ?"
        mend = "unset PYTHONIOENCODING" if overridden else "export LC_ALL=C.UTF-8"
        yield warning("terminal", said, hint=mend, code="not_utf_8")
    if not screen.is_terminal:
        yield ok("terminal", f"stdout is no terminal: plain text, {screen.encoding}")
        return
    if screen.columns < _NARROW_COLUMNS:
        said = f"{screen.columns} columns are narrow: sources are shown as lines instead of a table"
        yield warning("terminal", said, code="narrow", figures={"columns": screen.columns})
    colours = {"none": "no colour", "truecolor": "16 million colours"}.get(screen.colours, f"{screen.colours} colours")
    links = "links to sources" if screen.hyperlinks else "no links"
    yield ok(
        "terminal",
        f"{screen.encoding}, {colours}, {screen.columns} columns, {links}",
        figures={"columns": screen.columns},
    )
