"""Decides which documents a filter allows. No other module matches paths against patterns."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from streamrag_cli.addresses import format_path, is_address
from streamrag_cli.model import Filter, PathPattern
from streamrag_cli.store.rows import LAST, tags_of

_MAGIC: Final = re.compile(r"[*?\[]")
_RANGE: Final = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_ANYWHERE: Final = "/**/"
_SLASHES: Final = re.compile("/{2,}")
_CLASS: Final = re.compile(r"\[([!^]?)(\]?[^\]/]*)\]")


class FilterRow(NamedTuple):
    """The document columns that filters use. `tags` is JSON, or None if the document's tags are unknown."""

    id: int
    path: str
    source: str
    tags: str | None


FetchRows: TypeAlias = Callable[[str, str, int], Iterable[FilterRow]]
"""Called with `low`, `high` and `since_ns`. Returns the documents with `low <= path < high`, compared as bytes, that
were modified at `since_ns` or later."""


def allowed_documents(scope: Filter, fetch: FetchRows) -> tuple[list[int], list[str]]:
    """Return the sorted ids of the documents that `scope` allows, and the paths of documents with unknown tags.

    If `scope` requires tags, documents with unknown tags are excluded. Raises ValueError if the store has malformed
    tags.
    """
    candidates: dict[int, FilterRow] = {}
    since_ns = -(1 << 63) if scope.since_ns is None else scope.since_ns
    for pattern in scope.patterns:
        candidates |= {row.id: row for row in _matching(pattern, fetch, since_ns)}
    if not scope.patterns:
        candidates = {row.id: row for row in fetch("", LAST, since_ns)}
    rows: Iterable[FilterRow] = candidates.values()
    if scope.suffixes or scope.file_names:
        rows = [row for row in rows if _has_name(row.path, scope.suffixes, scope.file_names)]
    if not scope.tags:
        return sorted(row.id for row in rows), []
    required = {tag.casefold() for tag in scope.tags}
    tagged = [(row, tags_of(row.tags)) for row in rows]
    ids = [row.id for row, tags in tagged if tags and required <= {tag.casefold() for tag in tags}]
    return sorted(ids), [row.path for row, tags in tagged if tags is None]


def _matching(pattern: PathPattern, fetch: FetchRows, since_ns: int) -> list[FilterRow]:
    matches: list[FilterRow] = []
    if pattern.path:
        matches_path = matcher(pattern.path)
        matches = [row for row in fetch(*bounds(pattern.path), since_ns) if matches_path(row.path)]
    if not matches and pattern.name:
        matches_name = matcher(pattern.name)
        matches = [row for row in fetch("", LAST, since_ns) if matches_name(row.source)]
    return matches


def _has_name(path: str, suffixes: tuple[str, ...], names: Sequence[str]) -> bool:
    name = (format_path(path).name if is_address(path) else path[path.rfind("/") + 1 :]).casefold()
    return name[1:].endswith(suffixes) or name in names  # the first dot of a hidden file does not begin a suffix


def has_magic(text: str) -> bool:
    """Whether a path pattern contains a wildcard."""
    return _MAGIC.search(text) is not None


def bounds(pattern: str) -> tuple[str, str]:
    """The lower (inclusive) and upper (exclusive) bounds of the paths and addresses that an absolute pattern can match.

    A pattern that begins with `/**/` also matches addresses.

    >>> bounds("/docs/a*/b"), bounds("/docs/a"), bounds("/")
    (('/docs/', '/docs0'), ('/docs/a', '/docs/a0'), ('/', '0'))
    """
    if pattern.startswith(_ANYWHERE):
        return "", LAST
    if is_address(pattern):
        scheme = pattern.partition("//")[0]
        return f"{scheme}/", f"{scheme}0"
    magic = _MAGIC.search(pattern)
    if magic is None:
        path = pattern.rstrip("/")
        return path or "/", f"{path}0"  # "0" is the character after the slash
    folder = pattern[: pattern.rfind("/", 0, magic.start()) + 1]
    return folder, f"{folder[:-1]}0"


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], object]:
    """Return a function that decides whether a path or name matches `pattern`, or is below a folder that matches.

    A pattern also matches itself, so that file names with brackets or stars need no escapes. Several slashes in a row
    count as one.

    >>> [bool(matcher("docs/*.md")(name)) for name in ("docs/a.md", "docs/a.md/x", "docs/v/a.md", "docs/a.mdx")]
    [True, True, False, False]
    >>> [bool(matcher("docs/**/a*")(name)) for name in ("docs/a.md", "docs/v/w/a.md", "docs/v/b.md")]
    [True, True, False]
    """
    pattern = _SLASHES.sub("/", pattern)
    expression = _expression(pattern)
    if _MAGIC.search(pattern):
        expression = f"(?:{expression}|{re.escape(pattern.rstrip('/'))}(?:/.*)?)"
    try:
        matches = re.compile(rf"{expression}\Z", re.DOTALL).match
    except re.error:  # a reversed range of characters, such as [z-a]
        matches = re.compile(rf"{re.escape(pattern.rstrip('/'))}(?:/.*)?\Z", re.DOTALL).match
    before = "/" if pattern.startswith(_ANYWHERE) else ""

    def matches_name(name: str) -> object:
        if "//" in name:
            name = (before if is_address(name) else "") + _SLASHES.sub("/", name)
        return matches(name)

    return matches_name


def _expression(pattern: str) -> str:
    """Translate a path pattern to a regular expression.

    Patterns come from clients, so the expression must not backtrack. It uses atomic groups, which make the time linear
    in the length of a name. They are sufficient because, between two stars, only the first match has to be tried.
    """
    runs: list[list[str]] = [[]]  # the components between `**`
    for component in filter(None, pattern.split("/")):
        if component != "**":
            runs[-1].append(_component(component))
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    first, *others = ["/".join(run) for run in runs]
    expression = ("/" if pattern.startswith("/") else "") + first
    before = "/" if first else ""
    for run in others:
        if not run:  # `**` at the end matches everything below
            return f"{expression}{before}.+"
        expression += f"{before}(?>(?:[^/]+/)*?{run}(?=/|\\Z))"
        before = "/"
    return f"{expression}.*" if not expression.strip("/") else f"{expression}(?:/.*)?"


def _component(component: str) -> str:
    first, *others = (_literal(piece) for piece in re.split(r"\*+", component))
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle if piece) + f"[^/]*{last}"


def _literal(piece: str) -> str:
    """Translate a part of a pattern that has no stars to a regular expression."""
    expression, at = "", 0
    while at < len(piece):
        listed = _CLASS.match(piece, at)
        if listed and listed[2]:
            inside = "".join(_escaped(*part) for part in _RANGE.findall(listed[2]))
            expression += f"(?!/)[{'^' if listed[1] else ''}{inside}]"
            at = listed.end()
        else:
            expression += "[^/]" if piece[at] == "?" else re.escape(piece[at])
            at += 1
    return expression


def _escaped(first: str, last: str, single: str) -> str:
    return re.escape(single) if single else f"{re.escape(first)}-{re.escape(last)}"
