import io
import zipfile

import pytest

from streamrag_cli.documents.chunking import chunk
from tests.support.loading import loaded, outline
from tests.support.office_files import (
    OPEN_XML,
    graphic,
    paragraphs,
    pptx_bytes,
    pptx_entries,
    shape,
    slide,
    zip_bytes,
)


def text_of(*shapes: str) -> str:
    """Return the text from a presentation with a single slide that has no title."""
    return loaded("a.pptx", pptx_bytes(slide(*shapes))).text.removeprefix("# Slide 1\n\n")


def test_each_slide_is_a_section_with_its_number_and_title() -> None:
    data = pptx_bytes(
        slide(shape("Pilots of the sound", kind="ctrTitle"), shape("Spring meeting", kind="subTitle")),
        slide(
            shape("Two pilots board at the buoy.", "They bring a chart.", kind="body"), shape("Boarding", kind="title")
        ),
        slide(shape("Untitled words.")),
        title="PowerPoint Presentation",
    )

    document = loaded("a.pptx", data)

    assert (document.title, document.line_numbers) == ("Pilots of the sound", None)
    assert [section.page for section in document.sections] == [1, 2, 3]
    assert outline(document) == [
        ("Slide 1: Pilots of the sound", "# Slide 1: Pilots of the sound\n\nSpring meeting"),
        ("Slide 2: Boarding", "# Slide 2: Boarding\n\n- Two pilots board at the buoy.\n- They bring a chart."),
        ("Slide 3", "# Slide 3\n\nUntitled words."),
    ]


@pytest.mark.parametrize(
    ("stored", "title"),
    [("Pilot handbook", "Pilot handbook"), ("PowerPoint-Präsentation", ""), ("Slide 1", ""), ("", "")],
)
def test_the_title_in_the_properties_is_used_if_the_first_slide_has_none(stored: str, title: str) -> None:
    assert loaded("a.pptx", pptx_bytes(slide(shape("x")), title=stored)).title == title


def test_each_short_slide_is_a_separate_chunk() -> None:
    slides = [slide(shape(f"Topic {number}", kind="title"), shape("A few words.")) for number in range(1, 4)]

    chunks = list(chunk(loaded("a.pptx", pptx_bytes(*slides))))

    assert [(each.page, each.title) for each in chunks] == [
        (1, "Topic 1 > Slide 1: Topic 1"),
        (2, "Topic 1 > Slide 2: Topic 2"),
        (3, "Topic 1 > Slide 3: Topic 3"),
    ]


def test_notes_follow_their_slide() -> None:
    notes = slide(
        shape("Ask the harbour master first.", kind="body"),
        shape("7", kind="sldNum"),
        shape("x", kind="hdr"),
        root="notes",
    )
    data = pptx_bytes(
        slide(shape("Boarding", kind="title")),
        links={1: [("rId1", "notesSlide", "../notesSlides/n.xml")]},
        parts={"ppt/notesSlides/n.xml": notes},
    )

    assert loaded("a.pptx", data).text == "# Slide 1: Boarding\n\nNotes:\nAsk the harbour master first.\n\n"


def test_dates_footers_and_slide_numbers_are_omitted() -> None:
    number = '<a:p><a:r><a:t>Chart 5</a:t></a:r><a:fld type="slidenum"><a:t>9</a:t></a:fld></a:p>'
    box = f"<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody>{number}</p:txBody></p:sp>"

    assert text_of(*(shape("off", kind=kind) for kind in ("dt", "ftr", "sldNum")), box) == "Chart 5\n\n"


def test_text_that_slides_repeat_at_the_same_position_is_kept_once() -> None:
    slides = [
        slide(
            shape(f"Pilots of the sound | {number} / 4", at=(10, 700)),
            shape("Berth 4", at=(10, 20)),
            shape(f"Depth {number * 3} m", at=(300, 20)),
        )
        for number in (1, 2, 3, 4)
    ]

    assert [text for _, text in outline(loaded("a.pptx", pptx_bytes(*slides)))] == [
        "# Slide 1\n\nPilots of the sound | 1 / 4\n\nBerth 4\n\nDepth 3 m",
        "# Slide 2\n\nDepth 6 m",
        "# Slide 3\n\nDepth 9 m",
        "# Slide 4\n\nDepth 12 m",
    ]


def test_hidden_slides_are_marked_and_hidden_shapes_omitted() -> None:
    data = pptx_bytes(
        slide(shape("Reserve", kind="title"), shape("Spare rope.", extra='hidden="1"'), attributes='show="0"'),
    )

    assert loaded("a.pptx", data).text == "# Slide 1 (hidden): Reserve\n\n"


