"""Compares the text that a loader extracts with that of a reference program, on real files.

    python -m tools.compare_extraction [--missing] [--reference NAME] FILE_OR_FOLDER...

For each file, it prints the number of words in the reference text, the share of them that the extracted text contains
in the same order, the share that it contains anywhere, and the share of additional words. The last line of each suffix
has the totals. `--missing` also lists the missing words. Files that either program cannot read are listed and not
counted. Column names are compared once per table, although the extracted text repeats them in each row.

Needs `git` and the programs of `REFERENCES`. python-pptx and odfpy are used if they are on the PYTHONPATH:
`pip install --target FOLDER python-pptx odfpy`.
"""

import argparse
import operator
import re
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.documents.load import load
from streamrag_cli.documents.loaders import rows
from streamrag_cli.documents.read import RawFile

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of Chinese or Japanese."""

_TIMEOUT_S: Final = 180


def output_of(*command: str | Path) -> str:
    """The output of the command. Raises CalledProcessError or TimeoutExpired."""
    result = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
    return result.stdout.decode("utf-8", "replace")


_LIBREOFFICE_SETTINGS: Final = {
    ("org.openoffice.Office.Calc/Formula/Load", "ODFRecalcMode"): "1",
    ("org.openoffice.Office.Calc/Formula/Load", "OOXMLRecalcMode"): "1",
}
"""With these settings, LibreOffice shows the saved results of formulas."""


def converted(path: Path, form: str, read: Callable[[Path], str]) -> str:
    """Convert `path` with LibreOffice, and return the texts that `read` returns for the new files, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        user = Path(folder, "profile", "user")
        user.mkdir(parents=True)
        items = "".join(
            f'<item oor:path="/{group}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
            for (group, name), value in _LIBREOFFICE_SETTINGS.items()
        )
        registry = f'<oor:items xmlns:oor="http://openoffice.org/2001/registry">{items}</oor:items>'
        (user / "registrymodifications.xcu").write_text(registry)
        profile = f"-env:UserInstallation=file://{user.parent}"
        output_of("soffice", profile, "--headless", "--convert-to", form, "--outdir", Path(folder, "out"), path)
        files = sorted(Path(folder, "out").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        return "\n".join(map(read, files))


_PANDOC_FILTER: Final = """
local function with_notes(block)
  local blocks = pandoc.Blocks({})
  local text = block:walk({Note = function(note) blocks:extend(note.content) return pandoc.Str(" ") end})
  blocks:insert(1, text)
  return blocks
end
return {{OrderedList = function(list) return pandoc.BulletList(list.content) end,
         Subscript = function(span) return span.content end,
         Superscript = function(span) return span.content end},
        {Para = with_notes, Plain = with_notes, Header = with_notes}}
"""
"""A filter that omits list numbers and the marks of subscripts, and puts each note after its paragraph."""

_OFFICE_FILTER: Final = """
local function cells_in_order(table)
  local blocks = pandoc.Blocks(table.caption.long)
  local function add(rows)
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row.cells) do blocks:extend(cell.contents) end
    end
  end
  add(table.head.rows)
  for _, body in ipairs(table.bodies) do add(body.head) add(body.body) end
  add(table.foot.rows)
  return blocks
end
local function without_contents(div)
  if (div.attributes["custom-style"] or ""):lower():match("^toc ") then return {} end
end
return {{Image = function() return {} end, Math = function() return pandoc.Str(" ") end, Div = without_contents},
        {Table = cells_in_order}}
"""
"""A filter that omits descriptions of images, formulas, which pandoc transcribes, and tables of contents.

Cells follow each other, because pandoc's tables mix the lines of neighbouring cells.
"""


def by_pandoc(path: Path) -> str:
    form = {".docx": "docx+styles", ".ott": "odt"}.get(path.suffix, path.suffix[1:])
    with tempfile.TemporaryDirectory() as folder:
        filters = [Path(folder, name) for name in ("common.lua", "office.lua")]
        for file, text in zip(filters, (_PANDOC_FILTER, _OFFICE_FILTER), strict=True):
            file.write_text(text)
        options = [f"--lua-filter={file}" for file in filters]
        return output_of("pandoc", "--from", form, "--to", "plain", "--wrap=none", *options, path)


_NO_MATH_OR_LABELS: Final = """Math = function() return pandoc.Str(" ") end,
         Link = function(link) if link.attributes["reference-type"] then return {} end end,
         """


def source_by_pandoc(path: Path) -> str:
    """The prose and code of a source file, without formulas, which pandoc transcribes, and names of labels."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(_PANDOC_FILTER.replace("return {{", f"return {{{{{_NO_MATH_OR_LABELS}"))
        lua.flush()
        form = {".tex": "latex", ".adoc": "docbook"}.get(path.suffix, path.suffix[1:])
        options = ["--from", form, "--to", "plain", "--wrap=none", "--lua-filter", lua.name]
        return output_of("pandoc", *options, "--resource-path", path.parent, path)


def by_asciidoctor(path: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder, "book.adoc")
        output_of("asciidoctor", "--backend", "docbook", "--out-file", book, path)
        return source_by_pandoc(book)


def by_groff(path: Path) -> str:
    """A manual page without its header and footer lines."""
    page = output_of("groff", "-mandoc", "-t", "-Tutf8", "-P-cbou", "-rLL=2000n", "-rHY=0", "-rIN=2n", path)
    lines = [line for line in page.split("\n") if line.strip()]
    return "\n".join(lines[1:-1])


def by_mu(path: Path) -> str:
    """The body of a message. The header is omitted, because mu has its own order and format of dates."""
    return _MU_HEADER.sub("", output_of("mu", "view", path.resolve())).replace("[No text body found]", "")


_MU_HEADER: Final = re.compile(r"\A(?:(?:From|To|Cc|Bcc|Subject|Date|Tags|List|Attachments|Security): .*\n)*")


def by_subtitle_library(path: Path) -> str:
    if path.suffix == ".srt":
        import pysrt

        return "\n".join(each.text_without_tags for each in pysrt.open(str(path)))
    import webvtt

    return "\n".join(each.text for each in webvtt.read(str(path)))


_REMARK: Final = """
import {readFileSync} from "node:fs";
import {remark} from "remark";
import remarkGfm from "remark-gfm";
import remarkFrontmatter from "remark-frontmatter";
import remarkMdx from "remark-mdx";
const texts = node => node.children ? node.children.flatMap(texts).concat("\\n")
  : ["text", "inlineCode", "code"].includes(node.type) ? [node.value] : [];
const tree = remark().use(remarkFrontmatter).use(remarkGfm).use(remarkMdx).parse(readFileSync(process.argv[2], "utf8"));
console.log(texts(tree).join(" "));
"""


def by_remark(path: Path) -> str:
    """The text and code of MDX. Runs in the current folder, where npm has installed remark and its plugins."""
    script = Path("compare_mdx.mjs")
    script.write_text(_REMARK)
    try:
        return output_of("node", script, path.resolve())
    finally:
        script.unlink()


def book_by_pandoc(path: Path) -> str:
    """The text of a book, without descriptions of images and without the lists in its table of contents."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as book:
        copy, no_images = Path(folder, "book.epub"), Path(folder, "no_images.lua")
        no_images.write_text("function Image() return {} end")
        package = next(book.read(name) for name in book.namelist() if name.endswith(".opf"))
        with zipfile.ZipFile(copy, "w") as changed:
            for info in book.infolist():
                data = book.read(info)
                is_contents = any(
                    info.filename.rpartition("/")[2].encode() in each for each in _CONTENTS.findall(package)
                )
                changed.writestr(info, _LIST.sub(b"", data) if is_contents else data)
        return output_of("pandoc", "--from=epub", "--to=plain", "--wrap=none", f"--lua-filter={no_images}", copy)


_CONTENTS: Final = re.compile(
    rb"""<item\b[^>]*properties=["'][^>]*\bnav\b[^>]*>|<reference\b[^>]*type=["']toc["'][^>]*>"""
)
_LIST: Final = re.compile(rb"<(nav|ul|ol|dl|table)\b.*</\1>", re.DOTALL)


def by_odt2txt(path: Path) -> str:
    text = output_of("odt2txt", "--width=-1", "--subst=none", path)
    return re.sub(r"\[-- Image: .*? --\]", "", text)  # names of frames


def by_libreoffice_text(path: Path) -> str:
    return converted(path, "txt:Text (encoded):UTF8", lambda text: text.read_text("utf-8-sig"))


def by_libreoffice_csv(path: Path) -> str:
    """The cells of all sheets as LibreOffice shows them, in the order of the sheets."""
    form = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true,false,false,-1"
    return converted(path, form, lambda table: table.read_text("utf-8"))


def by_odfpy(path: Path) -> str:
    """The stored texts of all cells, each as often as the file repeats it."""
    from odf import opendocument, table, teletype

    pieces: list[str] = []
    for row in opendocument.load(str(path)).spreadsheet.getElementsByType(table.TableRow):
        cells: list[str] = []
        for cell in (node for node in row.childNodes if node.qname[1] == "table-cell"):
            text = " ".join(teletype.extractText(node) for node in cell.childNodes if node.qname[1] == "p")
            cells += [text] * (int(cell.getAttribute("numbercolumnsrepeated") or 1) if text else 0)
        pieces += [" ".join(cells)] * (int(row.getAttribute("numberrowsrepeated") or 1) if cells else 0)
    return "\n".join(pieces)


def by_libreoffice_pdf(path: Path) -> str:
    return converted(path, "pdf", lambda pdf: output_of("pdftotext", pdf, "-"))


def by_python_pptx(path: Path) -> str:
    import pptx

    deck: Any = pptx.Presentation(str(path))
    pieces: list[str] = []
    for slide in deck.slides:
        shapes = sorted(slide.shapes, key=lambda shape: shape != slide.shapes.title)
        pieces += (text for shape in shapes for text in _shape_texts(shape))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            pieces.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(pieces)


def _shape_texts(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        for each in shape.shapes:
            yield from _shape_texts(each)
    elif getattr(shape, "has_table", False):
        yield from (cell.text for row in shape.table.rows for cell in row.cells if not cell.is_spanned)
    elif shape.has_text_frame and not _is_repeated(shape):
        yield shape.text_frame.text


def _is_repeated(shape: Any) -> bool:
    """Whether the shape is a date, footer, header or slide number."""
    return shape.is_placeholder and shape.placeholder_format.type in {13, 14, 15, 16}


REFERENCES: Final[dict[str, dict[str, Callable[[Path], str]]]] = {
    ".pptx": {"python-pptx": by_python_pptx, "LibreOffice": by_libreoffice_pdf},
    ".odt": {"pandoc": by_pandoc, "odt2txt": by_odt2txt, "LibreOffice": by_libreoffice_text},
    ".ott": {"LibreOffice": by_libreoffice_text},
    ".fodt": {"LibreOffice": by_libreoffice_text},
    ".odp": {"odt2txt": by_odt2txt, "LibreOffice": by_libreoffice_pdf},
    ".xlsx": {"LibreOffice": by_libreoffice_csv},
    ".ods": {"LibreOffice": by_libreoffice_csv, "odfpy": by_odfpy},
    ".rtf": {"LibreOffice": by_libreoffice_text},
    ".epub": {"pandoc": book_by_pandoc},
    ".org": {"pandoc": source_by_pandoc},
    ".tex": {"pandoc": source_by_pandoc},
    ".adoc": {"asciidoctor": by_asciidoctor},
    ".mdx": {"remark": by_remark},
    ".eml": {"mu": by_mu},
    ".srt": {"pysrt": by_subtitle_library},
    ".vtt": {"webvtt-py": by_subtitle_library},
    ".docx": {"pandoc": by_pandoc, "LibreOffice": by_libreoffice_text},
} | {f".{section}": {"groff": by_groff} for section in range(1, 9)}
"""For each suffix, the reference programs by name; the first is the default."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Numbers of words: in the reference text, extracted in the same order, extracted anywhere, and additional."""

    expected: int
    in_order: int
    anywhere: int
    extra: int

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.expected + other.expected,
            self.in_order + other.in_order,
            self.anywhere + other.anywhere,
            self.extra + other.extra,
        )

    def __str__(self) -> str:
        total = max(1, self.expected)
        return (
            f"{self.expected:8,}  {self.in_order / total:7.2%}  {self.anywhere / total:7.2%}  {self.extra / total:7.2%}"
        )


def compared(reference: str, extracted: str) -> tuple[Comparison, list[str]]:
    """The comparison, and the words that are missing at their place in the extracted text."""
    expected, actual = words(reference), words(extracted)
    missing = [line[1:] for line in _difference(expected, actual) if line.startswith("-")]
    in_order = len(expected) - len(missing)
    anywhere = (Counter(expected) & Counter(actual)).total()
    return Comparison(len(expected), in_order, anywhere, len(actual) - in_order), missing


def words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).replace("\u00ad", "").casefold()
    return _WORD.findall(folded)


