"""Markdown to render: the examples from the CommonMark specification, and the documentation of installed packages."""

import email
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
SPECIFICATION: Final = _ROOT / "tests/node/node_modules/commonmark-spec/spec.txt"
HOW_TO_GET_IT: Final = "npm ci --prefix tests/node"

_EXAMPLE: Final = re.compile(r"^`{32} example\n(.*?)^\.\n.*?^`{32}$", re.DOTALL | re.MULTILINE)
_LONGEST_CHARS: Final = 60_000


def specification_examples() -> list[str]:
    """The Markdown of the 652 examples, in order; empty if the specification is not installed."""
    if not SPECIFICATION.exists():
        return []
    text = SPECIFICATION.read_text(encoding="utf-8")
    return [example.replace("→", "\t") for example in _EXAMPLE.findall(text)]


def installed_documents() -> dict[str, str]:
    """The description and the text files of every installed package, without duplicates."""
    by_text = {text[:_LONGEST_CHARS]: name for name, text in _of_installed_packages()}
    return {name: text for text, name in sorted(by_text.items(), key=lambda each: each[1])}


def _of_installed_packages() -> Iterator[tuple[str, str]]:
    for package in metadata.distributions():
        fields = package.read_text("METADATA") or ""
        description = email.message_from_string(fields).get_payload()
        if isinstance(description, str) and description.strip():
            yield f"{package.name} METADATA", description
        for file in package.files or ():
            if file.suffix in {".md", ".rst"} or (file.suffix == ".txt" and file.stem.isupper()):
                yield f"{package.name} {file}", Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")
