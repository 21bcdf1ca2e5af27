"""Derives titles from file names for documents that have none. The file name of a note is often its title."""

import re
from pathlib import PurePath
from typing import Final

from streamrag_cli.documents.outline import clean_heading

_GENERIC_NAMES: Final = frozenset(
    {"readme", "index", "_index", "__init__", "__main__", "main", "mod", "default", "untitled", "document", "page",
     "notes", "note", "content", "text", "file"}
)  # fmt: skip
_COMMON_FOLDERS: Final = frozenset(
    {"docs", "doc", "src", "lib", "content", "pages", "files", "data", "notes", "text", "tmp"}
)
_DATE: Final = re.compile(r"\d{4}[-_.]?\d{2}(?:[-_.]?\d{2})?")
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGEST: Final = re.compile(r"(?=[a-f-]*\d)[0-9a-f-]{12,}", re.IGNORECASE)


def title_from_name(path: PurePath, root: PurePath) -> str:
    """Return a title made from the names of `path` and its folder; "" if both are meaningless.

    The name of `root` itself is used only if the file name is generic.

    >>> title_from_name(PurePath("/n/Recipes/Plum cake.md"), PurePath("/n"))
    'Recipes/Plum cake'
    >>> title_from_name(PurePath("/n/x/README.md"), PurePath("/n/x"))
    'x'
    """
    stem = path.stem if path.suffix else path.name
    folder = path.parent
    has_meaningful_folder = folder.name.casefold() not in _COMMON_FOLDERS and _is_meaningful(folder.name)
    is_below = folder != root and folder.is_relative_to(root)
    is_generic = stem.casefold() in _GENERIC_NAMES
    parts = [folder.name] if has_meaningful_folder and (is_below or is_generic) else []
    return clean_heading("/".join([*parts, *([stem] if _is_meaningful(stem) else [])]))


def _is_meaningful(name: str) -> bool:
    if name.casefold() in _GENERIC_NAMES:
        return False
    return _DATE.fullmatch(name) is not None or bool(_LETTER.search(name) and not _DIGEST.fullmatch(name))
