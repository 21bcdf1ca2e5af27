"""The commands and their names."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from streamrag_cli import __version__
from streamrag_cli.cli import ask, bench, copy, doctor, engine, evaluate, ingest, search, serve, status

app = typer.Typer(
    name="streamrag",
    help="Ask your documents from the terminal; the answer starts at once, with its sources.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help would load its Markdown, which costs more than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 2 usage, 3 configuration, 4 model server, 5 store, 6 some files failed,"
    " 7 nothing relevant.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamrag {__version__}")
        raise typer.Exit


@app.callback()
def streamrag(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask your documents from the terminal; the answer starts at once, with its sources."""


class _Command(TyperCommand):
    """A command that takes --debug, as all do; what it means is for `Process`, whatever the command."""

    def __init__(self, name: str | None, *, params: list[Any], **rest: Any) -> None:
        debug = TyperOption(param_decls=["--debug"], is_flag=True, expose_value=False, help="Print tracebacks.")
        super().__init__(name, params=[*params, debug], **rest)


for _name, _module in {
    "ingest": ingest,
    "ask": ask,
    "search": search,
    "serve": serve,
    "status": status,
    "copy": copy,
    "doctor": doctor,
    "bench": bench,
    "eval": evaluate,
}.items():
    app.command(_name, cls=_Command)(_module.command)
app.add_typer(engine.app, name="engine")
