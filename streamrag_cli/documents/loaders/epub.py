"""Loads EPUB books: the pages in reading order, divided into the chapters in the table of contents.

Headings in the text divide a chapter into sections. Tables of contents, page numbers, note numbers and ruby annotations
are omitted. Books with copy protection are rejected. Obfuscated fonts do not count as copy protection.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from streamrag_cli.counting import counted_noun
from streamrag_cli.documents.loaders.epub_chapters import Mark, chapter_sections
from streamrag_cli.documents.loaders.epub_package import Entry, Package, opened_packages
from streamrag_cli.documents.loaders.flow import Flow
from streamrag_cli.documents.loaders.html import TOO_DEEP, walk
from streamrag_cli.documents.loaders.html_content import is_hidden
from streamrag_cli.documents.loaders.xhtml import parse_page
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document

_DROPPED: Final = frozenset(
    {"head", "script", "style", "nav", "template", "iframe", "object", "embed", "audio", "video", "rt", "rp", "desc",
     "metadata", "annotation", "annotation-xml"}
)  # fmt: skip
_DROPPED_ROLES: Final = frozenset({"toc", "landmarks", "page-list", "loi", "lot", "loa", "lov", "pagebreak", "noteref"})
_ROLE: Final = "{http://www.idpf.org/2007/ops}type"
_LISTS: Final = ("ul", "ol", "dl", "table", "p", "div")
_LINKED: Final = 0.8


def load_epub(path: str, data: bytes) -> Document:
    with opened_packages(data) as packages:
        for package in packages:
            document = _document(path, package)
            if document.text.strip():
                break
    return document


def _document(path: str, package: Package) -> Document:
    """Load one rendition of a book. Raises `DocumentError` `corrupt` if none of its pages can be read."""
    book = _Book(package.entries)
    unread = shortened = 0
    for name in package.pages:
        data = package.read(name)
        try:
            root, is_complete = (None, False) if data is None else parse_page(data)
        except DocumentError as error:
            if error.code == "zip_bomb":
                raise
            root, is_complete = None, False
            data = None
        unread += data is None
        shortened += data is not None and not is_complete
        if root is not None:
            book.add(name, root, is_contents=name == package.contents_page)
    if package.pages and unread == len(package.pages):
        raise DocumentError("the book is corrupt: none of its pages can be read", code="corrupt")
    missing = f"{unread:,} of {counted_noun(len(package.pages), 'page')} could not be read" if unread else ""
    text, headings, _ = book.flow.finish()
    return Document(
        path=path,
        text=text,
        title=package.title,
        sections=chapter_sections(text, book.marks, headings, package.title),
        line_numbers=None,
        summary=f"by {', '.join(package.authors)}" if package.authors else "",
        notes=tuple(filter(None, (missing, TOO_DEEP if shortened else ""))),
    )


@dataclass(slots=True)
class _Book:
    """Collects the text of the pages, and the offsets at which the entries of the table of contents begin."""

    entries: Iterable[Entry]
    flow: Flow = field(default_factory=Flow)
    marks: list[Mark] = field(default_factory=list)
    _targets: dict[str, dict[str, list[tuple[int, tuple[str, ...]]]]] = field(default_factory=dict)
    _pending: dict[str, list[tuple[int, tuple[str, ...]]]] = field(default_factory=dict)
    _left_out: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        for number, entry in enumerate(self.entries):
            target = self._targets.setdefault(entry.file.casefold(), {})
            target.setdefault(entry.fragment, []).append((number, entry.labels))

    def add(self, name: str, root: Any, *, is_contents: bool) -> None:
        self._left_out = _lists_of_links(root) if is_contents else set()
        self._pending = self._targets.pop(name.casefold(), {})
        start = self.flow.offset
        self._mark("")
        for body in _bodies(root):
            walk(body, self.flow, self)
            self.flow.end_block(tight=False)
        if self._pending and not any(mark.offset == start for mark in self.marks):  # the entry points to no element
            self.marks.append(Mark(start, *next(iter(self._pending.values()))[0]))

    def is_shown(self, element: Any) -> bool:
        """Whether an element is read. Also records its offset if an entry of the table of contents points to it."""
        for name in (element.get("id"), element.get("name")):
            if name in self._pending:
                self._mark(name)
        if not isinstance(element.tag, str) or element.tag in _DROPPED or element in self._left_out:
            return False
        return not is_hidden(element) and not _is_apparatus(element)

    def _mark(self, fragment: str) -> None:
        self.marks += (Mark(self.flow.offset, *each) for each in self._pending.pop(fragment, ()))


def _bodies(root: Any) -> Iterator[Any]:
    """Yield the bodies of a page, or its root element if it is a drawing or only a part of a page."""
    if root.tag != "html":
        return iter([root])
    return (child for child in root if child.tag in {"body", "frameset"} or child.tag == "svg")


def _is_apparatus(element: Any) -> bool:
    roles = f"{element.get(_ROLE) or element.get('epub:type') or ''} {element.get('role') or ''}"
    return roles != " " and not _DROPPED_ROLES.isdisjoint(roles.casefold().replace("doc-", "").split())


def _lists_of_links(root: Any) -> set[Any]:
    """Return the elements of a contents page that consist of links. The text around them is not part of the result."""
    lists: set[Any] = set()
    for element in root.iter(*_LISTS):
        if element.getparent() in lists:
            lists.add(element)
            continue
        if element.tag == "div" and next(element.iter(*_LISTS[:-1]), None) is not None:
            continue
        linked = sum(len(text.strip()) for link in element.iter("a") for text in link.itertext())
        if linked and linked >= _LINKED * sum(len(text.strip()) for text in element.itertext()):
            lists.add(element)
    return lists
