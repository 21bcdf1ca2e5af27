"""Checks the prose of the repository for words and phrases to avoid: `python -m tools.check_english [PATH...]`.

Reads comments, docstrings, strings and names in Python, and the whole text of other files. `is_no_file` is read as
"is no file". Prints `path:line: 'phrase': write 'replacement'` and exits with 1 if there is a finding.
"""

import io
import re
import subprocess
import sys
import tokenize
from bisect import bisect_left
from itertools import chain, pairwise
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Final, NamedTuple

ANYWHERE: Final = r"""
(?<!there\s)(is|are|was|were|be) no (?!longer|more|fewer|less|better|later|different)... => is not a
(?<!there\s)(is|are|was|were) none(?! of)... => is not one; does not exist; has none
those (that|who|which|in|with) => the ... that; or repeat the noun
what (is (no|none|there|left)|came|had come|has come|had arrived|was there|there is) => name it: the rest
(is|are|was|were) (not )?there(?=\s|$|[.,;:)])... => exists; is missing
of which (nothing|no|none|only|one|some|many|all) => rewrite without "of which"
(for|from|by|to|with|of|than) who => for callers that; for users who
who (asks|has|can|reads|looks|waits|claims|may|interrupts|turns) => name the client, user or caller
whoever|whatever|whichever|wherever => anyone who; any; regardless of
where there (is|are|was|were) (no|none|one|nothing|any) => if there is no ...
for so long|so many(?! that)...|so few => name the number or parameter
however (it|they|long|often|the|short|many|small|late|little|large|slow|he|that) => no matter how
nobody|somebody|anybody => name the client, user or process; or use the passive
(a|the|no|any) person|for people => the user
beside => next to; in addition to; besides
anew|once more|twice more|afresh => again; rebuild; two more times
amid|midst => during; in the middle of
meanwhile => at the same time
heed(s|ed)? => respect; use
mend(s|ed|ing)? => fix; repair
remarks? => note
complain(s|ed)?|complaints? => report; error
belongs? into|surroundings|throw-away|shall|fit to be|be had => belongs in; environment; temporary; must
lends?|lent|borrow(s|ed)? => acquire; check out
in line with => sync with; match
all that => everything
but for|all but|nothing but|none but => except; nearly; only
nothing of => nothing from; no part of
tells?|told|telling => report; distinguish; pass
said => reported; shown; or name the value
says? (so|which|what|how|why|where|when|who|whether|nothing|of) => report; show; state
(by then|by now)(?=\W)... => already
also (if|where|when|while|under|of|without|by|after|from|one|what|that|those|before|at|not) => even if; including
(neither|nor) (is|are|does|do|was|has|may|can) => put the subject first: ... is not either
(so|as) (is|are|does|do|has|have|was|did) (the|it|one|its|a|an|those|any) => put the subject first
(stands?|stood) (in|on|at|below|above|behind|there|under|between|before|beside|next|still) => is; appears
(lies?|lay) (in|below|above|under|between|at|outside|on) => is; are
(go|goes|going|went) on(?! an?\b)... => continue
(comes?|came) to (its|an|their|the) end|to its end => end; finish
(comes?|came|becomes?|became) of => happen to; result in
(makes?|made) of => consists of; turns into
(takes?|took) long => takes a long time
taken for => mistaken for; treated as
(is|are|was|were) to (be|go|end|stop|come|have|say|get|do|make|take|keep) => must; should; will
for good|for ever => permanently; forever
signs? of life => heartbeat; keep-alive; activity
knows? (no|nothing|of no|neither) => does not depend on; does not know
(by|of) (itself|themselves) => automatically; on its own
alone => only; on its own
(?<!starts\s)at once => immediately; concurrently
bears? on => is relevant to
from (which|then|now|there) on => starting at; afterwards
on (its|the|their) way => in transit; before that
in place of => instead of
in silence|without a word => silently
in (our|its|their|other) (own )?words => rephrased; as the server sent it
makes? no sense => is invalid
lets? go of => release; close
pass(ed|es)? (over|by)(?! (name|value|keyword))... => skip; bypass
goes with => requires; is valid only with
wants => needs; requires; expects
needs? not => does not have to
(stay|keep)s? warm|(stayed|kept) warm => background engine; keep loaded
commands? a terminal => control the terminal
room (for|to|next|in)|no room|this room => space; package
in front of => before
(holds?|held) (up|this|it to|them to|both to|the two) => block, delay; or: a test checks
(an?|one) (event|file|line|module|section|frame|hit|record|text|write|directory|row) an? \w+ => one ... per ...
renew(s|ed)? => update; refresh
thereby|thereof|whence|henceforth|upkeep|lest|be it|fails never|dear|dearer|in vain|a slip|the like => use plain words
as it comes|as they come|as (it|they) (stands?|came) => unchanged; by default
side by side => concurrently
(?<=[.:;]\s)of (an?|the|all|each|these|those|more|what|several|most|very|files) => start with the subject
"""
DOCSTRINGS: Final = r"""
\A\W*what (?!if)... => start with a noun or a verb
\A\W*(the same|as `|as a )... => Like `x`, but ...
"""
NAMES: Final = r"""
\A(found|given|passed|kept|held|asked|heard|wanted|came|took|aimed|doubt|settle|tame)\Z => name what it holds
\Atest (what|who|of|where)\b => subject, verb, object
"""
ALLOWED: Final = (
    ("deploy/systemd/streamrag.service", "wants"),  # a key of systemd
    ("streamrag_cli/answer/prompt.py", "alone"),  # the prompt is measured
    ("streamrag_cli/answer/prompt.py", "hold this"),
    ("streamrag_cli/answer/prompt.py", "stand between"),
    ("streamrag_cli/doctor/", "found"),  # a JSON key
    ("streamrag_cli/documents/", "side by side"),  # columns of a page
    ("streamrag_cli/engine/", "wants"),  # the wire format of the engine
    ("streamrag_cli/render/", "side by side"),
    ("streamrag_cli/render/doctor.py", "found"),
    ("streamrag_cli/store/languages.py", "shall"),  # a stop word
    ("tests/", "given"),  # Hypothesis
    ("tests/engine/test_sessions.py", "wants"),  # a field of `Request`
    ("tests/engine/test_filters.py", "wants"),
    ("tests/faults/test_fuzz.py", "wants"),
    ("tests/store/test_address.py", "wants"),
    ("tests/store/test_registry.py", "wants"),
    ("tests/test_codec.py", "wants"),
    ("tests/doctor/", "found"),  # a field of `Finding`
    ("tests/test_telemetry.py", "found"),
    ("tests/server/test_nginx.py", "nobody"),  # a user of the system
    ("tests/server/test_peers.py", "nobody"),
    ("tests/test_system_errors.py", "nobody"),
    ("tests/answer/test_excerpts.py", "lies in"),  # example texts and questions: all entries below, except the last
    ("tests/answer/test_quoting.py", "are there"),
    ("tests/answer/test_thinking.py", "be it"),
    ("tests/browser/test_hostile.py", "says so"),
    ("tests/cli/conftest.py", "whoever"),
    ("tests/documents/test_chunking.py", "goes on"),
    ("tests/documents/test_secret_content.py", "nobody"),
    ("tests/ingest/test_failures.py", "goes on"),
    ("tests/ingest/test_ingest.py", "goes on"),
    ("tests/retrieval/test_near_duplicates.py", "stood at"),
    ("tests/retrieval/test_near_duplicates.py", "remark"),
    ("tools/compare_extraction.py", "remark"),  # a parser of Markdown
    ("docs/benchmarks.md", "remark"),
    ("tests/store/test_languages.py", "says of"),
    ("tests/support/transcripts.py", "renew"),  # an environment variable
)
"""Correct uses of phrases, as pairs of the beginning of a path and the phrase."""
SUFFIXES: Final = tuple("py md html js mjs jsx ts css toml sql sh conf service Makefile Dockerfile run".split())
SKIPPED: Final = re.compile(r"(^|/)(vendor|models|sample_docs|samples)/|(^|/)(test_)?check_english\.py$")


