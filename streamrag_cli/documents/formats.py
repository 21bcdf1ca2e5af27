"""Which loader a file's name calls for. Nothing is opened to find out."""

from pathlib import PurePath
from typing import Final, Literal, TypeAlias

FormatName: TypeAlias = Literal[
    "markdown", "text", "rst", "html", "pdf", "docx", "notebook", "table", "json", "json_lines", "config",
    "asciidoc", "org", "python", "code",
]  # fmt: skip

_SUFFIXES: Final[dict[FormatName, str]] = {
    "markdown": ".md .markdown .mdx .mkd .mdown .qmd .rmd",
    "text": ".txt .text .log .tex .bib .srt .vtt",
    "rst": ".rst .rest",
    "html": ".html .htm .xhtml",
    "pdf": ".pdf",
    "docx": ".docx .docm .dotx .dotm",
    "notebook": ".ipynb",
    "table": ".csv .tsv .tab",
    "json": ".json .json5 .jsonc .geojson",
    "json_lines": ".jsonl .ndjson",
    "config": ".yaml .yml .toml .ini .cfg .conf .properties .xml .xsd .xsl .tf .hcl .editorconfig",
    "asciidoc": ".adoc .asciidoc .asc",
    "org": ".org",
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


def is_supported(path: PurePath) -> bool:
    """Whether a file of this name is taken when it is met on a walk."""
    return format_of(path) is not None
