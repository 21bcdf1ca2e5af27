"""Links to the headings on web pages that were ingested on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from streamrag_cli.remote.copies import Copies
from streamrag_cli.remote.web.page_records import hashed, read_record

_SAFE: Final = "!$&'()*+,;=:@/?-._~"


def link_to(address: str, headings: Sequence[str], copies: Copies) -> str:
    """The address of the innermost heading that has an id, or of the page if none of the `headings` has one."""
    anchors = anchors_of(address, copies)
    anchor = next((anchors[each] for each in reversed(headings) if each in anchors), "")
    return f"{address}#{quote(anchor, safe=_SAFE)}" if anchor else address


def heading_of(address: str, fragment: str, copies: Copies) -> str | None:
    """The heading with the id `fragment` on a page; None if it is unknown."""
    decoded = unquote(fragment)
    return next((heading for heading, anchor in anchors_of(address, copies).items() if anchor == decoded), None)


def anchors_of(address: str, copies: Copies) -> dict[str, str]:
    """The ids of the headings on a page; empty if it was not fetched on this machine."""
    for file in _records(address, copies):
        record = read_record(file)
        if record and record[0] == address:
            return dict(record[1].anchors)
    return {}


def _records(address: str, copies: Copies) -> list[Path]:
    """The files that may contain a page's record. The page may belong to several roots."""
    try:
        return [each for each in copies.directory.glob(f"*/pages/{hashed(address)}.json") if each.is_file()]
    except OSError:
        return []
