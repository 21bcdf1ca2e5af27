"""Creates small PDF files: text lines in Helvetica, one below the other or at given positions."""

from collections.abc import Sequence


def pdf_bytes(pages: Sequence[Sequence[str]], *, title: str = "", encrypted: bool = False) -> bytes:
    """A PDF with the lines of each page. If `encrypted`, no password opens it."""
    contents = [
        b"BT /F1 12 Tf 72 720 Td 14 TL " + b" ".join(_string(line) + b" Tj T*" for line in lines) + b" ET"
        for lines in pages
    ]
    return _document(contents, title=title, encrypted=encrypted)


def placed_pdf(pages: Sequence[Sequence[tuple[float, float, str]]], *, size: float = 10, turned: bool = False) -> bytes:
    """A PDF with texts at positions (x, y, text) from the bottom left, drawn in the given order.

    A page without texts is an image. If `turned`, texts run upwards.
    """
    matrix = b"0 1 -1 0 %.1f %.1f Tm" if turned else b"1 0 0 1 %.1f %.1f Tm"
    contents = []
    for texts in pages:
        drawn = b" ".join(
            matrix % ((612 - y, x) if turned else (x, y)) + b" " + _string(text) + b" Tj" for x, y, text in texts
        )
        contents.append(b"BT /F1 %.1f Tf %s ET" % (size, drawn) if texts else _PICTURE)
    return _document(contents, title="")


_PICTURE = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


def _document(contents: Sequence[bytes], *, title: str, encrypted: bool = False) -> bytes:
    page_count = len(contents)
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(page_count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {page_count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for index, content in enumerate(contents):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (5 + 2 * index)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects.append(b"<< /Title %s >>" % _string(title))
    trailer = b"/Root 1 0 R /Info %d 0 R" % len(objects)
    if encrypted:
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"5a" * 32, b"a5" * 32))
        trailer += b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects)
    return _file(objects, trailer)


def _string(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return b"(" + escaped.encode("cp1252") + b")"


def _file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        table,
        size,
        trailer,
        len(out),
    )
