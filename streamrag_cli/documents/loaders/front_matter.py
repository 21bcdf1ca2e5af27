"""Front matter: what a page says about itself above its text, in YAML, TOML or as Obsidian's properties.

Title, description, aliases and tags help to find the page. Other simple entries, such as `owner` or `attendees`, are
facts that may be asked for. They are read line by line: nothing is evaluated, and what is not understood is left out.
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
_NO_FACTS: Final = frozenset(
    """
    layout permalink slug url uri draft publish published mobile cssclass cssclasses id uid uuid weight order nav_order
    sidebar_position sidebar_label sidebar toc template lang language locale image images cover thumbnail banner icon
    color colour theme math comments robots canonical edit_url custom_edit_url parent grand_parent has_children marp
    paginate header footer size class kernelspec jupytext search show hide hide_title hide_table_of_contents tocdepth
    redirect_from redirect_to redirects pagination_next pagination_prev bibliography output
    """.split()
)
"""What steers the page and says nothing about its subject."""
_STEERING: Final = re.compile(r"(?:ms|og|twitter|seo|sidebar|nav|css)[._:-]")
_NO_FACT: Final = re.compile(r"(?:true|false|yes|no|null|none|~|[{\[&*!|>].*|\w+://\S*|\.{0,2}/\S*)?\Z", re.IGNORECASE)
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\d)")
_MONTHS: Final = "January February March April May June July August September October November December".split()
_LINE_CHARS: Final = 2000
_FACT_CHARS: Final = 200
_MOST_FACTS: Final = 12
_MOST_LINES: Final = 60


class FrontMatter(NamedTuple):
    """`length` is how many characters of the text it takes, 0 if the text has none.

    `facts` is a line of text for each of its lines: `NAME: VALUES` for a fact, else ""; nothing if it has no facts.
    """

    length: int
    title: str
    summary: str
    facts: tuple[str, ...] = ()


def front_matter(text: str) -> FrontMatter:
    found = _FRONT_MATTER.match(text)
    if not found:
        return FrontMatter(0, "", "")
    listed = list(_entries(found[2]))
    entries = {name: values for _, name, values in listed}
    title = " ".join(entries.get("title", ()))
    said = [" ".join(values) for name, values in entries.items() if name in _DESCRIBING]
    names = [value for name, values in entries.items() if name in _NAMING for value in values]
    summary = "; ".join([*(each for each in said if each), *(["; ".join(dict.fromkeys(names))] if names else [])])
    dates = [words for value in entries.get("date", ())[:1] if (words := _date_in_words(value))]
    summary = "; ".join(each for each in (summary, *dates) if each)
    return FrontMatter(found.end(), clean_heading(title), clean_heading(summary), _facts(listed, found[0]))


def _facts(entries: list[tuple[int, str, list[str]]], source: str) -> tuple[str, ...]:
    count = len(source.splitlines())
    facts = {
        at + 1: f"{name}: {value}"
        for at, name, values in entries
        if (value := ", ".join(re.sub(r"^name:[ \t]+", "", each) for each in values))
        and name not in _NO_FACTS | _DESCRIBING | _NAMING | {"title"}
        and not _STEERING.match(name)
        and not _NO_FACT.match(value)
        and len(value) <= _FACT_CHARS
    }
    if not facts or count > _MOST_LINES:
        return ()
    kept = dict(list(facts.items())[:_MOST_FACTS])
    return tuple(kept.get(number, "") for number in range(1, count - 1))


def _date_in_words(value: str) -> str:
    """The date as questions name it: `3 March 2026`."""
    found = _ISO_DATE.match(value)
    is_date = found and 1 <= int(found[2]) <= len(_MONTHS)
    return f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}" if found and is_date else ""


def _entries(source: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each entry of the upper level: its line, counted from 0, its name, its values: one text, or a list's items."""
    at, name, values, is_list = 0, "", list[str](), False
    for number, line in enumerate(each[:_LINE_CHARS] for each in source.split("\n")):
        if found := _ENTRY.fullmatch(line):
            if name:
                yield at, name, values
            at = number
            is_list = found[2].strip().startswith("[")
            name, values = found[1].strip().casefold(), _values(found[2], is_list=is_list)
        elif item := _ITEM.fullmatch(line):
            values.append(_unquoted(item[1]))
        elif line[:1] in {" ", "\t"} and ":" not in line:  # a text or a list that goes on
            values.extend(_values(line, is_list=is_list))
        elif line.strip() not in {"", "]"} and not line.startswith("#"):
            yield at, name, values
            name, values = "", []
    if name:
        yield at, name, values


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
