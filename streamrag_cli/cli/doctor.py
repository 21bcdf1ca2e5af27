"""The command `streamrag doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process

if TYPE_CHECKING:
    from streamrag_cli.doctor.terminal_check import Screen


def command(
    process: Process,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Test the index with all chunks instead of a sample of 1,000.")
    ] = False,
    flags: options.SettingFlags,
    json: options.Json = False,
    plain: options.Plain = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the details of passed checks.")] = False,
) -> int:
    """Check the whole setup and print a fix for every problem.

    Checks the settings, API key, model server (with one short question), embedder, collections, disk, terminal and
    engine, and that no library sends telemetry. Changes nothing. The exit code is that of the worst failure.
    """
    from streamrag_cli.doctor.checks import CheckContext, run_checks
    from streamrag_cli.render.doctor import show_findings

    context = CheckContext(
        flags=flags,
        environment=process.environment,
        screen=_screen(process, plain=plain),
        full=full,
    )
    return show_findings(
        run_checks(context), out=process.out, json=json, plain=plain, verbose=verbose, home=str(process.home or "")
    )


def _screen(process: Process, *, plain: bool) -> "Screen":
    """Return the properties of stdout that the console for answers detects."""
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
