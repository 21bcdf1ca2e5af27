"""What git would ignore, decided one directory entry at a time.

A library that answers for whole paths cannot be used here: it takes a file for ignored because a pattern matches a
directory above it, while git lets a deeper `!pattern` open that directory and then judges the file anew. Walking
from the top, each entry is judged by itself, and an ignored directory is not entered. A test holds this to what git
itself says of random trees.

Like git, this compares bytes, reads only a `.gitignore` that is a regular file, and starts afresh in a nested work
tree.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli.documents.read import read_file
from streamrag_cli.errors import DocumentError

IGNORE_FILE_NAME: Final = ".gitignore"
IGNORE_FILE_LIMIT_BYTES: Final = 1 << 20

_CLASSES: Final = {
    b"alnum": rb"0-9A-Za-z", b"alpha": rb"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": rb"0-9",
    b"graph": rb"!-~", b"lower": rb"a-z", b"print": rb" -~", b"punct": rb"!-/:-@\[-`{-~", b"space": rb"\s",
    b"upper": rb"A-Z", b"xdigit": rb"0-9A-Fa-f",
}  # fmt: skip
_NOTHING: Final = re.compile(rb"(?!)")


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of a `.gitignore`. `segments` are what stands between its slashes; None is `**`, any number of names.

    A rule without a slash is `by_name`: its one segment is held against the last name alone.
    """

    ignores: bool
    directories_only: bool
    by_name: bool
    segments: tuple[re.Pattern[bytes] | None, ...]

    def matches(self, names: Sequence[bytes]) -> bool:
        """Whether this rule speaks of the entry with these names, the first one relative to the rule's directory.

        A `**` at the end takes at least one name: `a/**` is what is below `a`, not `a` itself. Only the last `**` need
        ever be widened, so the time is the product of the two lengths at most.
        """
        names = names[-1:] if self.by_name else names
        name_at = segment_at = widened_to = 0
        after_any: int | None = None
        while name_at < len(names):
            segment = self.segments[segment_at] if segment_at < len(self.segments) else _NOTHING
            if segment is None:
                segment_at += 1
                after_any, widened_to = segment_at, name_at
            elif segment.fullmatch(names[name_at]):
                segment_at, name_at = segment_at + 1, name_at + 1
            elif after_any is not None:
                widened_to += 1
                segment_at, name_at = after_any, widened_to
            else:
                return False
        return segment_at == len(self.segments)


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one directory: its own `.gitignore` and those above it, the deepest last.

    A set of rules speaks of names relative to its own directory: a path's first so many bytes are cut off and the
    names given are put in front.
    """

    sets: tuple[tuple[int, tuple[bytes, ...], tuple[_Rule, ...]], ...] = ()

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether the entry at the absolute `path` is ignored, given that no directory above it is."""
        if not self.sets:
            return False
        encoded = os.fsencode(path)
        for cut, in_front, rules in reversed(self.sets):
            names = (*in_front, *encoded[cut:].split(b"/"))
            for rule in reversed(rules):
                if (directory or not rule.directories_only) and rule.matches(names):
                    return rule.ignores
        return False

    def entering(self, directory: str) -> "IgnoreRules":
        """The rules that hold inside `directory`. Raises `DocumentError` if its `.gitignore` cannot be read."""
        inherited = () if os.path.lexists(os.path.join(directory, ".git")) else self.sets  # noqa: PTH118 - hot
        rules = _rules_of(directory)
        if not rules:
            return IgnoreRules(inherited)
        return IgnoreRules((*inherited, (_length_below(directory), (), rules)))

    def seen_from(self, directory: str, *, as_path: str) -> "IgnoreRules":
        """The same rules for the entries of `directory` when their paths begin with `as_path`, a link to it."""
        names = os.fsencode(directory)
        return IgnoreRules(
            tuple((_length_below(as_path), tuple(names[cut:].split(b"/")), rules) for cut, _, rules in self.sets)
        )


