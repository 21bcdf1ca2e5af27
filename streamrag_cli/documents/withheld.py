"""Decides whether a file is withheld because of its content. Files that the user names are never withheld."""

from dataclasses import dataclass
from typing import Final, Literal

from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import TEXT, format_of
from streamrag_cli.documents.generated import is_generated
from streamrag_cli.documents.read import RawFile
from streamrag_cli.documents.secret_content import key_in, secret_reason
from streamrag_cli.model import Document

RULES: Final = "3"
"""The version of the rules for withholding files. Increase it whenever the rules change: stored files are then checked
again."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """The result for a file that is withheld. `reason` is shown to the user and never contains the secret."""

    code: Literal["secret", "generated", "unsupported", "photo"]
    reason: str


def withhold_reason(file: FoundFile, raw: RawFile) -> Withheld | None:
    """Return why the file is withheld, judging by its bytes, or None if it may be read."""
    if not file.checks_secrets or (format_of(file.format_path) or TEXT).is_encoded:
        return None
    if kind := secret_reason(file.format_path, raw.data, file.suspicion):
        return _secret(kind)
    return (
        Withheld("generated", "generated file; pass its path to ingest it")
        if not file.is_named and is_generated(file.format_path, raw.data)
        else None
    )


def withhold_reason_for_text(file: FoundFile, document: Document) -> Withheld | None:
    """Like `withhold_reason`, but judges by the extracted text and metadata: the file may contain an escaped secret."""
    if not file.checks_secrets:
        return None
    texts = (document.text, document.title, document.summary, document.date, *document.tags)
    kind = key_in("\n".join(texts).encode("utf-8", "replace"))
    return _secret(kind) if kind else None


def _secret(kind: str) -> Withheld:
    return Withheld("secret", f"possible secret ({kind}); pass its path to ingest it")
