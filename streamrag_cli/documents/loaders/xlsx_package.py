"""Opens an Excel workbook and reads the names of its visible sheets, its shared texts and its number formats.

Templates and files with macros have the same structure. So does Strict Open XML, with other namespaces. Macros, links
and external parts are never read.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

from streamrag_cli.documents.loaders.number_formats import BUILT_IN, GENERAL
from streamrag_cli.documents.loaders.sheet_rows import CELL_CHARS, INVALID_IN_XML
from streamrag_cli.documents.loaders.xml_archive import parsed_xml, streamed_xml

_ESCAPE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_EMPTY_CELL: Final = re.compile(rb'<c r="[A-Z]{1,3}[0-9]{1,7}"(?: s="[0-9]{1,6}")?(?: ?/>|></c>)')
_BLOCK_BYTES: Final = 1 << 18
_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell is shown: its number format code and whether it is bold."""

    code: str = GENERAL
    is_bold: bool = False


@dataclass(slots=True)
class Workbook:
    """A workbook without its cells.

    `sheets` are the names and parts of the visible worksheets; `hidden_sheets` is the number of hidden sheets.
    """

    sheets: list[tuple[str, str]] = field(default_factory=list)
    hidden_sheets: int = 0
    is_1904: bool = False
    styles: list[Style] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    title: str = ""

    def style(self, index: str | None) -> Style:
        """Return the style with this index, or the General style if the index is missing or invalid."""
        number = int(index) if index and index.isascii() and index.isdigit() and len(index) < 9 else 0
        return self.styles[number] if number < len(self.styles) else Style()


def read_workbook(archive: zipfile.ZipFile) -> Workbook:
    """Read everything except the cells. Raises KeyError if the archive contains no workbook, and lxml's errors."""
    package = {kind: target for _, kind, target in relationships(archive, "")}
    main = package["officeDocument"]
    root = parsed_xml(archive.read(main))
    if _local(root) != "workbook":
        raise KeyError(main)
    parts = {identity: (kind, target) for identity, kind, target in relationships(archive, main)}
    by_kind = dict(parts.values())
    known: set[str] = set()
    workbook = Workbook(is_1904=_is_true(_first(root, "workbookPr"), "date1904"))
    for sheet in _all(root, "sheet"):
        identity = next((value for key, value in sheet.items() if key.endswith("}id")), "")
        kind, target = parts.get(identity, ("", ""))
        if kind != "worksheet" or target in known:
            continue
        known.add(target)  # reading a part once per sheet that refers to it could take a long time
        if sheet.get("state", "visible") == "visible":
            workbook.sheets.append((sheet.get("name") or "", target))
        else:
            workbook.hidden_sheets += 1
    workbook.styles = _styles(archive, by_kind.get("styles", ""))
    workbook.texts = _shared_texts(archive, by_kind.get("sharedStrings", ""))
    if (part := package.get("core-properties", "")) in archive.namelist():
        workbook.title = parsed_xml(archive.read(part)).findtext(_TITLE) or ""
    return workbook


def relationships(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the id, the last component of the type, and the target of each internal relationship of a part."""
    folder, name = posixpath.split(part)
    source = posixpath.join(folder, "_rels", f"{name}.rels")
    if source not in archive.NameToInfo:
        return
    for each in _all(parsed_xml(archive.read(source)), "Relationship"):
        if each.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, each.get("Target") or "")).lstrip("/")
            yield each.get("Id") or "", (each.get("Type") or "").rpartition("/")[2], target


def text_of(element: Any) -> str:
    """Return the text of a shared or inline string, without phonetic hints."""
    pieces: list[str] = []
    for child in element:
        name = _local(child)
        if name == "t":
            pieces.append(child.text or "")
        elif name == "r":
            pieces += (each.text or "" for each in child if _local(each) == "t")
    return clean_text("".join(pieces))


def clean_text(text: str) -> str:
    """Decode escapes such as `_x000D_`, remove characters that XML does not allow, and cut to `CELL_CHARS`."""
    if "_x" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return INVALID_IN_XML.sub("", text[:CELL_CHARS])


class WithoutEmptyCells(io.RawIOBase):
    """A stream of the XML of a sheet without the cells that have only a style. A sheet may have millions of them.

    Removing them before the XML is parsed is ten times as fast as parsing them.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next block, which may be longer than requested; b"" at the end."""
        while block := self._stream.read(_BLOCK_BYTES):
            data = self._rest + block
            end = data.rfind(b">") + 1
            self._rest = data[end:]
            if cells := _EMPTY_CELL.sub(b"", data[:end]):
                return cells
        rest, self._rest = self._rest, b""
        return rest


def _shared_texts(archive: zipfile.ZipFile, part: str) -> list[str]:
    if part not in archive.NameToInfo:
        return []
    with archive.open(part) as stream:
        return [text_of(each) for each in streamed_xml(stream, "si")]


def _styles(archive: zipfile.ZipFile, part: str) -> list[Style]:
    if part not in archive.NameToInfo:
        return []
    root = parsed_xml(archive.read(part))
    codes: dict[str, str] = {str(number): code for number, code in BUILT_IN.items()}
    codes |= {each.get("numFmtId") or "": each.get("formatCode") or GENERAL for each in _all(root, "numFmt")}
    fonts = _first(root, "fonts")
    is_bold = [_is_true(_child(font, "b"), "val", default=True) for font in (fonts if fonts is not None else ())]
    formats = _first(root, "cellXfs")
    styles: list[Style] = []
    for each in formats if formats is not None else ():
        font = each.get("fontId") or "0"
        bold = font.isdigit() and int(font[:9]) < len(is_bold) and is_bold[int(font[:9])]
        styles.append(Style(codes.get(each.get("numFmtId") or "0", GENERAL), bold))
    return styles


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _all(root: Any, name: str) -> Iterator[Any]:
    yield from root.iter(f"{{*}}{name}")


def _first(root: Any, name: str) -> Any:
    return next(_all(root, name), None)


def _child(element: Any, name: str) -> Any:
    return next((child for child in element if _local(child) == name), None)


def _is_true(element: Any, attribute: str, *, default: bool = False) -> bool:
    """Return a boolean attribute: False if the element is missing, `default` if the attribute is missing."""
    if element is None:
        return False
    value = element.get(attribute)
    return default if value is None else value in {"1", "true", "on"}