def rules_above(directory: str) -> IgnoreRules:
    """The rules that the directories above the absolute `directory` lay on it, from its git work tree's root down.

    Outside a work tree, and at a work tree's root, there are none.
    """
    above: list[str] = []
    for parent in (Path(directory), *Path(directory).parents):
        above.append(str(parent))
        if os.path.lexists(parent / ".git"):
            break
    else:
        return IgnoreRules()
    rules = IgnoreRules()
    for ancestor in reversed(above[1:]):
        rules = rules.entering(ancestor)
    return rules


def _length_below(directory: str) -> int:
    return len(os.fsencode(directory).rstrip(b"/")) + 1


def _rules_of(directory: str) -> tuple[_Rule, ...]:
    path = Path(directory, IGNORE_FILE_NAME)
    try:
        data = read_file(path, limit_bytes=IGNORE_FILE_LIMIT_BYTES, follow_links=False).data
    except DocumentError as error:
        if error.code in {"vanished", "not_a_regular_file"}:
            return ()
        raise
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return tuple(rule for line in lines if (rule := _parse(line)) is not None)


def _parse(line: bytes) -> _Rule | None:
    if line.startswith(b"#"):
        return None
    pattern = _without_trailing_spaces(line.removesuffix(b"\r"))
    ignores = not pattern.startswith(b"!")
    pattern = pattern if ignores else pattern[1:]
    directories_only = pattern.endswith(b"/")
    pattern = pattern[:-1] if directories_only else pattern
    if not pattern:
        return None
    by_name = b"/" not in pattern
    segments: list[re.Pattern[bytes] | None] = []
    for glob in pattern.removeprefix(b"/").split(b"/"):
        if len(glob) >= 2 and not glob.strip(b"*"):
            segments.append(None)
        elif (regex := _segment_regex(glob)) is not None:
            segments.append(regex)
        else:
            return None
    return _Rule(ignores, directories_only, by_name, tuple(segments))


def _without_trailing_spaces(line: bytes) -> bytes:
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return kept + b" " if backslashes % 2 and len(kept) < len(line) else kept


def _segment_regex(glob: bytes) -> re.Pattern[bytes] | None:
    """Translate git's wildmatch between two slashes; None if no name can match.

    What follows a `*` is taken where it first fits, and the group is atomic: no name makes it slow.
    """
    fixed: list[list[bytes]] = [[]]
    at = 0
    while at < len(glob):
        character = glob[at : at + 1]
        at += 1
        if character == b"*":
            fixed.append([])
        elif character == b"?":
            fixed[-1].append(b".")
        elif character == b"[":
            translated = _translate_bracket(glob, at)
            if translated is None:
                return None
            part, at = translated
            fixed[-1].append(part)
        else:
            if character == b"\\":
                character, at = glob[at : at + 1], at + 1
                if not character:
                    return None
            fixed[-1].append(re.escape(character))
    first, *middle = (b"".join(parts) for parts in fixed)
    last = b".*" + middle.pop() if middle else b""
    return re.compile(first + b"".join(b"(?>.*?" + part + b")" for part in middle) + last, re.DOTALL)


def _translate_bracket(glob: bytes, at: int) -> tuple[bytes, int] | None:
    negated = glob[at : at + 1] in {b"!", b"^"}
    at += negated
    start = at
    members: list[bytes] = []
    while glob[at : at + 1] != b"]" or at == start:
        named = re.compile(rb"\[:([^\]]*?):\]").match(glob, at)
        if named:
            if named[1] not in _CLASSES:
                return None
            members.append(_CLASSES[named[1]])
            at = named.end()
            continue
        low, at = _member(glob, at)
        high = low
        if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in {b"]", b""}:
            high, at = _member(glob, at + 1)
        if not low or not high:
            return None
        members.append(re.escape(low))
        if low < high:
            members.append(re.escape(low) + b"-" + re.escape(high))
    return b"[" + (b"^" if negated else b"") + b"".join(members) + b"]", at + 1


def _member(glob: bytes, at: int) -> tuple[bytes, int]:
    """One character of a bracket, unescaped; empty at the end of the pattern."""
    if glob[at : at + 1] == b"\\":
        at += 1
    return glob[at : at + 1], at + 1
