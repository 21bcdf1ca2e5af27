"""Opens an EPUB and reads its reading order, table of contents and metadata.

Versions 2 and 3 are supported. Errors that e-book readers tolerate are tolerated: names in the wrong case, unescaped
ampersands, and missing or damaged files. Files outside the archive are not read.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from streamrag_cli.documents.loaders.xhtml import local_name, parse_xml_leniently
from streamrag_cli.documents.loaders.xml_archive import opened_archive
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.errors import DocumentError

_KIND: Final = "an EPUB"
_PAGE_TYPES: Final = frozenset(
    {"application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/x-dtbook+xml", "application/xml",
     "text/xml", "image/svg+xml"}
)  # fmt: skip
_PACKAGE_TYPE: Final = "application/oebps-package+xml"
_FONT_OBFUSCATION: Final = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
_SCHEMES: Final = {
    "META-INF/rights.xml": "Adobe's copy protection",
    "META-INF/sinf.xml": "Apple's copy protection",
    "META-INF/license.lcpl": "LCP copy protection",
}
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, NotImplementedError)
_ROLE: Final = "{http://www.idpf.org/2007/ops}type"


class Entry(NamedTuple):
    """An entry of the table of contents, which points to `file#fragment`. Its own label is the last of `labels`."""

    labels: tuple[str, ...]
    file: str
    fragment: str


@dataclass(slots=True)
class Package:
    """An open EPUB. `pages` are the names of its pages in reading order, including those of missing files."""

    title: str = ""
    authors: tuple[str, ...] = ()
    pages: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    contents_page: str = ""
    _files: "_Files | None" = None

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if the file is missing or damaged."""
        return None if self._files is None else self._files.read(name)


@contextmanager
def opened_packages(data: bytes) -> Iterator[list[Package]]:
    """Open an EPUB. Yields a list with a package for each rendition of the book, the default rendition first.

    Raises DocumentError `encrypted`, `zip_bomb` or `corrupt`.
    """
    with opened_archive(data, _KIND) as archive:
        files = _Files(archive)
        paths = _package_paths(files)
        packages = [package for path in paths if (package := _package(files, path)) is not None]
        if not packages:
            raise DocumentError(f"the file is corrupt or is not {_KIND}", code="corrupt")
        _check_encryption(files, {page for package in packages for page in package.pages})
        yield packages


