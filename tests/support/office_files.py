"""Builds small PowerPoint and OpenDocument files from XML."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Final

_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OPEN_XML: Final = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" '
    f'xmlns:r="{_OFFICE}"'
)
_ODF: Final = "urn:oasis:names:tc:opendocument:xmlns:"
OPEN_DOCUMENT: Final = (
    " ".join(
        f'xmlns:{name}="{_ODF}{path}:1.0"'
        for name, path in (
            ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"),
            ("presentation", "presentation"), ("svg", "svg-compatible"), ("chart", "chart"), ("meta", "meta"),
        )
    )
    + ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    + ' xmlns:math="http://www.w3.org/1998/Math/MathML"'
)  # fmt: skip


def zip_bytes(entries: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return packed.getvalue()


def relationships(links: Iterable[tuple[str, str, str]]) -> str:
    """The relationships (id, kind, target) of a part."""
    entries = (f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for name, kind, to in links)
    return f'<Relationships xmlns="{_PACKAGE}">{"".join(entries)}</Relationships>'


def paragraphs(*texts: str) -> str:
    return "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in texts)


def shape(*texts: str, kind: str = "", at: tuple[int, int] | None = None, extra: str = "") -> str:
    """A shape with these paragraphs: a placeholder of this kind, or a text box if `kind` is ""."""
    holder = f'<p:ph type="{kind}"/>' if kind else ""
    place = f'<a:xfrm><a:off x="{at[0]}" y="{at[1]}"/></a:xfrm>' if at else ""
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="x" {extra}/><p:nvPr>{holder}</p:nvPr></p:nvSpPr>'
        f"<p:spPr>{place}</p:spPr><p:txBody>{paragraphs(*texts)}</p:txBody></p:sp>"
    )


def graphic(content: str) -> str:
    return f"<p:graphicFrame><a:graphic><a:graphicData>{content}</a:graphicData></a:graphic></p:graphicFrame>"


def slide(*shapes: str, attributes: str = "", root: str = "sld") -> str:
    tree = f"<p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld>"
    return f"<p:{root} {OPEN_XML} {attributes}>{tree}</p:{root}>"


def pptx_entries(
    *slides: str,
    links: Mapping[int, Iterable[tuple[str, str, str]]] | None = None,
    parts: Mapping[str, str] | None = None,
    title: str = "",
) -> dict[str, str | bytes]:
    """The entries of a presentation. `links` are the relationships of slides by number, `parts` further parts.

    The file names of slides have descending numbers, so that a reader cannot order the slides by name.
    """
    files = [f"slides/slide{len(slides) - number}.xml" for number in range(len(slides))]
    entries = "".join(f'<p:sldId id="{256 + number}" r:id="rId{number}"/>' for number in range(len(slides)))
    core = f'<x xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></x>'
    package: dict[str, str | bytes] = {
        "_rels/.rels": relationships(
            [("a", "officeDocument", "ppt/presentation.xml"), ("b", "core-properties", "docProps/core.xml")]
        ),
        "docProps/core.xml": core,
        "ppt/presentation.xml": f"<p:presentation {OPEN_XML}><p:sldIdLst>{entries}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relationships(
            (f"rId{number}", "slide", file) for number, file in enumerate(files)
        ),
    }
    package |= {f"ppt/{file}": each for file, each in zip(files, slides, strict=True)}
    for number, each in (links or {}).items():
        package[f"ppt/slides/_rels/{files[number - 1].rpartition('/')[2]}.rels"] = relationships(each)
    return package | dict(parts or {})


def pptx_bytes(
    *slides: str,
    links: Mapping[int, Iterable[tuple[str, str, str]]] | None = None,
    parts: Mapping[str, str] | None = None,
    title: str = "",
) -> bytes:
    return zip_bytes(pptx_entries(*slides, links=links, parts=parts, title=title))


def odf_content(kind: str, body: str, styles: str = "") -> str:
    return (
        f"<office:document-content {OPEN_DOCUMENT}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )


def odf_bytes(
    kind: str, body: str, *, styles: str = "", title: str = "", parts: Mapping[str, str | bytes] | None = None
) -> bytes:
    """A packed file of this kind ("text" or "presentation")."""
    meta = f"<office:document-meta {OPEN_DOCUMENT}><office:meta><dc:title>{title}</dc:title></office:meta>"
    return zip_bytes(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": odf_content(kind, body, styles),
            "meta.xml": f"{meta}</office:document-meta>",
        }
        | dict(parts or {})
    )


def flat_odf(kind: str, body: str, *, styles: str = "", title: str = "") -> str:
    return (
        f"<office:document {OPEN_DOCUMENT}><office:meta><dc:title>{title}</dc:title></office:meta>"
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"
    )
