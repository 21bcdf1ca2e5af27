"""OpenDocument text documents and presentations are loaded with their visible text."""

import pytest

from tests.support.loading import loaded, outline
from tests.support.office_files import flat_odf, odf_bytes, odf_content


def text_of(body: str, styles: str = "", **parts: str) -> str:
    return loaded("a.odt", odf_bytes("text", body, styles=styles, parts=parts)).text


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def footnote(text: str) -> str:
    return (
        f"<text:note><text:note-citation>1</text:note-citation><text:note-body>{p(text)}</text:note-body></text:note>"
    )


def test_paragraphs_and_tables_come_in_reading_order_under_their_headings() -> None:
    body = (
        '<text:h text:outline-level="1">Sails</text:h><text:p>Dry   them.<text:tab/>Fold<text:s text:c="2"/>them.'
        "<text:line-break/>Then wait.</text:p>"
        '<text:list><text:list-item><text:h text:outline-level="2">Jib</text:h></text:list-item></text:list>'
        "<text:section><text:p>Forward.</text:p></text:section>"
    )

    document = loaded("a.odt", odf_bytes("text", body, title="The sailmaker"))

    assert (document.title, document.line_numbers) == ("The sailmaker", None)
    assert outline(document) == [
        ("Sails", "# Sails\n\nDry them.\tFold  them.\nThen wait."),
        ("Sails > Jib", "## Jib\n\nForward."),
    ]


def test_a_title_paragraph_names_the_document() -> None:
    style = '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
    document = loaded("a.odt", odf_bytes("text", '<text:p text:style-name="P1">Knots</text:p>', styles=style))

    assert (document.title, document.text) == ("Knots", "# Knots\n\n")


def test_only_the_first_paragraph_of_a_list_item_has_a_bullet() -> None:
    nested = "<text:list><text:list-item><text:p>Bowline</text:p></text:list-item></text:list>"
    body = (
        f"<text:list><text:list-header>{p('Knots:')}</text:list-header>"
        f"<text:list-item>{p('Loops')}{p('Never slip.')}{nested}</text:list-item></text:list>"
    )

    assert text_of(body) == "Knots:\n\n- Loops\n\nNever slip.\n\n- Bowline\n\n"


def test_notes_and_text_boxes_follow_their_paragraph() -> None:
    note = footnote("In wind.")
    box = f"<draw:frame><svg:title>A</svg:title><draw:text-box>{p('Boxed.')}</draw:text-box></draw:frame>"
    shapes = f"<draw:g><draw:custom-shape>{p('Drawn.')}</draw:custom-shape></draw:g>"

    assert (
        text_of(f"<text:p>Reef{note} early{box}{shapes}.</text:p>") == "Reef early.\n\nIn wind.\n\nBoxed.\n\nDrawn.\n\n"
    )


@pytest.mark.parametrize(
    "hidden",
    [
        f"<text:tracked-changes><text:changed-region><text:deletion>{p('x')}</text:deletion></text:changed-region>"
        "</text:tracked-changes>",
        f"<text:table-of-content><text:index-body>{p('x')}</text:index-body></text:table-of-content>",
        f"<text:alphabetical-index><text:index-body>{p('x')}</text:index-body></text:alphabetical-index>",
        f'<text:section text:display="none">{p("x")}</text:section>',
        '<text:p><text:hidden-paragraph text:is-hidden="true"/>x</text:p>',
        '<text:p><text:hidden-text text:is-hidden="true">x</text:hidden-text></text:p>',
        f"<text:p><office:annotation>{p('x')}</office:annotation></text:p>",
        '<text:p text:style-name="Contents_20_1">x</text:p>',
        '<text:p text:style-name="P1">x</text:p>',
        '<text:p><text:span text:style-name="T1">x</text:span></text:p>',
        "<office:forms>x</office:forms>",
    ],
    ids=[
        "deleted", "contents", "index", "section", "paragraph", "text", "comment", "contents style", "hidden paragraph",
        "hidden span", "form",
    ],
)  # fmt: skip
def test_hidden_text_and_tables_of_contents_are_omitted(hidden: str) -> None:
    style = '<style:style style:name="{}" style:family="{}"><style:text-properties text:display="none"/></style:style>'

    text = text_of(p("Before.") + hidden + p("After."), style.format("P1", "paragraph") + style.format("T1", "text"))

    assert text == "Before.\n\nAfter.\n\n"