class _Files:
    """The files in an archive, by name. Case is ignored."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")
            self._infos.setdefault(name.casefold(), info)
            if not info.flag_bits & 0x800:  # the name is declared as code page 437, but is often UTF-8
                try:
                    self._infos.setdefault(name.encode("cp437").decode().casefold(), info)
                except UnicodeError:
                    continue

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._infos

    def read(self, name: str) -> bytes | None:
        info = self._infos.get(name.casefold())
        if info is None:
            return None
        try:
            return self._archive.read(info)
        except _UNREADABLE:
            return None


def _package_paths(files: _Files) -> list[str]:
    container = files.read("META-INF/container.xml")
    root = parse_xml_leniently(container) if container is not None else None
    paths = [
        unquote(each.get("full-path") or "").lstrip("/")
        for each in (root.iter() if root is not None else ())
        if local_name(each) == "rootfile" and (each.get("media-type") or _PACKAGE_TYPE) == _PACKAGE_TYPE
    ]
    known = [path for path in dict.fromkeys(paths) if path in files]
    return known or sorted((name for name in files if name.endswith(".opf")), key=len)[:1]


def _package(files: _Files, path: str) -> Package | None:
    data = files.read(path)
    root = parse_xml_leniently(data) if data is not None else None
    if root is None:
        return None
    folder = posixpath.dirname(path)
    items: dict[str, Any] = {}
    spine: list[str] = []
    contents_page = contents_id = ""
    package = Package(_files=files)
    for each in root.iter():
        name = local_name(each)
        if name == "item" and each.get("id"):
            items.setdefault(each.get("id"), each)
        elif name == "spine":
            contents_id = each.get("toc") or ""
        elif name == "itemref" and each.get("idref"):
            spine.append(each.get("idref"))
        elif name == "reference" and (each.get("type") or "").casefold() == "toc":
            contents_page, _ = resolved(folder, each.get("href") or "")
        elif name in {"title", "creator"} and (text := clean_heading("".join(each.itertext()))):
            if name == "title":
                package.title = package.title or text
            else:
                package.authors += (text,)
    package.contents_page = contents_page
    pages = (_page_of(items, identity) for identity in dict.fromkeys(spine or items))
    package.pages = list(
        dict.fromkeys(resolved(folder, item.get("href") or "")[0] for item in pages if item is not None)
    )
    package.entries = _entries(files, folder, items, contents_id)
    return package if package.pages else None


def _page_of(items: dict[str, Any], identity: str) -> Any:
    """Return the manifest item with the id `identity`, or its fallback if it is not a page."""
    seen: set[str] = set()
    while identity in items and identity not in seen:
        seen.add(identity)
        item = items[identity]
        if (item.get("media-type") or "application/xhtml+xml").casefold() in _PAGE_TYPES:
            return item
        identity = item.get("fallback") or ""
    return None


def _entries(files: _Files, folder: str, items: dict[str, Any], contents_id: str) -> list[Entry]:
    """Return the entries in the EPUB 3 table of contents or, if it is missing, in the EPUB 2 table of contents."""
    navigation = [item for item in items.values() if "nav" in (item.get("properties") or "").split()]
    ncx = [items[contents_id]] if contents_id in items else []
    ncx += [item for item in items.values() if item.get("media-type") == "application/x-dtbncx+xml"]
    for item in (*navigation[:1], *ncx[:1]):
        name, _ = resolved(folder, item.get("href") or "")
        data = files.read(name)
        root = parse_xml_leniently(data) if data is not None else None
        if root is None:
            continue
        if entries := list(_navigation_entries(root, posixpath.dirname(name))):
            return entries
    return []


def _navigation_entries(root: Any, folder: str) -> Iterator[Entry]:
    for each in root.iter():
        name = local_name(each)
        if name == "navMap":
            yield from _map_entries(each, folder, ())
            return
        if name == "nav" and "toc" in (each.get(_ROLE) or each.get("role") or "toc").replace("doc-", "").split():
            yield from _list_entries(each, folder, ())
            return


def _map_entries(container: Any, folder: str, above: tuple[str, ...]) -> Iterator[Entry]:
    for point in _children(container, "navPoint"):
        label = clean_heading(" ".join("".join(each.itertext()) for each in _children(point, "navLabel")))
        labels = (*above, label) if label else above
        for content in _children(point, "content")[:1]:
            yield Entry(labels, *resolved(folder, content.get("src") or ""))
        yield from _map_entries(point, folder, labels)


def _list_entries(container: Any, folder: str, above: tuple[str, ...]) -> Iterator[Entry]:
    for item in (item for each in _children(container, "ol") for item in _children(each, "li")):
        labels = above
        for child in _children(item, "a", "span")[:1]:
            label = clean_heading("".join(child.itertext()))
            labels = (*above, label) if label else above
            if href := child.get("href"):
                yield Entry(labels, *resolved(folder, href))
        yield from _list_entries(item, folder, labels)


def _children(element: Any, *names: str) -> list[Any]:
    return [child for child in element if local_name(child) in names]


def resolved(folder: str, reference: str) -> tuple[str, str]:
    """Return the name in the archive and the fragment that `reference`, in a file in `folder`, points to."""
    try:
        parts = urlsplit(reference.strip())
    except ValueError:
        return "", ""
    if parts.scheme or not parts.path:
        return "", unquote(parts.fragment)
    path = posixpath.normpath(posixpath.join("/", folder, unquote(parts.path)))
    return path.lstrip("/"), unquote(parts.fragment)


def _check_encryption(files: _Files, pages: set[str]) -> None:
    """Raise DocumentError `encrypted` if pages are encrypted. Obfuscated fonts are allowed."""
    data = files.read("META-INF/encryption.xml")
    root = parse_xml_leniently(data) if data is not None else None
    folded = {page.casefold() for page in pages}
    for each in root.iter() if root is not None else ():
        if local_name(each) != "EncryptedData":
            continue
        parts = {local_name(part): part for part in each.iter()}
        method, reference = parts.get("EncryptionMethod"), parts.get("CipherReference")
        if reference is None or (method is not None and method.get("Algorithm") in _FONT_OBFUSCATION):
            continue
        if resolved("", reference.get("URI") or "")[0].casefold() in folded:
            scheme = next((name for file, name in _SCHEMES.items() if file in files), "copy protection (DRM)")
            raise DocumentError(f"the book is encrypted with {scheme}", code="encrypted")
