"""Checks whether scanned pages and images can be read by OCR, which is optional."""

from collections.abc import Iterator, Mapping

from streamrag_cli.doctor.findings import Finding, ok, warning
from streamrag_cli.documents.ocr import INSTALL, find_ocr, has_program


def check_ocr(mode: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the finding for the setting `ocr`. Raises ConfigurationError `no_ocr` if a language is not installed."""
    if mode == "off":
        yield ok("ocr", "OCR is off: scanned pages and images are not read")
        return
    ocr = find_ocr(mode, environment)
    if ocr is not None:
        yield ok("ocr", f"{ocr.version} with {ocr.languages}")
    elif has_program(environment):
        message = "no tesseract language is installed: scanned pages and images are not read"
        yield warning("ocr", message, hint="apt install tesseract-ocr-eng", code="no_ocr")
    else:
        yield ok("ocr", f"tesseract is not installed ({INSTALL}): scanned pages and images are not read")