def test_inserted_text_and_the_bibliography_are_kept() -> None:
    body = (
        '<text:p>Two <text:change-start text:change-id="c"/>strong <text:change-end text:change-id="c"/>ropes.</text:p>'
        f"<text:bibliography><text:index-body>{p('Ashley, 1944.')}</text:index-body></text:bibliography>"
    )

    assert text_of(body) == "Two strong ropes.\n\nAshley, 1944.\n\n"


def row(*texts: str, head: bool = False) -> str:
    cells = "".join(f"<table:table-cell>{p(text)}</table:table-cell>" for text in texts)
    line = f"<table:table-row>{cells}</table:table-row>"
    return f"<table:table-header-rows>{line}</table:table-header-rows>" if head else line


def test_a_table_becomes_rows_with_column_names_and_merged_cells_repeated() -> None:
    merged = (
        f'<table:table-row><table:table-cell table:number-rows-spanned="2">{p("Hemp")}</table:table-cell>'
        f"<table:table-cell>{p('12 mm')}</table:table-cell></table:table-row>"
        f"<table:table-row><table:covered-table-cell/><table:table-cell>{p('16 mm')}</table:table-cell>"
        '</table:table-row><table:table-row table:visibility="collapse"><table:table-cell>'
        f"{p('hidden')}</table:table-cell></table:table-row>"
    )

    assert text_of(f"<table:table>{row('Rope', 'Size', head=True)}{merged}</table:table>") == (
        "- Rope: Hemp; Size: 12 mm\n- Rope: Hemp; Size: 16 mm\n\n"
    )


def test_notes_in_cells_and_nested_tables_are_kept() -> None:
    inner = f"<table:table>{row('One', 'Two')}{row('3', '4')}</table:table>"
    hemp = p("Hemp" + footnote("wet"))
    body = (
        f"<table:table>{row('Rope', 'Load')}<table:table-row><table:table-cell>{hemp}{inner}</table:table-cell>"
        f"<table:table-cell>{p('900')}</table:table-cell></table:table-row></table:table>"
    )

    assert text_of(body) == "- Rope: Hemp wet; Load: 900\n\n- One: 3; Two: 4\n\n"


def test_a_table_with_one_column_or_long_texts_is_read_as_text() -> None:
    long = p("word " * 60) + p("more " * 60)
    cells = f"<table:table-cell>{long}</table:table-cell>" * 2
    layout = f"<table:table-row>{cells}</table:table-row>"

    assert text_of(f"<table:table>{row('First.')}{row('Second.')}</table:table>") == "First.\n\nSecond.\n\n"
    assert text_of(f"<table:table>{layout}{layout}</table:table>").count("\n\n") == 8


FORMULA = (
    "<math:math><math:semantics><math:mrow><math:mi>v</math:mi><math:mo>=</math:mo><math:mfrac><math:mi>s</math:mi>"
    "<math:mi>t</math:mi></math:mfrac><math:msup><math:mi>k</math:mi><math:mn>2</math:mn></math:msup></math:mrow>"
    "<math:annotation>v = s over t</math:annotation></math:semantics></math:math>"
)


def test_equations_become_linear_text_inside_their_sentence() -> None:
    frame = '<draw:frame><draw:object xlink:href="./Object 1"/><draw:image/></draw:frame>'
    formula = FORMULA.replace("<math:math>", '<math:math xmlns:math="http://www.w3.org/1998/Math/MathML">', 1)

    text = text_of(f"<text:p>Speed{frame}, always.</text:p>", **{"Object 1/content.xml": formula})

    assert text == "Speed v = s/tk^2, always.\n\n"


@pytest.mark.parametrize("inside", ["", "<text:p/>"])
def test_a_chart_becomes_its_title_and_values(inside: str) -> None:
    table = f"<table:table>{row('', 'Load', head=True)}{row('Hemp', '900')}{row('Nylon', '2100')}</table:table>"
    chart = odf_content("chart", f"<chart:chart><chart:title>{p('Loads')}</chart:title>{table}</chart:chart>")
    frame = f'<draw:frame><draw:object xlink:href="Object 7/">{inside}</draw:object></draw:frame>'

    text = text_of(f"<text:p>{frame}{frame}</text:p>", **{"Object 7/content.xml": chart})

    assert text == "Loads\n\n- Hemp; Load: 900\n- Nylon; Load: 2100\n\n"


