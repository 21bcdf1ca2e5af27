"""The command-line application: registers every command."""

from typing import Annotated, Final

import typer

from streamrag_cli import __version__
from streamrag_cli.cli import (
    ask,
    bench,
    chat,
    collections,
    copy,
    doctor,
    engine,
    evaluate,
    ingest,
    log,
    ls,
    search,
    serve,
    show,
    status,
)
from streamrag_cli.cli.options import Command, Group, with_settings
from streamrag_cli.errors import ExitCode

_FAILURES: Final = ", ".join(f"{code} {code.name.lower().replace('_', ' ')}" for code in ExitCode if 1 < code < 128)

app = typer.Typer(
    name="streamrag",
    cls=Group,
    help="Ask your documents a question; the answer streams immediately, with its sources.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help imports Rich's Markdown, which takes longer than everything else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Exit codes: 0 success, {_FAILURES}.",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"streamrag {__version__}")
        raise typer.Exit


@app.callback()
def streamrag(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask your documents a question; the answer streams immediately, with its sources."""


for _name, _module in {
    "ingest": ingest,
    "ask": ask,
    "chat": chat,
    "search": search,
    "show": show,
    "ls": ls,
    "collections": collections,
    "serve": serve,
    "status": status,
    "copy": copy,
    "doctor": doctor,
    "bench": bench,
    "eval": evaluate,
}.items():
    app.command(_name, cls=Command)(with_settings(_name, _module.command))
app.add_typer(log.app, name="log")
app.add_typer(engine.app, name="engine")
