"""Disk space for the store, and permission to write there."""

from collections.abc import Iterator
from typing import Final

from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.store.kind import Store

_LITTLE_BYTES: Final = 500_000_000


def check_disk(store: Store) -> Iterator[Finding]:
    """Nothing where the disk is another machine's. Raises StoreError `store_not_writable`."""
    room = store.room()
    if room is None:
        return
    figures = {"free_bytes": room.free_bytes}
    if not room.is_writable:
        said = f"{room.place}: read-only for this user, so it can be asked and not ingested into"
        yield warning("disk", said, code="read_only", figures=figures)
    elif room.free_bytes < _LITTLE_BYTES:
        said = f"{room.place}: only {room.free}; an ingest needs about four times the size of its text"
        yield warning("disk", said, hint=f"df -h {room.place}", code="little_room", figures=figures)
    else:
        yield ok("disk", f"{room.place}: {room.free}, writable", figures=figures)
