"""The commands and their names."""

from typing import Annotated

import typer

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


app.command("ingest")(ingest.command)
app.command("ask")(ask.command)
app.command("search")(search.command)
app.command("serve")(serve.command)
app.command("status")(status.command)
app.command("copy")(copy.command)
app.add_typer(engine.app, name="engine")
app.command("doctor")(doctor.command)
app.command("bench")(bench.command)
app.command("eval")(evaluate.command)
