"""The command `streamrag copy`."""

import re
from collections.abc import Mapping
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import UsageError
from streamrag_cli.settings import Settings, read_settings


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
        bool, typer.Option("--replace", help="Replace the collection if it already exists in the target store.")
    ] = False,
    flags: options.SettingFlags,
    json: options.Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress and the summary.")] = False,
) -> int:
    """Copy a collection to another store.

    The vectors are copied as well, so nothing is embedded again. The target store changes only when the copy is
    complete.
    """
    settings = _settings({**flags, "store": source}, "--from", process)
    other = _settings({**flags, "store": target}, "--to", process)

    from streamrag_cli.render.copying import show_copy
    from streamrag_cli.store.copying import copy_collection

    steps = copy_collection(settings.store, other.store, settings.collection, replace=replace)
    show_copy(steps, settings.collection, out=process.out, err=process.err, json=json, quiet=quiet)
    return 0


def _settings(flags: Mapping[str, object | None], flag: str, process: Process) -> Settings:
    """Return the settings with the store that `flag` selects. The message of a UsageError mentions `flag`, not
    `--store`.
    """
    try:
        return read_settings(flags, process.environment)
    except UsageError as error:
        message = re.sub(r"^--store:", f"{flag}:", error.message)
        raise UsageError(message, code=error.code, hint=error.hint) from None
