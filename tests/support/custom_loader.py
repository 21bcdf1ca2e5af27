"""A loader for a format used in tests: each line is `key: value`. The title is the id of the process that loads it."""

import os

from streamrag_cli.model import Document, Section


def load_ledger(path: str, text: str) -> Document:
    rows = "".join(
        f"The {key.strip()} is {value.strip()}.\n"
        for key, _, value in (row.partition(":") for row in text.splitlines())
    )
    return Document(
        path=path,
        text=rows,
        title=f"process {os.getpid()}",
        sections=(Section(start=0, end=len(rows)),),
        line_numbers=None,
    )
