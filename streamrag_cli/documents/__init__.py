"""Files to chunks: find the files, read them, load each into a `Document`, cut that into chunks.

    discover(paths) -> FoundFile ... -> read_file -> withheld? -> Loader.load -> chunk

This room knows of no store, no model, no event and no screen. What a file holds is data: parsers that are C code
or that unpack archives run in a process of their own (`sandbox`), everything else is text all the way.
"""

from typing import Final

RECIPE: Final = "4"
"""Names what the loaders and the chunker make of a file. To be raised whenever their output changes:
a stored document with another recipe is cut anew although its file is unchanged."""
