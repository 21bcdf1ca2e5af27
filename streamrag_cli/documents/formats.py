"""The registry of formats: which loader a file's name selects, and what the rest of the program needs to know of it.

A new format is a loader in `loaders/` and an entry here. Nothing is opened to choose a format, and a loader's module
is imported at its first file. A few suffixes are shared with files of other kinds: for these `content_matches_name` looks
at the content.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Final, Literal, TypeAlias

TextKind: TypeAlias = Literal["prose", "records", "code", "plain"]
Markup: TypeAlias = Literal["markdown", "code spans", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.

    `loader` is `module:function`: it takes a path and the file's decoded text, or its bytes, and returns a `Document`.
    `suffixes` and `names` (of whole files) are lower case, separated by spaces. `sandboxed` says which files are loaded
    in a process of their own: all; large ones, if the loader is Python alone and its time grows with the size; or none,
    if it takes next to no time. `kind_for_secrets` replaces `kind` where names and contents are judged for
    secrets. `encoded` says how much of the text the bytes do not show: parts of it are encoded, or all of it is.
    `generated` says which signs of a generated file to look for. A file with one of the suffixes in `shared` is of this
    format only if `matches_content` says so of its first bytes.
    """

    name: str
    loader: str
    input_type: Literal["text", "bytes"] = "text"
    suffixes: str = ""
    names: str = ""
    sandboxed: Literal["all", "large", "none"] = "all"
    kind: TextKind = "prose"
    markup: Markup = "none"
    kind_for_secrets: TextKind | None = None
    encoded: Literal["none", "some", "all"] = "none"
    generated: Literal["", "lock", "code", "script"] = ""
    ambiguous_suffixes: str = ""
    matches_content: Callable[[bytes], bool] | None = None


_BY_SUFFIX: Final[dict[str, Format]] = {}
_BY_NAME: Final[dict[str, Format]] = {}


def register(entry: Format) -> None:
    """Add a format. Raises ValueError if another one has one of its suffixes or names."""
    for index, words in ((_BY_SUFFIX, entry.suffixes), (_BY_NAME, entry.names)):
        if taken := index.keys() & words.split():
            raise ValueError(f"already registered: {' '.join(sorted(taken))}")
        index.update(dict.fromkeys(words.split(), entry))


def unregister(entry: Format) -> None:
    for index, words in ((_BY_SUFFIX, entry.suffixes), (_BY_NAME, entry.names)):
        for word in words.split():
            del index[word]


def suffixes() -> frozenset[str]:
    return frozenset(_BY_SUFFIX)


def format_of(path: PurePath) -> Format | None:
    """The format that the file's name selects, or None.

    >>> [entry and entry.name for entry in map(format_of, map(PurePath, ("docs/Guide.MD", "LICENSE", "logo.png")))]
    ['markdown', 'text', None]
    """
    suffix = path.suffix.casefold()
    return _BY_SUFFIX.get(suffix) if suffix else _BY_NAME.get(path.name.casefold())


def format_for(path: PurePath, data: bytes) -> Format:
    """The format to load the file's content with: plain text if the name selects none, or a wrong one."""
    found = format_of(path)
    return found if found and content_matches_name(path, data) else TEXT


def text_kind(path: PurePath) -> TextKind:
    """What the text of a file of this name is like: Markdown ("prose"), records, code, or text without any markup.

    Of records each is a unit: a block between blank lines, or a line or block that begins with `- ` at the margin.
    """
    return (format_of(path) or TEXT).kind


def kind_for_secrets(path: PurePath) -> TextKind:
    """The same, where a name or a content is judged for secrets."""
    found = format_of(path) or TEXT
    return found.kind_for_secrets or found.kind


def inline_markup(path: PurePath) -> Markup:
    """What of the text within a line is markup, in a file of this name: Markdown's, backticks around code, or nothing.

    Loaders of other formats leave nothing but backticks, those of pages and papers not even them. Plain text and the
    comments of code have no markup, but what stands in backticks is meant as code there as well.
    """
    return (format_of(path) or TEXT).markup


def is_supported(path: PurePath) -> bool:
    """Whether a file of this name is taken when it is met on a walk."""
    return format_of(path) is not None


def has_ambiguous_suffix(path: PurePath) -> bool:
    """Whether files of other kinds have the suffix as well, so that the name alone proves nothing."""
    found = format_of(path)
    return found is not None and path.suffix.casefold() in found.ambiguous_suffixes.split()


def content_matches_name(path: PurePath, data: bytes) -> bool:
    """Whether the content is what the name stands for; true if no file of another kind has such a name."""
    found = format_of(path)
    if found is None or found.matches_content is None or not has_ambiguous_suffix(path):
        return True
    return found.matches_content(data[:_JUDGED_BYTES])


_JUDGED_BYTES: Final = 1 << 15
_ARMOUR: Final = re.compile(rb"^-----BEGIN (?:PGP|[A-Z ]*PRIVATE KEY)", re.MULTILINE)
_ROFF: Final = re.compile(rb"^[.'][ \t]*(?:TH|SH|Dt|Sh|Dd|so)\b", re.MULTILINE)

_HERE: Final = "streamrag_cli.documents.loaders"
_plain = partial(Format, loader=f"{_HERE}.plain:load_plain", sandboxed="none", kind="plain", markup="code spans")
_data = partial(Format, sandboxed="large", kind="records")
_code = partial(Format, loader=f"{_HERE}.code:load_code", sandboxed="large", kind="code", markup="code spans")
_spans = partial(Format, markup="code spans")
_packed = partial(Format, input_type="bytes", encoded="all")
_encoded = partial(Format, input_type="bytes", encoded="some")

