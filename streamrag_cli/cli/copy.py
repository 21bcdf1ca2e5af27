"""The command `streamrag copy`."""

import re
from collections.abc import Mapping
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import DocumentError, UsageError
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

    The vectors are copied as well, so nothing is embedded again. Local copies of web pages, repositories and piped text
    are copied too. The target store changes only when the copy is complete.
    """
    settings = _settings({**flags, "store": source}, "--from", process)
    other = _settings({**flags, "store": target}, "--to", process)

    from streamrag_cli.render.copying import show_copy
    from streamrag_cli.store.copying import copy_collection

    steps = copy_collection(settings.store, other.store, settings.collection, replace=replace)
    show_copy(steps, settings.collection, out=process.out, err=process.err, json=json, quiet=quiet)
    _copy_remote_documents(settings, other, process)
    return 0


def _copy_remote_documents(settings: Settings, other: Settings, process: Process) -> None:
    """Copy the copies of fetched and piped documents, so that `--rebuild` can read them. Report a failure as a note."""
    from streamrag_cli.addresses import Address
    from streamrag_cli.ingest.roots import copies_of, recorded_roots

    addresses = [root for root in recorded_roots(other) if isinstance(root, Address)]
    if not addresses:
        return
    try:
        copies_of(settings).copy_to(copies_of(other), addresses)
    except (DocumentError, OSError) as error:
        reason = error.message if isinstance(error, DocumentError) else (error.strerror or str(error)).lower()
        what = "the local copies of web pages, repositories and piped text were not copied"
        process.err.write(f"note: {what}: {reason}\n")


def _settings(flags: Mapping[str, object | None], flag: str, process: Process) -> Settings:
    """Return the settings with the store that `flag` selects. The message of a UsageError mentions `flag`, not
    `--store`.
    """
    try:
        return read_settings(flags, process.environment)
    except UsageError as error:
        message = re.sub(r"^--store:", f"{flag}:", error.message)
        raise UsageError(message, code=error.code, hint=error.hint) from None
