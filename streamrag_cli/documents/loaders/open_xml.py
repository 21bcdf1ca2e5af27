"""Reads the parts of an Open XML file (Word, PowerPoint) and the relationships between them.

Templates and files with macros have the same structure. Strict Open XML uses other namespaces, which are replaced by
the common ones before parsing. Macros, links and external parts are never read.
"""

import posixpath
import re
import zipfile
from typing import Any, Final, NamedTuple

from streamrag_cli.documents.loaders.xml_archive import parsed_xml

_STRICT: Final = b"http://purl.oclc.org/ooxml/"
_STRICT_NAMESPACE: Final = re.compile(re.escape(_STRICT) + rb"([A-Za-z]+)/")
_USUAL_NAMESPACE: Final = rb"http://schemas.openxmlformats.org/\1/2006/"
_RELATIONSHIP: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"


class Relationship(NamedTuple):
    """A part that another part refers to. `kind` is the last component of the relationship's type."""

    identity: str
    kind: str
    target: str


def relationships(archive: zipfile.ZipFile, part: str) -> list[Relationship]:
    """Return the internal parts that `part` refers to or, if it is "", the parts that the package refers to."""
    folder, name = posixpath.split(part)
    try:
        root = parsed_part(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    except KeyError:
        return []
    return [
        Relationship(
            identity=each.get("Id") or "",
            kind=(each.get("Type") or "").rpartition("/")[2],
            target=posixpath.normpath(posixpath.join("/", folder, each.get("Target") or "")).lstrip("/"),
        )
        for each in root.iter(_RELATIONSHIP)
        if each.get("TargetMode") != "External"
    ]


def targets_by_kind(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return the name of the first part of each kind that `part` refers to."""
    return {each.kind: each.target for each in reversed(relationships(archive, part))}


def parsed_part(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the root element of a part. Raises KeyError if the part is missing, and lxml's errors."""
    data = archive.read(name)
    return parsed_xml(_STRICT_NAMESPACE.sub(_USUAL_NAMESPACE, data) if _STRICT in data else data)


def optional_part(archive: zipfile.ZipFile, name: str | None) -> Any:
    """Return the root element of a part, or None if the part is missing."""
    try:
        return None if name is None else parsed_part(archive, name)
    except KeyError:
        return None


def title_in_properties(archive: zipfile.ZipFile) -> str:
    """Return the title in the file's properties, or ""."""
    properties = optional_part(archive, targets_by_kind(archive, "").get("core-properties"))
    return "" if properties is None else properties.findtext(_TITLE) or ""
