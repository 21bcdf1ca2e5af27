"""Compiles the patterns in git's ignore files and matches directory entries against them.

Like git, this module compares bytes. The module `gitignore` decides which rule takes precedence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_CLASSES: Final = {
    b"alnum": rb"0-9A-Za-z", b"alpha": rb"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": rb"0-9",
    b"graph": rb"!-~", b"lower": rb"a-z", b"print": rb" -~", b"punct": rb"!-/:-@\[-`{-~", b"space": rb"\s",
    b"upper": rb"A-Z", b"xdigit": rb"0-9A-Fa-f",
}  # fmt: skip
_NOTHING: Final = re.compile(rb"(?!)")


@dataclass(frozen=True, slots=True)
class Rule:
    """The pattern on one line of an ignore file, split at slashes into `segments`.

    None represents the segment `**`, which matches any number of names. A pattern without a slash is `by_name`: its
    only segment is compared with the last name of a path.
    """

    ignores: bool
    directories_only: bool
    by_name: bool
    segments: tuple[re.Pattern[bytes] | None, ...]

    def matches(self, names: Sequence[bytes]) -> bool:
        """Whether this rule matches the path with the components `names`, relative to the rule's directory.

        A trailing `**` matches at least one name: `a/**` matches entries below `a`, but not `a` itself. Only the last
        `**` needs backtracking, so the time is at most proportional to the number of segments times the number of
        names.
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


def parse_rules(data: bytes, *, fold_case: bool = False) -> tuple[Rule, ...]:
    """Return the rules in an ignore file. With `fold_case`, git's `core.ignoreCase`, the case of ASCII is ignored."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return tuple(rule for line in lines if (rule := parse_rule(line, fold_case=fold_case)) is not None)


def parse_rule(line: bytes, *, fold_case: bool = False) -> Rule | None:
    """Return the rule on one line; None for a comment, an empty line or a pattern that cannot match anything."""
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
        elif (regex := _segment_regex(glob, re.IGNORECASE if fold_case else 0)) is not None:
            segments.append(regex)
        else:
            return None
    return Rule(ignores, directories_only, by_name, tuple(segments))


def _without_trailing_spaces(line: bytes) -> bytes:
    stripped = line.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    return stripped + b" " if backslashes % 2 and len(stripped) < len(line) else stripped


def _segment_regex(glob: bytes, flags: int) -> re.Pattern[bytes] | None:
    """Translate a git pattern without slashes into a regular expression. Returns None if it cannot match any name.

    The text after a `*` matches at its first occurrence, in an atomic group, so no name can make matching slow.
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
    return re.compile(first + b"".join(b"(?>.*?" + part + b")" for part in middle) + last, re.DOTALL | flags)


def _translate_bracket(glob: bytes, at: int) -> tuple[bytes, int] | None:
    negated = glob[at : at + 1] in {b"!", b"^"}
    at += negated
    start = at
    members: list[bytes] = []
    while glob[at : at + 1] != b"]" or at == start:
        named_class = re.compile(rb"\[:([^\]]*?):\]").match(glob, at)
        if named_class:
            if named_class[1] not in _CLASSES:
                return None
            members.append(_CLASSES[named_class[1]])
            at = named_class.end()
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
    """Return the next character of a bracket expression, unescaped, and the offset after it.

    The character is empty at the end of the pattern.
    """
    if glob[at : at + 1] == b"\\":
        at += 1
    return glob[at : at + 1], at + 1
