"""The registry of file formats: the loader for each file name, and properties that the rest of the program needs.

To add a format, write a loader in `loaders/` and add an entry here. A format is chosen by the file's name, without
opening the file. A loader's module is imported when it is first used. A few suffixes are also used by other kinds
of files; `content_matches_name` then checks the content.
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
    """A file format: the names of its files, its loader and how it is treated."""

    name: str
    loader: str
    """The loader as `module:function`. It takes a path and the file's text or bytes, and returns a `Document`."""
    input_type: Literal["text", "bytes"] = "text"
    suffixes: str = ""
    """File name suffixes, in lower case, separated by spaces."""
    names: str = ""
    """Whole names of files without a suffix, in lower case, separated by spaces."""
    media_types: str = ""
    """Media types of web pages in this format, separated by spaces."""
    sandboxed: Literal["all", "large", "none"] = "all"
    """The files that are loaded in a separate process.

    "large" means files above `sandbox.LARGE_BYTES`; it is for loaders in pure Python whose time grows with the size.
    "none" is for loaders that take almost no time.
    """
    kind: TextKind = "prose"
    markup: Markup = "none"
    kind_for_secrets: TextKind | None = None
    """Replaces `kind` when a name or content is checked for secrets."""
    is_encoded: bool = False
    """Whether all text is encoded in the file, so that a search of the raw bytes would miss it."""
    passage_bytes: int = 750
    """The average number of bytes per passage; 0 if the size of a file does not predict its number of passages."""
    page_name: Literal["p.", "slide"] = "p."
    """The word before a page number, if the format has pages."""
    generated: Literal["", "lock", "code", "script"] = ""
    """Which signs of a generated file to look for in the content."""
    reads_images: bool = False
    """Whether the loader takes an optional `PageReader` as third argument, for OCR."""
    is_image: bool = False
    """Whether files in this format have no text without OCR."""
    has_front_matter: bool = False
    """Whether documents may begin with front matter that contains their date and tags."""
    has_row_places: bool = False
    """Whether the last heading of a passage names the rows of a sheet (`row_places`)."""
    ambiguous_suffixes: str = ""
    """The suffixes of this format that other kinds of files use too."""
    matches_content: Callable[[bytes], bool] | None = None
    """Decides from the first bytes whether a file with an ambiguous suffix has this format."""


_BY_SUFFIX: Final[dict[str, Format]] = {}
_BY_NAME: Final[dict[str, Format]] = {}

_NEWER: Final = {
    ".doc": ".docx", ".dot": ".dotx", ".xls": ".xlsx", ".xlt": ".xlsx", ".xlsb": ".xlsx",
    ".ppt": ".pptx", ".pps": ".ppsx",
}  # fmt: skip
"""The suffix of each old Office format, which is not read, and of the format that replaced it."""


def register(entry: Format) -> None:
    """Add a format. Raises ValueError if one of its suffixes or names is already registered."""
    for index, words in ((_BY_SUFFIX, entry.suffixes), (_BY_NAME, entry.names)):
        if registered := index.keys() & words.split():
            raise ValueError(f"suffixes or names already registered: {' '.join(sorted(registered))}")
        index.update(dict.fromkeys(words.split(), entry))


def unregister(entry: Format) -> None:
    for index, words in ((_BY_SUFFIX, entry.suffixes), (_BY_NAME, entry.names)):
        for word in words.split():
            del index[word]


def suffixes() -> frozenset[str]:
    return frozenset(_BY_SUFFIX)