def _difference(before: Sequence[str], after: Sequence[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("before", "after")]
        for file, lines in zip(files, (before, after), strict=True):
            file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        command = ["git", "diff", "--no-index", "--minimal", "--unified=0", "--no-color", *map(str, files)]
        result = subprocess.run(command, check=False, capture_output=True, timeout=_TIMEOUT_S)
    lines = result.stdout.decode("utf-8").split("\n")
    start = next((number for number, line in enumerate(lines) if line.startswith("@@")), len(lines))
    return lines[start:]


class PlainRows:
    """Replaces `rows.row_text`: writes the column names of a table once, above its first row.

    `is_same` compares the lists of column names of two rows, and returns whether the rows are in the same table.
    """

    def __init__(self, is_same: Callable[[object, object], bool]) -> None:
        self._is_same = is_same
        self._columns: Sequence[str] = ()

    def __call__(self, columns: Sequence[str], cells: Sequence[str]) -> str:
        shown = [*cells] if self._is_same(columns, self._columns) else [*columns, *cells]
        self._columns = columns
        return "- " + "; ".join(" ".join(cell.split()) for cell in shown if cell.strip()) if any(cells) else ""


def extracted_text(path: Path) -> str:
    """The text of the loader and its title, in this process. Raises `DocumentError`."""
    data = path.read_bytes()
    return load(path, RawFile(data=data, size=len(data), mtime_ns=0, read_at_ns=0, sha256="")).text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--reference", default="")
    options = parser.parse_args()
    files = [each for path in options.paths for each in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    totals: defaultdict[str, list[Comparison]] = defaultdict(list)
    for path in files:
        programs = REFERENCES.get(path.suffix.casefold(), {})
        program = programs.get(options.reference) or next(iter(programs.values()), None)
        if program is None:
            continue
        try:
            comparison, missing = compared(program(path), extracted_text(path))
        except Exception as error:  # noqa: BLE001 - the programs fail in many ways
            print(f"not compared: {path}: {str(error)[:200]}")
            continue
        totals[path.suffix.casefold()].append(comparison)
        print(f"{comparison}  {path}")
        if options.missing:
            print("   ", " ".join(missing[:100]))
    for suffix, all_of_suffix in sorted(totals.items()):
        print(f"{sum(all_of_suffix, Comparison(0, 0, 0, 0))}  all {len(all_of_suffix)} {suffix} files")


rows.row_text = PlainRows(operator.is_)  # before the loaders are imported, which copy the name
from streamrag_cli.documents.loaders import sheet_text  # noqa: E402

sheet_text.row_text = PlainRows(operator.eq)  # each row of a sheet has a new list of names

if __name__ == "__main__":
    sys.exit(main())
