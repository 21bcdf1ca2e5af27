"""Which loader a file's name calls for, and what its text is like. Nothing is opened to find out.

A few names are shared with files of other kinds: `is_of_its_format` says from what is in the file whether it is one.
"""

import re
from pathlib import PurePath
from typing import Final, Literal, TypeAlias

FormatName: TypeAlias = Literal[
    "markdown", "mdx", "text", "rst", "html", "pdf", "docx", "notebook", "table", "json", "json_lines", "yaml", "toml",
    "config", "xml", "asciidoc", "org", "man", "latex", "mail", "mailbox", "subtitles", "python", "code",
]  # fmt: skip
TextKind: TypeAlias = Literal["prose", "records", "code", "plain"]
Markup: TypeAlias = Literal["markdown", "code spans", "none"]

_KINDS: Final[dict[FormatName, TextKind]] = {
    "table": "records", "json": "records", "json_lines": "records", "yaml": "records", "toml": "records",
    "config": "records", "xml": "records", "python": "code", "code": "code", "text": "plain",
}  # fmt: skip
_MARKUP: Final[dict[FormatName, Markup]] = {
    "markdown": "markdown", "mdx": "markdown", "notebook": "markdown",
    "rst": "code spans", "asciidoc": "code spans", "org": "code spans", "latex": "code spans", "text": "code spans",
    "python": "code spans", "code": "code spans",
}  # fmt: skip
_SUFFIXES: Final[dict[FormatName, str]] = {
    "markdown": ".md .markdown .mkd .mdown .qmd .rmd",
    "mdx": ".mdx",
    "text": ".txt .text .log .bib",
    "rst": ".rst .rest",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx .docm .dotx .dotm",
    "notebook": ".ipynb",
    "table": ".csv .tsv .tab",
    "json": ".json .json5 .jsonc .geojson",
    "json_lines": ".jsonl .ndjson",
    "yaml": ".yaml .yml",
    "toml": ".toml",
    "config": ".ini .cfg .conf .properties .tf .hcl .editorconfig",
    "xml": ".xml .xsd .xsl",
    "asciidoc": ".adoc .asciidoc .asc",
    "org": ".org",
    "man": ".man .roff .mdoc .1 .2 .3 .4 .5 .6 .7 .8 .9",
    "latex": ".tex .latex .ltx",
    "mail": ".eml",
    "mailbox": ".mbox .mbx",
    "subtitles": ".srt .vtt",
    "python": ".py .pyi .pyw",
    "code": (
        ".c .h .cc .cpp .cxx .hh .hpp .hxx .m .mm .cs .fs .fsx .vb .java .kt .kts .scala .groovy .gradle .clj .cljs "
        ".go .rs .zig .nim .d .swift .dart .js .jsx .mjs .cjs .ts .tsx .mts .cts .vue .svelte .astro .css .scss .sass "
        ".less .php .rb .erb .pl .pm .t .lua .tcl .r .jl .ex .exs .erl .hrl .hs .ml .mli .elm .lisp .el .scm .rkt "
        ".sh .bash .zsh .fish .ps1 .psm1 .bat .cmd .sql .graphql .gql .proto .thrift .avsc .cmake .mk .make .bzl "
        ".nix .dockerfile .f .f90 .f95 .pas .adb .ads .asm .s .v .sv .vhd .vhdl .sol .pyx .pxd .cu .cuh .glsl .wgsl"
    ),
}
_BY_SUFFIX: Final[dict[str, FormatName]] = {
    suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
_JUDGED_BYTES: Final = 1 << 15
_ARMOUR: Final = re.compile(rb"^-----BEGIN (?:PGP|[A-Z ]*PRIVATE KEY)", re.MULTILINE)
_ROFF: Final = re.compile(rb"^[.'][ \t]*(?:TH|SH|Dt|Sh|Dd|so)\b", re.MULTILINE)

_NAMES: Final[dict[FormatName, str]] = {
    "text": (
        "readme license licence copying notice changelog changes history news authors contributors contributing "
        "maintainers install todo security faq hacking thanks credits copyright patents roadmap support usage"
    ),
    "code": (
        "makefile gnumakefile dockerfile containerfile jenkinsfile vagrantfile gemfile rakefile justfile procfile "
        "brewfile podfile fastfile codeowners"
    ),
}
_BY_NAME: Final[dict[str, FormatName]] = {word: name for name, words in _NAMES.items() for word in words.split()}


def format_of(path: PurePath) -> FormatName | None:
    """The format that the file's name stands for, or None.

    >>> format_of(PurePath("docs/Guide.MD")), format_of(PurePath("LICENSE")), format_of(PurePath("logo.png"))
    ('markdown', 'text', None)
    """
    suffix = path.suffix.casefold()
    return _BY_SUFFIX.get(suffix) if suffix else _BY_NAME.get(path.name.casefold())


def text_kind(path: PurePath) -> TextKind:
    """What the text of a file of this name is like: Markdown ("prose"), records, code, or text without any markup.

    Of records each is a unit: a block between blank lines, or a line or block that begins with `- ` at the margin.
    """
    name = format_of(path) or "text"
    return _KINDS.get(name, "prose")


def inline_markup(path: PurePath) -> Markup:
    """What of the text within a line is markup, in a file of this name: Markdown's, backticks around code, or nothing.

    Loaders of other formats leave nothing but backticks, those of pages and papers not even them. Plain text and the
    comments of code have no markup, but what stands in backticks is meant as code there as well.
    """
    return _MARKUP.get(format_of(path) or "text", "none")


def is_supported(path: PurePath) -> bool:
    """Whether a file of this name is taken when it is met on a walk."""
    return format_of(path) is not None


def is_of_its_format(path: PurePath, data: bytes) -> bool:
    """Whether a file is what its name stands for, of a name that files of other kinds have as well.

    `.asc` ends AsciiDoc and OpenPGP's keys and messages, `.1` to `.9` manual pages and whatever is numbered.
    """
    suffix = path.suffix.casefold()
    if suffix == ".asc":
        return _ARMOUR.search(data[:_JUDGED_BYTES]) is None
    if suffix[1:].isdigit():
        return _ROFF.search(data[:_JUDGED_BYTES]) is not None
    return True