class Rules(NamedTuple):
    """Pairs of a pattern and advice. `pattern` combines them, because matching them one by one would take seconds."""

    pattern: re.Pattern[str]
    rules: list[tuple[re.Pattern[str], str]]


def read_rules(table: str) -> Rules:
    """Parse a table with one rule per line.

    A space also matches line breaks and comment marks. `...` allows any text to follow.
    """
    patterns, advice = zip(*(line.split(" => ") for line in table.strip().splitlines()), strict=True)
    ended = [f"(?:{each})(?!\\w)".replace("...)(?!\\w)", ")").replace(" ", r"[\s#*>]+") for each in patterns]
    return Rules(re.compile(rf"(?<!\w)(?:{'|'.join(ended)})"), list(zip(map(re.compile, ended), advice, strict=True)))


ANYWHERE_RULES, DOCSTRING_RULES, NAME_RULES = map(read_rules, (ANYWHERE, DOCSTRINGS, NAMES))
LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
NONE: Final = re.compile(r"(?<!\w)None(?!\w)")
"""The constant: `is None` is not the phrase `is none`."""


class Prose(NamedTuple):
    """The prose of a file, with the offsets of its docstrings and names.

    `text` is the file with its code replaced by NUL, so that offsets match.
    """

    text: str
    docstrings: list[tuple[int, str]]
    names: list[tuple[int, str]]


