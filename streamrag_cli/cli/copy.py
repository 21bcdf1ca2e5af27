"""The command `streamrag copy`."""

from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.settings import read_settings


def command(
    process: Process,
    *,
    source: Annotated[
        str, typer.Option("--from", metavar="STORE", help="Store to copy from: directory or postgresql:// URL.")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="STORE", help="Store to copy to: directory or postgresql:// URL.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the collection if the target store already has it.")
    ] = False,
    flags: options.SettingFlags,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress and the summary.")] = False,
) -> int:
    """Copy a collection from one store to another, including its vectors.

    Nothing is embedded again. The target store does not change until the copy is complete.
    """
    settings = read_settings({**flags, "store": source}, process.environment)
    other = read_settings({**flags, "store": target}, process.environment)

    from streamrag_cli.render.copying import show_copy
    from streamrag_cli.store.copying import copy_collection

    steps = copy_collection(settings.store, other.store, settings.collection, replace=replace)
    show_copy(steps, settings.collection, out=process.out, err=process.err, json=json, quiet=quiet)
    return 0
