"""Opens a Word file: the archive is judged by its directory first, then the parts with text are parsed.

Templates and files with macros are the same inside. Strict Open XML has other names for the same elements; they are
changed to the usual ones before parsing. No macro, link or external part is looked at.
"""

import io
import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, Final

from streamrag_cli.errors import DocumentError

ENTRIES: Final = 10_000
UNPACKED_BYTES: Final = 512 << 20
RATIO: Final = 200
RATIO_FROM_BYTES: Final = 32 << 20
"""Some XML packs well; only what is large unpacked has to answer for its ratio."""

_CORRUPT: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, KeyError, ValueError, RuntimeError, EOFError, OSError
)  # fmt: skip
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
    """Parsed parts; one that the file does not have is None. `title` is the file's own name for itself, or ""."""

    body: Any
    styles: Any
    footnotes: Any
    endnotes: Any
    title: str


def open_package(data: bytes) -> Package:
    """Raises `DocumentError`: `encrypted`, `zip_bomb`, `corrupt`."""
    from lxml.etree import LxmlError  # 30 ms

    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # an OLE container, which is what Word encrypts into
        raise DocumentError("encrypted, or in Word's old format", code="encrypted")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive.infolist(), len(data))
            return _package(archive)
    except (*_CORRUPT, LxmlError) as error:
        raise DocumentError("corrupt, or not a Word document", code="corrupt") from error


def _check(entries: list[zipfile.ZipInfo], size: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if len(entries) > ENTRIES:
        raise DocumentError(f"holds {len(entries):,} files", code="zip_bomb")
    if unpacked > UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and unpacked > RATIO * min(packed, size)):
        raise DocumentError(f"would unpack to {unpacked / 1e6:,.0f} MB", code="zip_bomb")


def _package(archive: zipfile.ZipFile) -> Package:
    parts = _targets(archive, "")
    main = parts["officeDocument"]
    document = _parsed(archive.read(main))
    body = document.find(_BODY)
    if body is None:
        raise KeyError(_BODY)
    inner = _targets(archive, main)
    read = {kind: _optional(archive, inner.get(kind)) for kind in ("styles", "footnotes", "endnotes")}
    properties = _optional(archive, parts.get("core-properties"))
    title = properties.findtext(_TITLE) if properties is not None else None
    return Package(body=body, title=title or "", **read)


def _targets(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """The parts that `part` (or the package) refers to, by the last word of their type."""
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
    from lxml import etree  # loaded by now

    if _STRICT in data:
        for strict, usual in _USUAL_NAMES:
            data = data.replace(strict, usual)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    return etree.fromstring(data, parser)
