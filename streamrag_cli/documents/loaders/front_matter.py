"""Reads front matter: metadata at the beginning of a page, in YAML, TOML or as Obsidian properties.

The title, description, aliases and tags improve retrieval. Other simple entries, such as `owner` or `attendees`, are
facts that users may ask about. Front matter is parsed line by line, and unknown syntax is ignored.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
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
_PRESENTATION: Final = frozenset(
    """
    layout permalink slug url uri draft publish published mobile cssclass cssclasses id uid uuid weight order nav_order
    sidebar_position sidebar_label sidebar toc template lang language locale image images cover thumbnail banner icon
    color colour theme math comments robots canonical edit_url custom_edit_url parent grand_parent has_children marp
    paginate header footer size class kernelspec jupytext search show hide hide_title hide_table_of_contents tocdepth
    redirect_from redirect_to redirects pagination_next pagination_prev bibliography output
    """.split()
)
"""Entries that control how the page is presented. They are not facts about its subject."""
_NO_FACTS: Final = _PRESENTATION | _DESCRIBING | _NAMING | {"title"}
_PRESENTATION_PREFIX: Final = re.compile(r"(?:ms|og|twitter|seo|sidebar|nav|css)[._:-]")
_NOT_A_FACT: Final = re.compile(
    r"(?:true|false|yes|no|null|none|~|[{\[&*!|>].*|\w+://\S*|\.{0,2}/\S*)?\Z", re.IGNORECASE
)
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\d)")
_MONTHS: Final = "January February March April May June July August September October November December".split()
_LINE_CHARS: Final = 2000
_FACT_CHARS: Final = 200
_MAX_FACTS: Final = 12
_MAX_TAGS: Final = 100
_TAGGING: Final = ("tags", "tag")
_MAX_LINES: Final = 60


class FrontMatter(NamedTuple):
    """Parsed front matter. `length` is its length in characters, 0 if there is none.

    `date` is the value of the entry `date`; `tags` are the values of `tags` and `tag`, as the author wrote them.
    `facts` has one item for each line between the delimiters: `NAME: VALUES` for a fact, else "". It is empty
    without facts, or if there are more than 60 lines.
    """

    length: int
    title: str
    summary: str
    facts: tuple[str, ...] = ()
    date: str = ""
    tags: tuple[str, ...] = ()


def front_matter(text: str) -> FrontMatter:
    match = _FRONT_MATTER.match(text)
    if not match:
        return FrontMatter(0, "", "")
    listed = list(_entries(match[2]))
    entries = {name: values for _, name, values in listed}
    title = " ".join(entries.get("title", ()))
    descriptions = [" ".join(values) for name, values in entries.items() if name in _DESCRIBING]
    names = [value for name, values in entries.items() if name in _NAMING for value in values]
    summary = "; ".join(
        [*(each for each in descriptions if each), *(["; ".join(dict.fromkeys(names))] if names else [])]
    )
    dates = [words for value in entries.get("date", ())[:1] if (words := _date_in_words(value))]
    summary = "; ".join(each for each in (summary, *dates) if each)
    return FrontMatter(
        match.end(),
        clean_heading(title),
        clean_heading(summary),
        _facts(listed, match[0]),
        clean_heading(" ".join(entries.get("date", ())[:1])),
        _tags(entries),
    )


def _tags(entries: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the tags, without `#` and duplicates. If the value is not a list, commas separate the tags in it."""
    words = (word for name in _TAGGING for value in entries.get(name, ()) for word in value.split(","))
    tags = (clean_heading(word).strip("#\"' ") for word in words)
    return tuple(islice(dict.fromkeys(tag for tag in tags if tag), _MAX_TAGS))


def _facts(entries: list[tuple[int, str, list[str]]], source: str) -> tuple[str, ...]:
    count = len(source.splitlines())
    facts = {
        at + 1: f"{name}: {value}"
        for at, name, values in entries
        if (value := ", ".join(re.sub(r"^name:[ \t]+", "", each) for each in values))
        and name not in _NO_FACTS
        and not _PRESENTATION_PREFIX.match(name)
        and not _NOT_A_FACT.match(value)
        and len(value) <= _FACT_CHARS
    }
    if not facts or count > _MAX_LINES:
        return ()
    limited = dict(list(facts.items())[:_MAX_FACTS])
    return tuple(limited.get(number, "") for number in range(1, count - 1))


def _date_in_words(value: str) -> str:
    """Replace an ISO date with the form that questions use, such as `3 March 2026`."""
    match = _ISO_DATE.match(value)
    is_date = match and 1 <= int(match[2]) <= len(_MONTHS)
    return f"{int(match[3])} {_MONTHS[int(match[2]) - 1]} {match[1]}" if match and is_date else ""


def _entries(source: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the line index, name and values of each top-level entry. The values are one text or the items of a list."""
    at, name, values, is_list = 0, "", list[str](), False
    for number, line in enumerate(each[:_LINE_CHARS] for each in source.split("\n")):
        if match := _ENTRY.fullmatch(line):
            if name:
                yield at, name, values
            at = number
            is_list = match[2].strip().startswith("[")
            name, values = match[1].strip().casefold(), _values(match[2], is_list=is_list)
        elif item := _ITEM.fullmatch(line):
            values.append(_unquoted(item[1]))
        elif line[:1] in {" ", "\t"} and ":" not in line:  # the continuation of a text or list
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
