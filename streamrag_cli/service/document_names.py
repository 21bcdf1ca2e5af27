"""Finds the document that a user names by its path, by its name as shown, or by the end of its path."""

import difflib
import os
import shlex
from pathlib import Path
from typing import Final

from streamrag_cli.addresses import format_path, is_address
from streamrag_cli.counting import counted_noun
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.errors import UsageError
from streamrag_cli.missing_files import is_missing
from streamrag_cli.model import DocumentRecord
from streamrag_cli.store.interface import Manifest
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise_line

_NAMED: Final = 5


def exactly_named(manifest: Manifest, name: str, names: DisplayNames) -> DocumentRecord | None:
    """The document whose path is `name`, which may be relative or begin with `~/`; None if there is none."""
    path = _absolute(name, names)
    return manifest.document(path) if path else None


def find(manifest: Manifest, name: str, names: DisplayNames) -> DocumentRecord:
    """The document with this path or stored name, or the only document whose path ends in `name`.

    Raises UsageError `ambiguous_document`, which lists the candidates, or `no_such_document`, which names similar ones.
    """
    if (exact := exactly_named(manifest, name, names)) is not None:
        return exact
    records = list(manifest.documents_under(EVERYTHING))
    # Sources shorten a long path on the left, at a directory or within the file name.
    ending = name[1:] if name.startswith("…") else "/" + name.removeprefix("./").strip("/")
    named = [each for each in records if each.source == name] or [
        each for each in records if each.path.endswith(ending) or each.path.casefold().endswith(ending.casefold())
    ]
    if len(named) == 1:
        return named[0]
    if named:
        raise _ambiguous(name, named, names)
    if (unread := _unread(manifest, name, names)) is not None:
        raise unread
    if (on_disk := _on_disk(name, records, names)) is not None:
        raise on_disk
    raise _unknown(name, records, names)


def show_command(record: DocumentRecord, names: DisplayNames) -> str:
    """The command that shows the whole document."""
    return f"streamrag show {shlex.quote(sanitise_line(names.typed(record.path)))}"


def _absolute(name: str, names: DisplayNames) -> str | None:
    if is_address(name):
        return name
    if name.startswith("~/") and names.home is not None:
        return os.path.normpath(names.home / name[2:])
    if name.startswith("/"):
        return os.path.normpath(name)
    return None if names.directory is None else os.path.normpath(names.directory / name)


def _ambiguous(name: str, records: list[DocumentRecord], names: DisplayNames) -> UsageError:
    shown = [sanitise_line(names.of(each.path)) for each in records]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return UsageError(
        f"{len(shown)} documents are named {sanitise_line(name)!r}: {', '.join(shown[:_NAMED])}{more}",
        code="ambiguous_document",
        hint=show_command(records[0], names),
    )


def _unread(manifest: Manifest, name: str, names: DisplayNames) -> UsageError | None:
    """The error for a file that the last ingest skipped or could not read, or that is in a folder it did not read."""
    path, ending = _absolute(name, names), "/" + name.removeprefix("./").strip("/").casefold()
    files = manifest.unread_files()
    exact = (each for each in files if path and f"{path}/".startswith(f"{each.path.rstrip('/')}/"))
    file = next(exact, None) or next((each for each in files if each.path.casefold().endswith(ending)), None)
    if file is None:
        return None
    return UsageError(
        not_ingested(file.path, file.reason, names), code="no_such_document", hint="streamrag ls --failed"
    )


def not_ingested(path: str, reason: str, names: DisplayNames) -> str:
    """The message that a file was skipped or could not be read."""
    return f"{sanitise_line(names.of(path))} was not ingested: {sanitise_line(reason)}"


def _on_disk(name: str, records: list[DocumentRecord], names: DisplayNames) -> UsageError | None:
    """The error for a folder of documents, or for a file on this machine that was not ingested."""
    path = _absolute(name, names)
    if path is None or is_address(path):
        return None
    shown, argument = sanitise_line(names.of(path))[:200], shlex.quote(sanitise_line(names.typed(path)))
    if below := sum(each.path.startswith(f"{path}/") for each in records):
        message, hint = f"{shown} is a folder with {counted_noun(below, 'document')}", f"streamrag ls {argument}"
    elif not is_missing(Path(path)) and Path(path).is_file():
        message, hint = f"{shown} has not been ingested", f"streamrag ingest {argument}"
    else:
        return None
    return UsageError(message, code="no_such_document", hint=hint)


def _unknown(name: str, records: list[DocumentRecord], names: DisplayNames) -> UsageError:
    by_name: dict[str, DocumentRecord] = {}
    for each in records:
        for key in (names.of(each.path), format_path(each.path).name, format_path(each.path).stem):
            by_name.setdefault(key.casefold(), each)
    close = difflib.get_close_matches(name.casefold(), by_name, n=3, cutoff=0.6)
    near = list({by_name[key].path: by_name[key] for key in close}.values())
    shown = sanitise_line(name)[:200]
    if not near:
        return UsageError(f"no document is named {shown!r}", code="no_such_document", hint="streamrag ls")
    similar = ", ".join(sanitise_line(names.of(each.path)) for each in near)
    return UsageError(
        f"no document is named {shown!r}; similar: {similar}",
        code="no_such_document",
        hint=show_command(near[0], names),
    )