def names_of(word: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the suffixes and whole file names of the format `word`, or only `word` if it is a suffix.

    Returns None if `word` is neither a format nor a suffix.

    >>> names_of("html"), names_of(".MD"), names_of("word")
    ((('.html', '.htm', '.xhtml'), ()), (('.md',), ()), None)
    """
    word = word.strip().casefold().lstrip("*.")
    if entry := next((each for each in (*_BY_SUFFIX.values(), *_BY_NAME.values()) if each.name == word), None):
        return tuple(entry.suffixes.split()), tuple(entry.names.split())
    return ((f".{word}",), ()) if f".{word}" in _BY_SUFFIX else None


def format_names() -> list[str]:
    """Return the names of all formats, sorted."""
    return sorted({each.name for each in (*_BY_SUFFIX.values(), *_BY_NAME.values())})


def format_of(path: PurePath) -> Format | None:
    """Return the format registered for the file's name, or None.

    >>> [entry and entry.name for entry in map(format_of, map(PurePath, ("docs/Guide.MD", "LICENSE", "logo.png")))]
    ['markdown', 'text', 'image']
    """
    suffix = path.suffix.casefold()
    return _BY_SUFFIX.get(suffix) if suffix else _BY_NAME.get(path.name.casefold())


def format_for(path: PurePath, data: bytes) -> Format:
    """Return the format to load the file in: plain text if its name has no format or its content does not match."""
    entry = format_of(path)
    return entry if entry and content_matches_name(path, data) else TEXT


def text_kind(path: PurePath) -> TextKind:
    """Return the kind of text in a file with this name: Markdown ("prose"), "records", "code", or no markup ("plain").

    A record is a block between blank lines, or a line or block that begins with `- ` at the margin.
    """
    return (format_of(path) or TEXT).kind


def kind_for_secrets(path: PurePath) -> TextKind:
    """Return the kind of text that is assumed when a file is checked for secrets. It may differ from `text_kind`."""
    entry = format_of(path) or TEXT
    return entry.kind_for_secrets or entry.kind


def inline_markup(path: PurePath) -> Markup:
    """Return the inline markup in the loaded text of a file with this name: Markdown, code in backticks, or none.

    Plain text and code comments have no markup except backticks around code.
    """
    return (format_of(path) or TEXT).markup


def page_name(path: PurePath) -> str:
    """Return the word that precedes the page numbers of a file with this name: "p." or "slide"."""
    return (format_of(path) or TEXT).page_name


def has_front_matter(path: PurePath) -> bool:
    """Whether a file with this name may begin with front matter."""
    entry = format_of(path)
    return entry is not None and entry.has_front_matter


def suffix_of_media_type(media_type: str) -> str:
    """Return the suffix of files with this media type, or "" if no format has it.

    >>> suffix_of_media_type("application/xhtml+xml"), suffix_of_media_type("image/svg+xml")
    ('.html', '')
    """
    entries = dict.fromkeys(_BY_SUFFIX.values())
    return next((each.suffixes.split()[0] for each in entries if media_type in each.media_types.split()), "")


def is_web_page(path: PurePath) -> bool:
    """Whether a file with this name is read in a browser, so that its line numbers mean little to a reader."""
    entry = format_of(path)
    return entry is not None and entry.name == "html"


def has_row_places(path: PurePath) -> bool:
    """Whether the last heading of a passage from a file with this name is a place in a sheet (`row_places`)."""
    entry = format_of(path)
    return entry is not None and entry.has_row_places


def is_supported(path: PurePath, *, with_ocr: bool = True) -> bool:
    """Whether a file with this name is read when it is found in a folder, with or without OCR."""
    entry = format_of(path)
    return entry is not None and (with_ocr or not entry.is_image)


def unsupported_reason(path: PurePath) -> str:
    """Return why a file with this name is skipped in a folder, and how to make it readable if that is possible."""
    if is_image(path):
        return "images can be read only with OCR"
    newer = newer_suffix(path)
    return f"unsupported format; save the file as {newer}" if newer else "unsupported format"


def newer_suffix(path: PurePath) -> str:
    """Return the suffix of the format that replaced the old Office format of `path`; "" for other formats."""
    return _NEWER.get(path.suffix.lower(), "")


def is_image(path: PurePath) -> bool:
    """Whether a file with this name is an image, which has no text without OCR."""
    entry = format_of(path)
    return entry is not None and entry.is_image


def estimated_passages(path: PurePath, size: int) -> int | None:
    """Estimate how many passages a file of `size` bytes has. Returns None if its size does not predict that.

    >>> [estimated_passages(PurePath(name), 7500) for name in ("guide.md", "scan.pdf")]
    [10, None]
    """
    passage_bytes = (format_of(path) or TEXT).passage_bytes
    if not passage_bytes:
        return None
    return max(1, round(size / passage_bytes)) if size else 0


def has_ambiguous_suffix(path: PurePath) -> bool:
    """Whether other kinds of files use the suffix of `path` too, so that the name does not determine the format."""
    entry = format_of(path)
    return entry is not None and path.suffix.casefold() in entry.ambiguous_suffixes.split()


def content_matches_name(path: PurePath, data: bytes) -> bool:
    """Whether the content has the format that the name suggests. It is always true for unambiguous suffixes."""
    entry = format_of(path)
    if entry is None or entry.matches_content is None or not has_ambiguous_suffix(path):
        return True
    return entry.matches_content(data[:_SNIFFED_BYTES])


_SNIFFED_BYTES: Final = 1 << 15
_ARMOUR: Final = re.compile(rb"^-----BEGIN (?:PGP|[A-Z ]*PRIVATE KEY)", re.MULTILINE)
_ROFF: Final = re.compile(rb"^[.'][ \t]*(?:TH|SH|Dt|Sh|Dd|so)\b", re.MULTILINE)

_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument"
_LOADERS: Final = "streamrag_cli.documents.loaders"
_plain = partial(Format, loader=f"{_LOADERS}.plain:load_plain", sandboxed="none", kind="plain", markup="code spans")
_data = partial(Format, sandboxed="large", kind="records")
_code = partial(Format, loader=f"{_LOADERS}.code:load_code", sandboxed="large", kind="code", markup="code spans")
_spans = partial(Format, markup="code spans")
_fully_encoded = partial(Format, input_type="bytes", is_encoded=True, passage_bytes=0)
_from_bytes = partial(Format, input_type="bytes")

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
        name="markdown", media_types="text/markdown text/x-markdown", loader=f"{_LOADERS}.markdown:load_markdown",
        suffixes=".md .markdown .mkd .mdown .qmd .rmd",
        sandboxed="large", markup="markdown", has_front_matter=True,
    ),
    Format(
        name="mdx", loader=f"{_LOADERS}.mdx:load_mdx", suffixes=".mdx", sandboxed="large", markup="markdown",
        has_front_matter=True,
    ),
    _spans(name="rst", media_types="text/x-rst", loader=f"{_LOADERS}.rst:load_rst", suffixes=".rst .rest"),
    _from_bytes(
        name="html", media_types="text/html application/xhtml+xml", loader=f"{_LOADERS}.html:load_html",
        suffixes=".html .htm .xhtml", passage_bytes=2600,
    ),
    _fully_encoded(
        name="pdf", media_types="application/pdf", loader=f"{_LOADERS}.pdf:load_pdf", suffixes=".pdf",
        reads_images=True,
    ),
    _fully_encoded(
        name="image", loader=f"{_LOADERS}.image:load_image", suffixes=".png .jpg .jpeg .tif .tiff .webp .gif .bmp",
        reads_images=True, is_image=True, kind="plain",
    ),
    _fully_encoded(
        name="docx", media_types=f"{_OPEN_XML}.wordprocessingml.document", loader=f"{_LOADERS}.docx:load_docx",
        suffixes=".docx .docm .dotx .dotm",
    ),
    _fully_encoded(
        name="odt", media_types=f"{_OPEN_DOCUMENT}.text", loader=f"{_LOADERS}.odt:load_odt", suffixes=".odt .ott",
    ),
    _from_bytes(name="flat_odt", loader=f"{_LOADERS}.odt:load_flat_odt", suffixes=".fodt", passage_bytes=0),
    _fully_encoded(
        name="odp", media_types=f"{_OPEN_DOCUMENT}.presentation", loader=f"{_LOADERS}.odp:load_odp",
        suffixes=".odp .otp", page_name="slide",
    ),
    _from_bytes(
        name="flat_odp", loader=f"{_LOADERS}.odp:load_flat_odp", suffixes=".fodp", passage_bytes=0, page_name="slide",
    ),
    _fully_encoded(
        name="pptx", media_types=f"{_OPEN_XML}.presentationml.presentation", loader=f"{_LOADERS}.pptx:load_pptx",
        suffixes=".pptx .pptm .ppsx .ppsm .potx .potm",
        page_name="slide",
    ),
    _fully_encoded(
        name="xlsx", media_types=f"{_OPEN_XML}.spreadsheetml.sheet", loader=f"{_LOADERS}.xlsx:load_xlsx",
        suffixes=".xlsx .xlsm .xltx .xltm", kind="records",
        has_row_places=True,
    ),
    _fully_encoded(
        name="ods", media_types=f"{_OPEN_DOCUMENT}.spreadsheet", loader=f"{_LOADERS}.ods:load_ods",
        suffixes=".ods .ots", kind="records", has_row_places=True,
    ),
    _from_bytes(
        name="flat_ods", loader=f"{_LOADERS}.ods:load_flat_ods", suffixes=".fods", kind="records", passage_bytes=0,
        has_row_places=True,
    ),
    _fully_encoded(
        name="rtf", media_types="application/rtf text/rtf", loader=f"{_LOADERS}.rtf:load_rtf", suffixes=".rtf",
    ),
    _fully_encoded(
        name="epub", media_types="application/epub+zip", loader=f"{_LOADERS}.epub:load_epub", suffixes=".epub",
    ),
    Format(
        name="notebook", media_types="application/x-ipynb+json", loader=f"{_LOADERS}.notebook:load_notebook",
        suffixes=".ipynb", markup="markdown",
        passage_bytes=0,
    ),
    _data(
        name="table", media_types="text/csv text/tab-separated-values", loader=f"{_LOADERS}.table:load_table",
        suffixes=".csv .tsv .tab",
    ),
    _data(
        name="json", media_types="application/json application/ld+json", loader=f"{_LOADERS}.json_text:load_json",
        suffixes=".json .json5 .jsonc .geojson",
        generated="lock",
    ),
    _data(
        name="json_lines", media_types="application/x-ndjson", loader=f"{_LOADERS}.json_text:load_json_lines",
        suffixes=".jsonl .ndjson",
    ),
    _data(
        name="yaml", media_types="application/yaml text/yaml", loader=f"{_LOADERS}.yaml_text:load_yaml",
        suffixes=".yaml .yml", generated="lock",
    ),
    _data(
        name="toml", media_types="application/toml", loader=f"{_LOADERS}.toml_text:load_toml", suffixes=".toml",
    ),
    _data(name="config", loader=f"{_LOADERS}.config:load_config", suffixes=".ini .cfg .conf .properties"),
    _data(
        name="declarations", loader=f"{_LOADERS}.config:load_config", suffixes=".tf .hcl .editorconfig",
        kind_for_secrets="code",
    ),
    _from_bytes(name="xml", loader=f"{_LOADERS}.xml_text:load_xml", suffixes=".xml", kind="records"),
    _from_bytes(
        name="xml_schema", loader=f"{_LOADERS}.xml_text:load_xml", suffixes=".xsd .xsl", kind="records",
        kind_for_secrets="code",
    ),
    _spans(
        name="asciidoc", loader=f"{_LOADERS}.asciidoc:load_asciidoc", suffixes=".adoc .asciidoc .asc",
        has_front_matter=True, ambiguous_suffixes=".asc", matches_content=lambda data: _ARMOUR.search(data) is None,
    ),
    _spans(name="org", loader=f"{_LOADERS}.org:load_org", suffixes=".org"),
    Format(
        name="man", loader=f"{_LOADERS}.man:load_man", suffixes=f".man .roff .mdoc {_DIGITS}",
        ambiguous_suffixes=_DIGITS, matches_content=lambda data: _ROFF.search(data) is not None,
    ),
    _spans(name="latex", loader=f"{_LOADERS}.latex:load_latex", suffixes=".tex .latex .ltx"),
    _from_bytes(
        name="mail", media_types="message/rfc822", loader=f"{_LOADERS}.mail:load_mail", suffixes=".eml",
        passage_bytes=0,
    ),
    _from_bytes(
        name="mailbox", media_types="application/mbox", loader=f"{_LOADERS}.mail:load_mailbox",
        suffixes=".mbox .mbx", passage_bytes=0,
    ),
    Format(
        name="subtitles", media_types="application/x-subrip text/vtt", loader=f"{_LOADERS}.subtitles:load_subtitles",
        suffixes=".srt .vtt", sandboxed="large",
    ),
    _code(name="python", loader=f"{_LOADERS}.python_source:load_python", suffixes=".py .pyi .pyw", generated="code"),
    _code(name="script", suffixes=".js .mjs .cjs .css .jsx", generated="script"),
    _code(name="compiled", suffixes=_COMPILED, generated="code"),
    _code(name="code", suffixes=_OTHER_CODE, names=_CODE_NAMES),
):  # fmt: skip
    register(_entry)