def test_grouped_shapes_and_the_first_alternative_with_text_are_read() -> None:
    inner = f"<p:grpSp><p:nvGrpSpPr/>{shape('Buoy')}</p:grpSp>"
    alternatives = (
        f"<mc:AlternateContent><mc:Choice Requires='x'><p:pic/></mc:Choice><mc:Fallback>{shape('Beacon')}</mc:Fallback>"
        f"</mc:AlternateContent><mc:AlternateContent><mc:Choice Requires='y'>{shape('Perch')}</mc:Choice>"
        f"<mc:Fallback>{shape('Old perch')}</mc:Fallback></mc:AlternateContent>"
    )

    assert text_of(f"<p:grpSp><p:nvGrpSpPr/>{inner}{alternatives}</p:grpSp>") == "Buoy\n\nBeacon\n\nPerch\n\n"


def test_list_levels_bullets_and_line_breaks_are_kept() -> None:
    body = (
        "<a:p><a:r><a:t>Ropes</a:t></a:r></a:p>"
        '<a:p><a:pPr lvl="1"/><a:r><a:t>hemp</a:t></a:r><a:br/><a:r><a:t>or nylon</a:t></a:r></a:p>'
        "<a:p><a:pPr><a:buNone/></a:pPr><a:r><a:t>All</a:t></a:r><a:br/><a:r><a:t>tested</a:t></a:r></a:p>"
    )
    holder = "<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr><p:ph idx='1'/></p:nvPr></p:nvSpPr><p:spPr/>"

    assert text_of(f"{holder}<p:txBody>{body}</p:txBody></p:sp>") == "- Ropes\n  - hemp or nylon\nAll\ntested\n\n"


def cell(text: str, attributes: str = "") -> str:
    return f"<a:tc {attributes}><a:txBody>{paragraphs(text)}</a:txBody></a:tc>"


def test_a_table_becomes_rows_with_column_names_and_merged_cells_repeated() -> None:
    rows = (
        cell("Pilot") + cell("Year") + cell("Trips"),
        cell("Ines", 'rowSpan="2"') + cell("2031") + cell("40"),
        cell("", 'vMerge="1"') + cell("2032", 'gridSpan="2"') + cell("", 'hMerge="1"'),
    )
    table = f'<a:tbl><a:tblPr firstRow="1"/>{"".join(f"<a:tr>{row}</a:tr>" for row in rows)}</a:tbl>'

    assert text_of(graphic(table)) == "- Pilot: Ines; Year: 2031; Trips: 40\n- Pilot: Ines; Year: 2032\n\n"


def test_a_table_that_has_only_a_header_is_kept() -> None:
    table = f"<a:tbl><a:tr>{cell('Pilot')}{cell('Year')}</a:tr><a:tr>{cell('')}{cell('')}</a:tr></a:tbl>"

    assert text_of(graphic(table)) == "Pilot | Year\n\n"


def chart(*series: str) -> str:
    title = f"<c:title><c:tx><c:rich>{paragraphs('Trips by quarter')}</c:rich></c:tx></c:title>"
    plot = f"<c:plotArea><c:barChart>{''.join(series)}</c:barChart></c:plotArea>"
    return f"<c:chartSpace {OPEN_XML}><c:chart>{title}{plot}</c:chart></c:chartSpace>"


def points(name: str, values: list[str], form: str = "General") -> str:
    cached = "".join(f'<c:pt idx="{at}"><c:v>{value}</c:v></c:pt>' for at, value in enumerate(values))
    cache = f"<c:numCache><c:formatCode>{form}</c:formatCode>{cached}</c:numCache>"
    return f"<c:{name}><c:numRef>{cache}</c:numRef></c:{name}>"


def series(name: str, values: list[str], form: str = "General", categories: list[str] | None = None) -> str:
    label = f"<c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>{name}</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    return f"<c:ser>{label}{points('cat', categories or ['Q1', 'Q2'])}{points('val', values, form)}</c:ser>"


CHART_FRAME = graphic('<c:chart r:id="rId1"/>')
CHART_LINK = {1: [("rId1", "chart", "../charts/c.xml")]}


def test_a_chart_becomes_its_title_and_values_as_shown() -> None:
    data = pptx_bytes(
        slide(CHART_FRAME),
        links=CHART_LINK,
        parts={
            "ppt/charts/c.xml": chart(series("Trips", ["41", "7.30000000000001"]), series("Share", ["0.4", "1"], "0%"))
        },
    )

    assert loaded("a.pptx", data).text == (
        "# Slide 1\n\nTrips by quarter\n- Q1; Trips: 41; Share: 40%\n- Q2; Trips: 7.3; Share: 100%\n\n"
    )


def test_only_the_titles_of_a_chart_with_very_many_points_are_kept() -> None:
    numbers = [str(each) for each in range(5000)]
    data = pptx_bytes(
        slide(CHART_FRAME),
        links=CHART_LINK,
        parts={"ppt/charts/c.xml": chart(series("Depth", numbers, categories=numbers))},
    )

    assert loaded("a.pptx", data).text == "# Slide 1\n\nTrips by quarter\nDepth\n\n"


