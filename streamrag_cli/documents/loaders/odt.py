"""Loads OpenDocument text documents (LibreOffice Writer): paragraphs, lists and tables under their headings."""

from streamrag_cli.documents.loaders.blocks import document_of_blocks
from streamrag_cli.documents.loaders.odf_package import OdfPackage, flat, packed
from streamrag_cli.documents.loaders.odf_text import Reader
from streamrag_cli.documents.loaders.xml_archive import opened_archive, parsed_file
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.model import Document

_KIND = "an OpenDocument text"


def load_odt(path: str, data: bytes) -> Document:
    """Load a text document from a ZIP archive. Raises `DocumentError` `encrypted`, `zip_bomb` or `corrupt`."""
    with opened_archive(data, _KIND) as archive:
        return _document(path, packed(archive))


def load_flat_odt(path: str, data: bytes) -> Document:
    """Load a text document from a single XML file. Raises `DocumentError` `corrupt`."""
    with parsed_file(data, _KIND) as root:
        return _document(path, flat(root))


def _document(path: str, package: OdfPackage) -> Document:
    blocks = Reader(package).blocks(package.content("text"))
    return document_of_blocks(path, clean_heading(package.title), blocks)
