"""`streamrag doctor`"""

from typing import TYPE_CHECKING, Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process

if TYPE_CHECKING:
    from streamrag_cli.doctor.terminal_check import Screen


def command(
    process: Process,
    *,
    full: Annotated[bool, typer.Option("--full", help="Search for every chunk, not for a sample of 1,000.")] = False,
    flags: options.SettingFlags,
    json: options.Json = False,
    plain: options.Plain = False,
) -> int:
    """Check all that an answer depends on, and say for every failure the command that mends it.

    Settings, key, the model's server (one tiny question), embedding, every collection of the store or the one named
    by -c, disk, terminal, engine, and that no library reports home. Nothing is changed. The exit code is that of the
    worst failure.
    """
    from streamrag_cli.doctor.checks import CheckContext, run_checks
    from streamrag_cli.render.doctor import show_findings

    patient = CheckContext(
        flags=flags,
        environment=process.environment,
        screen=_screen(process, plain=plain),
        full=full,
    )
    return show_findings(run_checks(patient), out=process.out, json=json, plain=plain)


def _screen(process: Process, *, plain: bool) -> "Screen":
    """What stdout is, as the answers' own console sees it."""
    from streamrag_cli.doctor.terminal_check import Screen
    from streamrag_cli.render.consoles import console_for

    console = console_for(process.out, plain=plain)
    return Screen(
        is_terminal=process.out.isatty(),
        encoding=process.out.encoding,
        colours=console.color_system or "none",
        columns=console.width,
        hyperlinks=console.is_terminal and console.color_system is not None,
    )
