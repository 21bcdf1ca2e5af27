"""Parses document filters: the values of `--in`, `--since`, `--format` and `--tag`, or of HTTP fields with these
names.
"""

import os.path
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from streamrag_cli.addresses import is_address
from streamrag_cli.documents.formats import format_names, names_of
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Filter, PathPattern
from streamrag_cli.moments import start_of

_MAGIC: Final = re.compile(r"[*?\[]")
_SHOWN_CHARS: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterWords:
    """A filter as the user wrote it. `within` contains the values of `--in`."""

    within: Sequence[str] = ()
    since: str | None = None
    formats: Sequence[str] = ()
    tags: Sequence[str] = ()

    def arguments(self, prefix: str) -> list[str]:
        """Return the filter as command-line arguments whose flags begin with `prefix`."""
        named = (("in", self.within), ("since", [self.since] if self.since else []))
        listed = (*named, ("format", self.formats), ("tag", self.tags))
        return [word for name, values in listed for value in values for word in (f"{prefix}{name}", value)]


def read_filter(
    words: FilterWords, *, now_s: float, pattern_of: Callable[[str], PathPattern], prefix: str = "--"
) -> Filter:
    """Parse the filter in `words`. `now_s` is a Unix time; `pattern_of` interprets a pattern for paths.

    `prefix` is put before the names of filters in error messages, as in `--since`. Raises UsageError `bad_filter`.
    """
    suffixes: list[str] = []
    file_names: list[str] = []
    for written in words.formats:
        of_format = names_of(written)
        if of_format is None:
            raise _unknown_format(written)
        suffixes += of_format[0]
        file_names += of_format[1]
    for name, values in (("in", words.within), ("tag", words.tags)):
        if not all(value.strip(" #") for value in values):
            hint = f"omit {prefix}{name}, or give it a value"
            raise UsageError(f"{prefix}{name} must not be empty", code="bad_filter", hint=hint)
    return Filter(
        patterns=tuple(map(pattern_of, words.within)),
        since_ns=None if words.since is None else _nanoseconds(words.since, now_s, flag=f"{prefix}since"),
        suffixes=tuple(dict.fromkeys(suffixes)),
        file_names=tuple(dict.fromkeys(file_names)),
        tags=tuple(tag.strip().removeprefix("#") for tag in words.tags),
        text=shlex.join(words.arguments(prefix)),
    )


def pattern_for_names(written: str) -> PathPattern:
    """Return a pattern that is matched only against the names of documents as clients see them.

    >>> pattern_for_names("./docs/"), pattern_for_names("*.md")
    (PathPattern(path='', name='docs'), PathPattern(path='', name='**/*.md'))
    """
    name = os.path.normpath(written)
    if name == ".":
        name = "**"
    return PathPattern("", f"**/{name}" if _is_at_any_depth(name) else name)


def pattern_for_paths(written: str, directory: Path | None, home: Path | None) -> PathPattern:
    """Interpret a pattern for paths or addresses. A pattern that matches no path is matched against document names.

    A path may be absolute, or relative to the working directory `directory` or to `~`. If `directory` no longer exists,
    it is None, and a single file or folder name matches in every folder.

    >>> pattern_for_paths("../docs/*.md", Path("/home/ada/work"), Path("/home/ada"))
    PathPattern(path='/home/ada/docs/*.md', name='../docs/*.md')
    >>> pattern_for_paths("docs", Path("/home/ada"), None)
    PathPattern(path='/home/ada/docs', name='**/docs')
    """
    if _is_at_any_depth(written):
        return PathPattern(f"/**/{written}", "")
    if is_address(written):
        return PathPattern(written, "")
    path = written
    if home is not None and (written == "~" or written.startswith("~/")):
        path = f"{home}{written[1:]}"
    if not path.startswith("/"):
        path = f"{directory}/{path}" if directory is not None else ""
    name = os.path.normpath(written)
    if "/" not in written.rstrip("/") and name.strip("*") not in {"", ".", ".."}:
        name = f"**/{name}"
    return PathPattern(os.path.normpath(path) if path else "", name)


def _is_at_any_depth(pattern: str) -> bool:
    """Whether the pattern, such as `*.md`, matches names of files and folders at any depth."""
    return "/" not in pattern and pattern.strip("*") != "" and _MAGIC.search(pattern) is not None


def _nanoseconds(since: str, now_s: float, *, flag: str) -> int:
    try:
        moment = start_of(since, now_s, flag=flag)
    except UsageError:
        message = f"{flag}: {since[:_SHOWN_CHARS]!r} is neither a date nor an age"
        hint = "give a date such as 2026-01-31 or 2026-01-31T08:00, or an age such as 12h, 7d or 8w"
        raise UsageError(message, code="bad_filter", hint=hint) from None
    nanoseconds = int(datetime.fromisoformat(moment).timestamp()) * 1_000_000_000
    return max(-(1 << 63), min(nanoseconds, (1 << 63) - 1))  # the range of integers in a database


def _unknown_format(written: str) -> UsageError:
    names = format_names()
    close = get_close_matches(written.strip().casefold().lstrip("*."), names, n=1)
    start = f"did you mean {close[0]}? Use" if close else "use"
    return UsageError(
        f"unknown format {written[:_SHOWN_CHARS]!r}",
        code="bad_filter",
        hint=f"{start} a suffix such as md, or one of these formats: {', '.join(names)}",
    )
