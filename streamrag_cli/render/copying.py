"""Output of `copy`: progress on stderr if it is a terminal, and the result."""

from collections.abc import Iterator
from typing import TextIO

from streamrag_cli.codec import encode
from streamrag_cli.counting import counted_noun
from streamrag_cli.json_objects import FORMAT_VERSION
from streamrag_cli.render.machine import write_line
from streamrag_cli.store.copying import CopyProgress


def show_copy(
    steps: Iterator[CopyProgress], collection: str, *, out: TextIO, err: TextIO, json: bool, quiet: bool
) -> None:
    """Run the copy to completion and print the result."""
    shows_steps = err.isatty() and not quiet
    last = CopyProgress(documents=0, documents_in_all=0, chunks=0)
    try:
        for last in steps:
            if shows_steps:
                err.write(f"\r{last.documents:,} of {last.documents_in_all:,} documents, {last.chunks:,} passages")
                err.flush()
    finally:
        if shows_steps:
            err.write("\n")
    if json:
        figures = {"documents": last.documents, "chunks": last.chunks}
        write_line(out, encode({"version": FORMAT_VERSION, "collection": collection, **figures}))
    elif not quiet:
        copied = f"{counted_noun(last.documents, 'document')}, {counted_noun(last.chunks, 'passage')}"
        err.write(f"copied {collection!r}: {copied}\n")
