"""Why a file that was found and read is left out for what is in it; never one that a person named."""

from dataclasses import dataclass
from typing import Final, Literal

from streamrag_cli.documents.discovery_results import FoundFile
from streamrag_cli.documents.formats import TEXT, format_of
from streamrag_cli.documents.generated import is_generated
from streamrag_cli.documents.read import RawFile
from streamrag_cli.documents.secret_content import key_in, secret_reason
from streamrag_cli.model import Document

RULES: Final = "2"
"""Names what is left out for its content. To be raised with what `withhold_reason` looks for: what the store has is looked at
once more then."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """`reason` is for people and says nothing of the secret itself."""

    code: Literal["secret", "generated", "unsupported"]
    reason: str


def withhold_reason(found: FoundFile, raw: RawFile) -> Withheld | None:
    """Why the file is left out for its bytes, if it is."""
    if found.is_named or (format_of(found.path) or TEXT).encoded == "all":
        return None
    if what := secret_reason(found.path, raw.data, found.suspicion):
        return _secret(what)
    return Withheld("generated", "generated") if is_generated(found.path, raw.data) else None


def withhold_reason_for_text(found: FoundFile, document: Document) -> Withheld | None:
    """The same of a format whose bytes do not show its text."""
    if found.is_named or (format_of(found.path) or TEXT).encoded == "none":
        return None
    what = key_in(document.text.encode())
    return _secret(what) if what else None


def _secret(what: str) -> Withheld:
    return Withheld("secret", f"possible secret ({what}); name it explicitly to ingest it")