def prose_of(path: str, source: str) -> Prose:
    if not path.endswith(".py"):
        return Prose(source, [], [])
    starts = [0, *(match.end() for match in re.finditer("\n", source))]
    text = ["\0"] * len(source)
    docstrings, names = [], {}
    begin = tokenize.TokenInfo(tokenize.NEWLINE, "", (0, 0), (0, 0), "")
    tokens = (each for each in tokenize.generate_tokens(io.StringIO(source).readline) if each.type != tokenize.NL)
    for before, token in pairwise(chain([begin], tokens)):
        start, end = (starts[line - 1] + column for line, column in (token.start, token.end))
        if token.type == tokenize.NAME and token.string not in names:
            names[token.string] = start
            text[start:end] = token.string.replace("_", " ")
        elif token.type in {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}:
            text[start:end] = source[start:end]
            if before.type == token.type == tokenize.COMMENT and before.end[0] + 1 == token.start[0]:
                text[starts[token.start[0] - 1] : start] = " " * token.start[1]
                text[starts[token.start[0] - 1] - 1] = "\n"
            elif token.type == tokenize.STRING and before.type in {tokenize.NEWLINE, tokenize.INDENT}:
                docstrings.append((start, token.string))
    spaced = [(start, re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", name.strip("_"))) for name, start in names.items()]
    return Prose("".join(text), docstrings, spaced)


def findings(path: str, source: str) -> list[tuple[int, str, str]]:
    """The findings in a file as (line, phrase, replacement), sorted by line."""
    prose = prose_of(path, source)
    ends = [match.start() for match in re.finditer("\n", source)]
    searched = [(0, prose.text, ANYWHERE_RULES)]
    searched += [(start, text, DOCSTRING_RULES) for start, text in prose.docstrings]
    searched += [(start, text, NAME_RULES) for start, text in prose.names]
    found = set()
    for start, text, (pattern, rules) in searched:
        lower = NONE.sub("\0" * 4, text).translate(LOWER)
        for match in pattern.finditer(lower):
            phrase = re.sub(r"[\s#*>]+", " ", match.group()).strip(" \"'")
            if not any(path.startswith(place) and phrase == right for place, right in ALLOWED):
                advice = next(advice for rule, advice in rules if rule.match(lower, match.start()))
                found.add((bisect_left(ends, start + match.start()) + 1, phrase, advice))
    return sorted(found)


def checked_files(paths: list[str]) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "--", *paths], capture_output=True, text=True, check=True).stdout
    return [
        each
        for each in listed.splitlines()
        if each.endswith(SUFFIXES) and not SKIPPED.search(each) and Path(each).is_file()
    ]


def main(paths: list[str]) -> int:
    count = 0
    for path in checked_files(paths):
        for line, phrase, advice in findings(path, Path(path).read_text(encoding="utf-8")):
            print(f"{path}:{line}: '{phrase}': write '{advice}'")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
