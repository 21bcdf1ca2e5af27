"""Opens a Word file and parses the parts that contain text."""

from dataclasses import dataclass
from typing import Any, Final

from streamrag_cli.documents.loaders.open_xml import (
    optional_part,
    parsed_part,
    targets_by_kind,
    title_in_properties,
)
from streamrag_cli.documents.loaders.xml_archive import opened_archive

_BODY: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}body"


@dataclass(frozen=True, slots=True)
class Package:
    """The parsed parts of a Word file. Missing parts are None. `title` is the title in the properties, or ""."""

    body: Any
    styles: Any
    footnotes: Any
    endnotes: Any
    title: str


def open_package(data: bytes) -> Package:
    """Open and parse a Word file. Raises `DocumentError` `encrypted`, `zip_bomb` or `corrupt`."""
    with opened_archive(data, "a Word document") as archive:
        main = targets_by_kind(archive, "")["officeDocument"]
        body = parsed_part(archive, main).find(_BODY)
        if body is None:
            raise KeyError(_BODY)
        inner = targets_by_kind(archive, main)
        parts = {kind: optional_part(archive, inner.get(kind)) for kind in ("styles", "footnotes", "endnotes")}
        return Package(body=body, title=title_in_properties(archive), **parts)
