"""Disk space for the store, and permission to write there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.documents.discover import is_gone
from streamrag_cli.store.local.layout import collections
from streamrag_cli.store.local.lock import not_writable

_LITTLE_BYTES: Final = 500_000_000
_NONE_BYTES: Final = 20_000_000


def check_disk(store: Path) -> Iterator[Finding]:
    """Raises StoreError `store_not_writable`."""
    there = next(each for each in (store, *store.parents) if not is_gone(each))
    free_bytes = shutil.disk_usage(there).free
    free = f"{free_bytes / 1e6:,.0f} MB free"
    if not os.access(there, os.W_OK | os.X_OK):
        if not collections(store):
            raise not_writable(there, "it is read-only for this user")
        yield warning(
            "disk",
            f"{there}: read-only for this user, so it can be asked and not ingested into",
            code="read_only",
            figures={"free_bytes": free_bytes},
        )
        return
    if free_bytes < _NONE_BYTES:
        raise not_writable(there, f"the disk is full ({free})")
    if free_bytes < _LITTLE_BYTES:
        said = f"{there}: only {free}; an ingest needs about four times the size of its text"
        yield warning("disk", said, hint=f"df -h {there}", code="little_room", figures={"free_bytes": free_bytes})
    else:
        yield ok("disk", f"{there}: {free}, writable", figures={"free_bytes": free_bytes})
