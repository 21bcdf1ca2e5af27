"""Opens a Word file and parses the parts that contain text.

Templates and files with macros have the same structure. Strict Open XML uses other namespaces, which are replaced by
the usual ones before parsing. Macros, links and external parts are never read.
"""

import posixpath
import zipfile
from dataclasses import dataclass
from typing import Any, Final

from streamrag_cli.documents.loaders.xml_archive import opened_archive, parsed_xml

_STRICT: Final = b"http://purl.oclc.org/ooxml/"
_USUAL_NAMES: Final = (
    (_STRICT + b"wordprocessingml/main", b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"),
    (_STRICT + b"officeDocument/math", b"http://schemas.openxmlformats.org/officeDocument/2006/math"),
    (_STRICT + b"officeDocument/relationships", b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"),
)
_RELATIONSHIP: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_BODY: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}body"


@dataclass(frozen=True, slots=True)
class Package:
    """The parsed parts; missing parts are None. `title` is the title in the file's properties, or ""."""

    body: Any
    styles: Any
    footnotes: Any
    endnotes: Any
    title: str


def open_package(data: bytes) -> Package:
    """Open and parse the file. Raises `DocumentError` `encrypted`, `zip_bomb` or `corrupt`."""
    with opened_archive(data, "a Word document") as archive:
        return _package(archive)


def _package(archive: zipfile.ZipFile) -> Package:
    parts = _targets(archive, "")
    main = parts["officeDocument"]
    document = _parsed(archive.read(main))
    body = document.find(_BODY)
    if body is None:
        raise KeyError(_BODY)
    inner = _targets(archive, main)
    parsed_parts = {kind: _optional(archive, inner.get(kind)) for kind in ("styles", "footnotes", "endnotes")}
    properties = _optional(archive, parts.get("core-properties"))
    title = properties.findtext(_TITLE) if properties is not None else None
    return Package(body=body, title=title or "", **parsed_parts)


def _targets(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """The parts that `part`, or the package if it is "", refers to, by the last component of the relationship type."""
    folder, name = posixpath.split(part)
    try:
        relationships = _parsed(archive.read(posixpath.join(folder, "_rels", f"{name}.rels")))
    except KeyError:
        return {}
    targets: dict[str, str] = {}
    for each in relationships.iter(_RELATIONSHIP):
        kind = (each.get("Type") or "").rpartition("/")[2]
        if each.get("TargetMode") != "External":
            targets.setdefault(
                kind, posixpath.normpath(posixpath.join("/", folder, each.get("Target") or "")).lstrip("/")
            )
    return targets


def _optional(archive: zipfile.ZipFile, name: str | None) -> Any:
    if name is None:
        return None
    try:
        return _parsed(archive.read(name))
    except KeyError:
        return None


def _parsed(data: bytes) -> Any:
    if _STRICT in data:
        for strict, usual in _USUAL_NAMES:
            data = data.replace(strict, usual)
    return parsed_xml(data)