TEXT: Final = _plain(
    name="text",
    suffixes=".txt .text .log",
    names=(
        "readme license licence copying notice changelog changes history news authors contributors contributing "
        "maintainers install todo security faq hacking thanks credits copyright patents roadmap support usage"
    ),
)
_DIGITS: Final = ".1 .2 .3 .4 .5 .6 .7 .8 .9"
_COMPILED: Final = ".ts .tsx .go .rs .java .kt .cs .c .cc .cpp .h .hpp .dart .swift .php .rb .scala"
_OTHER_CODE: Final = (
    ".cxx .hh .hxx .m .mm .fs .fsx .vb .kts .groovy .gradle .clj .cljs .zig .nim .d .mts .cts .vue .svelte .astro "
    ".scss .sass .less .erb .pl .pm .t .lua .tcl .r .jl .ex .exs .erl .hrl .hs .ml .mli .elm .lisp .el .scm .rkt .sh "
    ".bash .zsh .fish .ps1 .psm1 .bat .cmd .sql .graphql .gql .proto .thrift .avsc .cmake .mk .make .bzl .nix "
    ".dockerfile .f .f90 .f95 .pas .adb .ads .asm .s .v .sv .vhd .vhdl .sol .pyx .pxd .cu .cuh .glsl .wgsl"
)
_CODE_NAMES: Final = (
    "makefile gnumakefile dockerfile containerfile jenkinsfile vagrantfile gemfile rakefile justfile procfile brewfile "
    "podfile fastfile codeowners"
)

for _entry in (
    TEXT,
    _plain(name="bibliography", suffixes=".bib", kind_for_secrets="prose"),
    Format(
        name="markdown", loader=f"{_HERE}.markdown:load_markdown", suffixes=".md .markdown .mkd .mdown .qmd .rmd",
        sandboxed="large", markup="markdown",
    ),
    Format(name="mdx", loader=f"{_HERE}.mdx:load_mdx", suffixes=".mdx", sandboxed="large", markup="markdown"),
    _spans(name="rst", loader=f"{_HERE}.rst:load_rst", suffixes=".rst .rest"),
    _encoded(name="html", loader=f"{_HERE}.html:load_html", suffixes=".html .htm .xhtml"),
    _packed(name="pdf", loader=f"{_HERE}.pdf:load_pdf", suffixes=".pdf"),
    _packed(name="docx", loader=f"{_HERE}.docx:load_docx", suffixes=".docx .docm .dotx .dotm"),
    Format(
        name="notebook", loader=f"{_HERE}.notebook:load_notebook", suffixes=".ipynb", markup="markdown", encoded="some",
    ),
    _data(name="table", loader=f"{_HERE}.table:load_table", suffixes=".csv .tsv .tab"),
    _data(
        name="json", loader=f"{_HERE}.json_text:load_json", suffixes=".json .json5 .jsonc .geojson", encoded="some",
        generated="lock",
    ),
    _data(name="json_lines", loader=f"{_HERE}.json_text:load_json_lines", suffixes=".jsonl .ndjson", encoded="some"),
    _data(name="yaml", loader=f"{_HERE}.yaml_text:load_yaml", suffixes=".yaml .yml", encoded="some", generated="lock"),
    _data(name="toml", loader=f"{_HERE}.toml_text:load_toml", suffixes=".toml", encoded="some"),
    _data(name="config", loader=f"{_HERE}.config:load_config", suffixes=".ini .cfg .conf .properties"),
    _data(
        name="declarations", loader=f"{_HERE}.config:load_config", suffixes=".tf .hcl .editorconfig", kind_for_secrets="code",
    ),
    _encoded(name="xml", loader=f"{_HERE}.xml_text:load_xml", suffixes=".xml", kind="records"),
    _encoded(
        name="xml_schema", loader=f"{_HERE}.xml_text:load_xml", suffixes=".xsd .xsl", kind="records", kind_for_secrets="code",
    ),
    _spans(
        name="asciidoc", loader=f"{_HERE}.asciidoc:load_asciidoc", suffixes=".adoc .asciidoc .asc", ambiguous_suffixes=".asc",
        matches_content=lambda data: _ARMOUR.search(data) is None,
    ),
    _spans(name="org", loader=f"{_HERE}.org:load_org", suffixes=".org"),
    Format(
        name="man", loader=f"{_HERE}.man:load_man", suffixes=f".man .roff .mdoc {_DIGITS}", ambiguous_suffixes=_DIGITS,
        matches_content=lambda data: _ROFF.search(data) is not None,
    ),
    _spans(name="latex", loader=f"{_HERE}.latex:load_latex", suffixes=".tex .latex .ltx"),
    _encoded(name="mail", loader=f"{_HERE}.mail:load_mail", suffixes=".eml"),
    _encoded(name="mailbox", loader=f"{_HERE}.mail:load_mailbox", suffixes=".mbox .mbx"),
    Format(name="subtitles", loader=f"{_HERE}.subtitles:load_subtitles", suffixes=".srt .vtt", sandboxed="large"),
    _code(name="python", loader=f"{_HERE}.python_source:load_python", suffixes=".py .pyi .pyw", generated="code"),
    _code(name="script", suffixes=".js .mjs .cjs .css .jsx", generated="script"),
    _code(name="compiled", suffixes=_COMPILED, generated="code"),
    _code(name="code", suffixes=_OTHER_CODE, names=_CODE_NAMES),
):  # fmt: skip
    register(_entry)