def test_a_diagram_becomes_a_list_in_the_order_of_its_connections() -> None:
    point = '<dgm:pt modelId="{0}"><dgm:t>{1}</dgm:t></dgm:pt>'
    data = (
        f'<dgm:dataModel {OPEN_XML}><dgm:ptLst><dgm:pt modelId="0" type="doc"/>{point.format(2, paragraphs("Second"))}'
        f"{point.format(1, paragraphs('First'))}{point.format(3, paragraphs('Below the first'))}"
        f'<dgm:pt modelId="4" type="pres"><dgm:t>{paragraphs("no")}</dgm:t></dgm:pt></dgm:ptLst><dgm:cxnLst>'
        '<dgm:cxn srcId="0" destId="2" srcOrd="1"/><dgm:cxn srcId="0" destId="1" srcOrd="0"/>'
        '<dgm:cxn srcId="1" destId="3" srcOrd="0"/><dgm:cxn srcId="3" destId="0" srcOrd="0"/>'
        "</dgm:cxnLst></dgm:dataModel>"
    )
    deck = pptx_bytes(
        slide(graphic('<dgm:relIds r:dm="rId1"/>')),
        links={1: [("rId1", "diagramData", "../diagrams/d.xml")]},
        parts={"ppt/diagrams/d.xml": data},
    )

    assert loaded("a.pptx", deck).text == "# Slide 1\n\n- First\n  - Below the first\n- Second\n\n"


def test_equations_become_linear_text() -> None:
    equation = (
        "<a:p><a:r><a:t>Speed is</a:t></a:r><mc:AlternateContent><mc:Choice Requires='a14'><a14:m><m:oMath><m:f><m:num>"
        "<m:r><m:t>s</m:t></m:r></m:num><m:den><m:r><m:t>t</m:t></m:r></m:den></m:f></m:oMath></a14:m></mc:Choice>"
        "<mc:Fallback><a:r><a:t> </a:t></a:r></mc:Fallback></mc:AlternateContent><a:r><a:t>, always.</a:t></a:r></a:p>"
    )
    box = f"<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody>{equation}</p:txBody></p:sp>"

    assert text_of(box) == "Speed is s/t, always.\n\n"


def test_strict_open_xml_is_read() -> None:
    entries = pptx_entries(slide(shape("Strictly.")))
    strict = {
        name: part.replace(
            "http://schemas.openxmlformats.org/presentationml/2006/", "http://purl.oclc.org/ooxml/presentationml/"
        )
        .replace("http://schemas.openxmlformats.org/drawingml/2006/", "http://purl.oclc.org/ooxml/drawingml/")
        .replace("http://schemas.openxmlformats.org/officeDocument/2006/", "http://purl.oclc.org/ooxml/officeDocument/")
        for name, part in entries.items()
        if isinstance(part, str)
    }

    assert loaded("a.pptx", zip_bytes(strict)).text == "# Slide 1\n\nStrictly.\n\n"


@pytest.mark.parametrize("suffix", ["pptm", "ppsx", "ppsm", "potx", "potm", "PPTX"])
def test_templates_slide_shows_and_macro_files_are_loaded_as_presentations(suffix: str) -> None:
    assert loaded(f"a.{suffix}", pptx_bytes(slide(shape("x")))).text == "# Slide 1\n\nx\n\n"


def test_a_presentation_without_text_gets_a_note() -> None:
    assert loaded("a.pptx", pptx_bytes()).notes == ("the document contains no text",)


@pytest.mark.fault("broken-slide")
def test_an_unreadable_slide_is_named_in_a_note_and_the_others_are_read() -> None:
    document = loaded("a.pptx", pptx_bytes(slide(shape("One.")), "<p:sld", slide(shape("Three."))))

    assert document.notes == ("cannot read slide 2",)
    assert [section.page for section in document.sections] == [1, 3]


def test_a_part_that_many_shapes_refer_to_is_read_once() -> None:
    data = pptx_bytes(
        slide(*[CHART_FRAME] * 500),
        links=CHART_LINK,
        parts={"ppt/charts/c.xml": chart(series("Trips", ["1", "2"]))},
    )

    assert loaded("a.pptx", data).text.count("Trips by quarter") == 1


def test_a_damaged_checksum_affects_only_its_slide() -> None:
    data = bytearray(pptx_bytes(slide(shape("Kept.")), slide(shape("Damaged."))))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        entry = archive.getinfo("ppt/slides/slide1.xml")
    data[entry.header_offset + 30 + len(entry.filename) + 40] ^= 0xFF

    document = loaded("a.pptx", bytes(data))

    assert (document.notes, [section.page for section in document.sections]) == (("cannot read slide 2",), [1])
