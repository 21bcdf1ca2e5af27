"""Output of `doctor`: one line per finding, its hint, and a summary line."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TextIO

from streamrag_cli.codec import encode, public
from streamrag_cli.doctor.findings import Finding, State, exit_code_of
from streamrag_cli.errors import ExitCode
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.consoles import console_for, print_line, size_of, with_tilde
from streamrag_cli.render.machine import write_line
from streamrag_cli.text import sanitise_line

_INDENT: Final = 20
_NARROW_INDENT: Final = 2
_NARROW_COLUMNS: Final = 60
_ORDER: Final[dict[State, int]] = {"ok": 0, "warning": 1, "failed": 2}
_ALWAYS_WHOLE: Final = frozenset({"model"})
_STYLES: Final[dict[State, str]] = {"ok": "green", "warning": "bold", "failed": "bold red"}


def show_findings(
    findings: Iterable[Finding],
    *,
    out: TextIO,
    json: bool,
    plain: bool,
    verbose: bool,
    home: str = "",
) -> ExitCode:
    """Print the findings as lines or as one JSON object, and return the exit code.

    The lines show the directory `home` as `~`.
    """
    found = _collected(findings, out, is_live=out.isatty() and not (json or plain))
    if json:
        return _as_json(found, out)
    shown = [replace(each, found=with_tilde(each.found, home)) for each in found]
    return _as_lines(shown, out, plain=plain, verbose=verbose)


def _collected(findings: Iterable[Finding], out: TextIO, *, is_live: bool) -> list[Finding]:
    """Return all findings. With `is_live`, show the last completed check in a line."""
    found: list[Finding] = []
    try:
        for each in findings:
            found.append(each)
            if is_live:
                out.write(f"\r\x1b[2Kchecking: {each.check} done")
                out.flush()
    finally:
        if is_live:
            out.write("\r\x1b[2K")
            out.flush()
    return found


def _as_json(findings: Sequence[Finding], out: TextIO) -> ExitCode:
    code = exit_code_of(findings)
    checks = list(map(public, findings))
    write_line(out, encode({"version": FORMAT_VERSION, "exit_code": int(code), "checks": checks}))
    return code


def _as_lines(findings: Sequence[Finding], out: TextIO, *, plain: bool, verbose: bool) -> ExitCode:
    """Print the passed checks, the problems with their hints, worst last, and a summary line.

    The problems are last, so that they are visible even on a low terminal. Unless `verbose`, passed checks are shown
    without the details after their first semicolon.
    """
    from rich.text import Text

    console = console_for(out, plain=plain)
    width = size_of(out)[0] - 1 if out.isatty() else None
    is_narrow = width is not None and width < _NARROW_COLUMNS
    indent = " " * (_NARROW_INDENT if is_narrow else _INDENT)
    for each in sorted(findings, key=lambda each: _ORDER[each.state]):
        is_brief = each.state == "ok" and not (verbose or each.check in _ALWAYS_WHOLE)
        found = sanitise_line(each.found.partition("; ")[0] if is_brief else each.found)
        lines = [found] if width is None else textwrap.wrap(found, width - len(indent), break_on_hyphens=False)
        row = Text(f"{each.state:<9}", style=_STYLES[each.state])
        row.append(f"{each.check:<11}" if not is_narrow else each.check, style="not bold default")
        if lines and not is_narrow:
            row.append(lines.pop(0), style="not bold default")
        console.print(row, soft_wrap=True)
        for line in lines:
            print_line(console, f"{indent}{line}")
        if each.hint:  # on one line, so that it can be copied
            hint = "hint:" if is_narrow else f"{'hint:':>{_INDENT - 1}}"
            print_line(console, f"{hint} {sanitise_line(each.hint)}")
    print_line(console, _summary(findings))
    out.flush()
    return exit_code_of(findings)


def _summary(findings: Sequence[Finding]) -> str:
    counts = {state: sum(each.state == state for each in findings) for state in _STYLES}
    parts = [f"{counts['failed']} failed"] if counts["failed"] else []
    if counts["warning"]:
        parts.append(f"{counts['warning']} warning{'s' if counts['warning'] > 1 else ''}")
    return ", ".join(parts) or "all checks passed"