def test_flat_files_are_read_with_their_equations() -> None:
    body = f"<text:p>A rope.</text:p><text:p>x<draw:frame><draw:object>{FORMULA}</draw:object></draw:frame></text:p>"
    document = loaded("a.fodt", flat_odf("text", body, title="Ropes"))

    assert (document.title, document.text) == ("Ropes", "A rope.\n\nx v = s/tk^2\n\n")


def test_templates_are_loaded_as_text_documents() -> None:
    assert loaded("a.ott", odf_bytes("text", p("x"))).text == "x\n\n"


def test_a_document_with_duplicate_ids_is_read() -> None:
    items = "".join(
        f'<text:list xml:id="list1"><text:list-item>{p(word)}</text:list-item></text:list>' for word in "ab"
    )

    assert text_of(items) == "- a\n\n- b\n\n"


@pytest.mark.parametrize("suffix", ["odt", "odp", "fodt", "fodp"])
def test_an_empty_document_gets_a_note(suffix: str) -> None:
    kind = "text" if suffix.endswith("t") else "presentation"
    data = flat_odf(kind, "") if suffix.startswith("f") else odf_bytes(kind, "")

    assert loaded(f"a.{suffix}", data).notes == ("the document contains no text",)


def page(*shapes: str, notes: str = "", style: str = "") -> str:
    shown = "".join(shapes)
    return f'<draw:page draw:style-name="{style}">{shown}<presentation:notes>{notes}</presentation:notes></draw:page>'


def box(content: str, attributes: str = "") -> str:
    return f"<draw:frame {attributes}><draw:text-box>{content}</draw:text-box></draw:frame>"


def items(*texts: str, below: str = "") -> str:
    return f"<text:list>{''.join(f'<text:list-item>{p(text)}{below}</text:list-item>' for text in texts)}</text:list>"


PAGES = (
    page(box(p("Ropes"), 'presentation:class="title"'), box(p("A talk"), 'presentation:class="subtitle"'))
    + page(
        box(items("Hemp", below=items("wet"))),
        box(p("Kinds<text:line-break/>of rope"), 'presentation:class="title"'),
        f"<draw:frame><table:table>{row('Rope', 'Load', 'Year')}{row('Hemp', '9', '2031')}</table:table></draw:frame>",
        box(p("Click to add text"), 'presentation:class="outline" presentation:placeholder="true"'),
        box(p("1 May"), 'presentation:class="date-time"'),
        box(p("Page <text:page-number>2</text:page-number>")),
        notes="<draw:page-thumbnail/>" + box(p("Show the sample."), 'presentation:class="notes"'),
    )
    + page(f"<draw:g><draw:rect>{p('Grouped')}</draw:rect></draw:g>", style="dp2")
)
HIDDEN = (
    '<style:style style:name="dp2" style:family="drawing-page"><style:drawing-page-properties '
    'presentation:visibility="hidden"/></style:style>'
)
SLIDES = [
    ("Slide 1: Ropes", "# Slide 1: Ropes\n\nA talk"),
    (
        "Slide 2: Kinds of rope",
        "# Slide 2: Kinds of rope\n\n- Hemp\n  - wet\n\n- Rope: Hemp; Load: 9; Year: 2031\n\nPage\n\n"
        "Notes:\nShow the sample.",
    ),
    ("Slide 3 (hidden)", "# Slide 3 (hidden)\n\nGrouped"),
]


@pytest.mark.parametrize("suffix", ["odp", "otp", "fodp"])
def test_each_slide_is_a_section_with_its_number_title_and_notes(suffix: str) -> None:
    make = flat_odf if suffix == "fodp" else odf_bytes
    document = loaded(f"a.{suffix}", make("presentation", PAGES, styles=HIDDEN))

    assert (document.title, document.line_numbers) == ("Ropes", None)
    assert [section.page for section in document.sections] == [1, 2, 3]
    assert outline(document) == SLIDES


def test_repeated_slide_text_is_kept_once_but_repeated_tables_are_all_kept() -> None:
    at = 'svg:x="1cm" svg:y="2cm"'
    table = f"<draw:frame {at}><table:table>{row('Rope', 'Load')}{row('Hemp', '9')}</table:table></draw:frame>"

    document = loaded("a.odp", odf_bytes("presentation", page(box(p("Chandlery"), at), table) * 3))

    assert document.text.count("Chandlery") == 1
    assert document.text.count("- Rope: Hemp; Load: 9") == 3
