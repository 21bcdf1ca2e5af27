"""Front matter: what a page says about itself above its text, in YAML, TOML or as Obsidian's properties.

Only what helps to find the page is taken (title, description, aliases, tags), by a reader of single lines: nothing is
evaluated, and whatever it does not understand is left out.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from streamrag_cli.documents.outline import clean_heading

_FRONT_MATTER: Final = re.compile(
    r"""\A(---|\+\+\+)[ \t]*\n(?=---|\+\+\+|\#|["'\w][^\n:=]{0,80}[:=])(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)""",
    re.DOTALL | re.MULTILINE,
)
_ENTRY: Final = re.compile(r"""["']?(\w[^\n:="']{0,80}?)["']?[ \t]*(?::(?:[ \t]+|$)|=)(.*)""")
_ITEM: Final = re.compile(r"[ \t]*-[ \t]+(.*)")
_DESCRIBING: Final = frozenset({"description", "summary", "subtitle", "excerpt", "abstract", "lead"})
_NAMING: Final = frozenset({"aliases", "alias", "tags", "tag", "keywords", "categories", "category", "topics", "topic"})
_LINE_CHARS: Final = 2000


class FrontMatter(NamedTuple):
    """`length` is how many characters of the text it takes, 0 if the text has none."""

    length: int
    title: str
    summary: str


def front_matter(text: str) -> FrontMatter:
    found = _FRONT_MATTER.match(text)
    if not found:
        return FrontMatter(0, "", "")
    entries = dict(_entries(found[2]))
    title = " ".join(entries.get("title", ()))
    said = [" ".join(values) for name, values in entries.items() if name in _DESCRIBING]
    names = [value for name, values in entries.items() if name in _NAMING for value in values]
    summary = "; ".join([*(each for each in said if each), *(["; ".join(dict.fromkeys(names))] if names else [])])
    return FrontMatter(found.end(), clean_heading(title), clean_heading(summary))


def _entries(source: str) -> Iterator[tuple[str, list[str]]]:
    """Each entry of the upper level with its values: one text, or the items of a list."""
    name, values, is_list = "", list[str](), False
    for line in (each[:_LINE_CHARS] for each in source.split("\n")):
        if found := _ENTRY.fullmatch(line):
            if name:
                yield name, values
            is_list = found[2].strip().startswith("[")
            name, values = found[1].strip().casefold(), _values(found[2], is_list=is_list)
        elif item := _ITEM.fullmatch(line):
            values.append(_unquoted(item[1]))
        elif line[:1] in {" ", "\t"} and ":" not in line:  # a text or a list that goes on
            values.extend(_values(line, is_list=is_list))
        elif line.strip() not in {"", "]"} and not line.startswith("#"):
            yield name, values
            name, values = "", []
    if name:
        yield name, values


def _values(source: str, *, is_list: bool) -> list[str]:
    source = source.strip()
    if is_list:
        return [word for each in source.strip("[],").split(",") if (word := _unquoted(each))]
    word = _unquoted(source)
    return [word] if word.strip("|>+-") else []


def _unquoted(source: str) -> str:
    word = source.strip()
    quoted = re.match(r"""(["'])(.*)\1[ \t]*(?:#.*)?\Z""", word)
    return (quoted[2] if quoted else re.sub(r"(?:^|[ \t])#[ \t].*", "", word)).strip()
