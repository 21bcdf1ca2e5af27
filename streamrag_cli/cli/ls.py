"""The command `streamrag ls`."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.missing_files import is_missing
from streamrag_cli.model import DocumentEntry
from streamrag_cli.service.interface import Listing
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise_line


def command(
    process: Process,
    *,
    pattern: Annotated[
        str, typer.Argument(metavar="[GLOB]", help="List only documents that match a pattern or are in a folder.")
    ] = "",
    failed: Annotated[
        bool,
        typer.Option("--failed", help="List files that the last ingest could not read or skipped, with the reason."),
    ] = False,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="List only documents with this tag; repeat to require several tags."),
    ] = None,
    settings: Settings,
    json: options.Json = False,
    plain: options.Plain = False,
) -> int:
    """List the documents in a collection.

    On a terminal, the columns are path, passages, size, the times of the last change and of the ingest, and tags. In a
    pipe, they are separated by tabs, sizes are in bytes, and times are in UTC.
    """
    import asyncio  # takes 30 ms, and every command imports this module

    from streamrag_cli.render.documents import show_documents

    glob = pattern.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    tags = tuple(each.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for each in tag or ())
    listing = Listing(pattern=glob, unread=failed, tags=tags, names=process.display_names)
    entries = asyncio.run(LocalService().list(listing, settings))
    unread: Sequence[DocumentEntry] = ()
    hint = ""
    if not entries and pattern and not failed:
        unread = asyncio.run(LocalService().list(replace(listing, unread=True), settings))
        hint = "streamrag ls --failed" if unread else _hint(process, pattern, listing, settings)
    show_documents(
        entries,
        process.out,
        process.err,
        collection=settings.collection,
        names=process.display_names,
        only_unread=failed,
        unread=unread,
        hint=process.with_target_flags(hint),
        json=json,
        plain=plain,
    )
    return 0


def _hint(process: Process, pattern: str, listing: Listing, settings: Settings) -> str:
    """Return the command that lists the documents of another collection, or ingests a file that is in none; or ""."""
    from streamrag_cli.service.library import other_collection_with

    if sanitise_line(pattern) != pattern:
        return ""
    if name := other_collection_with(listing, settings):
        return f"streamrag ls {shlex.quote(pattern)} -c {shlex.quote(name)}"
    names = process.display_names
    on_disk = names.directory is not None and not is_missing(names.directory / pattern)
    return f"streamrag ingest {shlex.quote(pattern)}" if on_disk and not listing.tags else ""
