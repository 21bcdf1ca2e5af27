"""Opens an OpenDocument file (LibreOffice) and parses the parts that contain text.

A file is a ZIP archive or, if it is flat, a single XML file. Templates have the same structure. Scripts, links and
external files are never read.
"""

import posixpath
import zipfile
import zlib
from typing import Any, Final

from streamrag_cli.documents.loaders.xml_archive import parsed_xml
from streamrag_cli.errors import DocumentError

OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
XLINK: Final = "{http://www.w3.org/1999/xlink}"
_INLINE: Final = (
    f"{OFFICE}document",
    f"{OFFICE}document-content",
    "{http://www.w3.org/1998/Math/MathML}math",
)
_DC_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_MANIFEST: Final = "META-INF/manifest.xml"


class OdfPackage:
    """The content of an OpenDocument file. `archive` is None if the file is flat.

    `title` is the title in the properties, or ""; `styles` are all style definitions.
    """

    def __init__(self, root: Any, archive: zipfile.ZipFile | None) -> None:
        """Find the body, the styles and the title below `root`. Raises KeyError if it has no body."""
        self._archive = archive
        self._used: set[str] = set()
        body = root.find(f"{OFFICE}body")
        if body is None:
            raise KeyError("body")
        self.body = body
        other = [self._part("styles.xml"), self._part("meta.xml")] if archive is not None else []
        self.roots = [root, *(each for each in other if each is not None)]
        titles = (each.findtext(f"{OFFICE}meta/{_DC_TITLE}") for each in self.roots)
        self.title = next(filter(None, titles), "")

    def content(self, kind: str) -> Any:
        """Return the body of a file of this kind, such as "text". Raises KeyError if the file is of another kind."""
        content = self.body.find(f"{OFFICE}{kind}")
        if content is None:
            raise KeyError(kind)
        return content

    def embedded(self, element: Any) -> Any:
        """Return the body of the embedded document, such as a chart, or the equation in a `draw:object`.

        Returns None if it cannot be read or has been read before: each object is read once, so that the text cannot
        become much larger than the file.
        """
        # Besides a reference to the object, LibreOffice writes an empty paragraph into `draw:object`.
        root = next((child for child in element if child.tag in _INLINE), None)
        if root is None:
            root = self._part(f"{posixpath.normpath(element.get(f'{XLINK}href') or '')}/content.xml")
        body = None if root is None else root.find(f"{OFFICE}body")
        return root if body is None else body

    def _part(self, name: str) -> Any:
        from lxml.etree import LxmlError

        if self._archive is None or name in self._used:
            return None
        self._used.add(name)
        try:
            return parsed_xml(self._archive.read(name))
        except (KeyError, LxmlError, zipfile.BadZipFile, zlib.error):
            return None


def packed(archive: zipfile.ZipFile) -> OdfPackage:
    """Return the package of a file in a ZIP archive. Raises DocumentError `encrypted`, or the archive's errors."""
    names = set(archive.namelist())
    if "encrypted-package" in names or (_MANIFEST in names and b"encryption-data" in archive.read(_MANIFEST)):
        raise DocumentError("the file is encrypted", code="encrypted")
    return OdfPackage(parsed_xml(archive.read("content.xml")), archive)


def flat(root: Any) -> OdfPackage:
    """Return the package of a flat file. Raises KeyError if the file is not an OpenDocument file."""
    return OdfPackage(root, None)
