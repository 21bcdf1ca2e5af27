"""Output of `doctor`: one line per finding, its hint, and a summary line."""

from collections.abc import Iterable, Sequence
from typing import Final, TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.doctor.findings import Finding, State, exit_code_of
from streamrag_cli.errors import ExitCode
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line
from streamrag_cli.render.machine import write_line
from streamrag_cli.text import sanitise_line

_STYLES: Final[dict[State, str]] = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def show_findings(findings: Iterable[Finding], *, out: TextIO, json: bool, plain: bool) -> ExitCode:
    """Print the findings, as lines or as one JSON object, and return the exit code."""
    return _as_json(list(findings), out) if json else _as_lines(findings, out, plain=plain)


def _as_json(findings: Sequence[Finding], out: TextIO) -> ExitCode:
    code = exit_code_of(findings)
    checks = list(map(public, findings))
    write_line(out, encode({"version": FORMAT_VERSION, "exit_code": int(code), "checks": checks}))
    return code


def _as_lines(findings: Iterable[Finding], out: TextIO, *, plain: bool) -> ExitCode:
    from rich.text import Text

    console = console_for(out, plain=plain)
    printed = []
    for each in findings:
        printed.append(each)
        line = Text(f"{each.state:<9}", style=_STYLES[each.state])
        line.append(f"{each.check:<11}", style="not bold default")
        line.append(sanitise_line(each.found), style="not bold default")
        console.print(line, soft_wrap=True)
        if each.hint:
            print_line(console, f"{'hint:':>20} {sanitise_line(each.hint)}")
        out.flush()
    counts = {state: sum(each.state == state for each in printed) for state in _STYLES}
    summary = [f"{counts['failed']} failed"] if counts["failed"] else []
    if counts["warning"]:
        summary.append(f"{counts['warning']} warning{'s' if counts['warning'] > 1 else ''}")
    print_line(console, ", ".join(summary) or "all checks passed")
    return exit_code_of(printed)
