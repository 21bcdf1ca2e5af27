"""Reads page records, which are files next to the pages' copies."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from streamrag_cli.regular_files import read_regular_file
from streamrag_cli.remote.copies import Copy
from streamrag_cli.remote.web.results import PageRecord

_MAX_RECORD_BYTES: Final = 50_000_000


def hashed(address: str) -> str:
    """A hash of a page's address. The names of the page's files begin with it."""
    return hashlib.sha256(address.encode()).hexdigest()[:24]


def read_record(file: Path) -> tuple[str, PageRecord] | None:
    """A page's address and record; None if the file is missing or damaged."""
    try:
        fields = json.loads(read_regular_file(file, _MAX_RECORD_BYTES))
        address = fields.pop("address")
        fields["anchors"] = tuple((str(heading), str(anchor)) for heading, anchor in fields["anchors"])
        for name in ("links", "aliases"):
            fields[name] = tuple(map(str, fields[name]))
        return str(address), PageRecord(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_records(copy: Copy) -> dict[str, PageRecord]:
    """The pages whose record and copy exist."""
    records: dict[str, PageRecord] = {}
    folder = copy.directory / "pages"
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        record = read_record(file)
        if record and (copy.files / f"{hashed(record[0])}{record[1].suffix}").is_file():
            records[record[0]] = record[1]
    return records


def record_as_json(address: str, record: PageRecord) -> bytes:
    return json.dumps({"address": address, **asdict(record)}, ensure_ascii=False).encode("utf-8", "replace")
