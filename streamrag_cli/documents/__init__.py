"""Turns files into chunks: finds files, reads them, loads each one into a `Document` and splits it into chunks.

    discover(paths) -> FoundFile ... -> read_file -> withheld? -> Loader.load -> chunk

This package does not import the store, the models, events or rendering. File contents are untrusted: risky formats and
large files are parsed in a separate process (`sandbox`).
"""

from typing import Final

RECIPE: Final = "6"
"""The version of the loaders' and the chunker's output. Increase it whenever that output changes: documents stored
with another version are then loaded and chunked again, even if their files are unchanged."""
