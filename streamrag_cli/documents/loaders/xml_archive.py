"""Opens ZIP archives that contain XML parts (Word, OpenDocument, EPUB), within limits.

The archive's directory is checked before anything is unpacked. The parser resolves no entities and opens no files.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from streamrag_cli.errors import DocumentError

ENTRIES: Final = 10_000
UNPACKED_BYTES: Final = 512 << 20
RATIO: Final = 200
RATIO_FROM_BYTES: Final = 32 << 20
"""The unpacked size in bytes above which the ratio is checked. Smaller XML files may compress very well."""

_ENCRYPTED: Final = 1
"""The flag bit of an entry that is encrypted with a password."""

_CORRUPT: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, KeyError, ValueError, RuntimeError, EOFError, OSError
)  # fmt: skip


@contextmanager
def opened_archive(data: bytes, kind: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive. Errors name its `kind`, such as "a Word document".

    Raises DocumentError `encrypted`, `zip_bomb` or `corrupt`. If the archive or its XML causes an error in the `with`
    block, the error becomes `corrupt`.
    """
    from lxml.etree import LxmlError  # imports in about 30 ms

    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # an OLE container, which encrypted files use too
        raise DocumentError("the file is encrypted or in an old Microsoft Office format", code="encrypted")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive.infolist(), len(data))
            yield archive
    except (*_CORRUPT, LxmlError) as error:
        raise DocumentError(f"the file is corrupt or is not {kind}", code="corrupt") from error


@contextmanager
def parsed_file(data: bytes, kind: str) -> Iterator[Any]:
    """Parse an XML file that is not in an archive. Yields its root element. Raises DocumentError `corrupt`."""
    from lxml.etree import LxmlError

    try:
        yield parsed_xml(data)
    except (*_CORRUPT, LxmlError) as error:
        raise DocumentError(f"the file is corrupt or is not {kind}", code="corrupt") from error


def parsed_xml(data: bytes) -> Any:
    """Parse XML and return its root element. Raises lxml's errors, which `opened_archive` converts."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        collect_ids=False,  # some programs write an id twice, which is an error only if ids are collected
    )
    return etree.fromstring(data, parser)


def streamed_xml(stream: Any, *names: str) -> Iterator[Any]:
    """Yield each element with one of `names`, in any namespace, from a binary XML stream as soon as it is complete.

    An element and everything before it are deleted when the next one is read, so a large part needs little memory.
    Raises lxml's errors.
    """
    from lxml import etree

    tags = [f"{{*}}{name}" for name in names]
    for _, element in etree.iterparse(
        stream, tag=tags, resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True
    ):
        yield element
        element.clear()
        parent = element.getparent()
        while parent is not None and (before := element.getprevious()) is not None:
            parent.remove(before)


def _check(entries: list[zipfile.ZipInfo], size: int) -> None:
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise DocumentError("the file is password-protected", code="encrypted")
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if len(entries) > ENTRIES:
        raise DocumentError(f"the archive contains too many files: {len(entries):,}", code="zip_bomb")
    if unpacked > UNPACKED_BYTES or (unpacked > RATIO_FROM_BYTES and unpacked > RATIO * min(packed, size)):
        raise DocumentError(
            f"the archive would unpack to {unpacked / 1e6:,.0f} MB (possibly a zip bomb)", code="zip_bomb"
        )
