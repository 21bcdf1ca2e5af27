import contextlib

import pytest

from streamrag_cli.documents.loaders.rtf import load_rtf
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline


def rtf(body: str, *, fonts: str = r"{\f0\fswiss Arial;}", tables: str = "") -> bytes:
    return (r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl" + fonts + "}" + tables + body + "}").encode("latin-1")


def row(*cells: str) -> str:
    return r"\trowd\cellx1\cellx2\cellx3\intbl " + "".join(f"{cell}\\cell " for cell in cells) + r"\row"


def text_of(body: str, **more: str) -> str:
    return loaded("a.rtf", rtf(body, **more)).text


@pytest.mark.fault("rtf")
def test_paragraphs_with_heading_styles_or_outline_levels_are_headings() -> None:
    styles = r"{\stylesheet{\s0 Normal;}{\s4\sbasedon0 heading 2;}{\*\cs9 Strong;}{\s5\outlinelevel2 Own;}{\s6 Title;}}"
    body = (
        r"\pard\s6 Harbour rules\par\pard\s4 Berths\par\pard\s0 One per boat.\par"
        r"\pard\s5 Guests\par\pard Two nights.\par{\pard\outlinelevel1\b Fees\par}\pard Paid daily.\par"
    )
    document = loaded("a.rtf", rtf(body, tables=styles))

    assert document.title == "Harbour rules"
    assert outline(document) == [
        ("", "# Harbour rules"),
        ("Berths", "## Berths\n\nOne per boat."),
        ("Berths > Guests", "### Guests\n\nTwo nights."),
        ("Fees", "## Fees\n\nPaid daily."),
    ]


@pytest.mark.fault("rtf")
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"Caf\'e9 \endash  5 \'80", "Café – 5 €"),
        (r"{\f1 \'cf\'f0\'e8\'e2\'e5\'f2}!", "Привет!"),
        (r"{\f2\'93\'fa\'96\'7b}", "日本"),
        (r"{\uc2\u8364 EU}\u176?C", "€°C"),
        (r"\u-10179?\u-8704? \u8217\'92s", "😀 ’s"),
        (r"{\upr{a}{\*\ud{\u261?}}}", "ą"),
        (r"soft\-hyphen, non\_breaking\~space, 50\% \{x\}", "softhyphen, non‑breaking\xa0space, 50 {x}"),
        ("one\\\ntwo", "one\n\ntwo"),
        (r"a\bin3 \}}b", "ab"),
    ],
)
def test_rtf_escapes_and_code_pages_are_decoded(body: str, text: str) -> None:
    fonts = r"{\f0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 Mincho;}"

    assert text_of(body, fonts=fonts) == f"{text}\n\n"


@pytest.mark.fault("rtf")
@pytest.mark.parametrize(
    "hidden",
    [
        r"{\v secret}", r"\v secret\v0 ", r"{\deleted secret}", r"{\pict\wmetafile8 secret}", r"{\header secret\par}",
        r"{\*\generator secret;}", r"{\object{\*\objdata 00}{\result secret}}", r"{\*\annotation secret}",
        r"{\xe secret}", r"{\field{\*\fldinst secret}{\fldrslt }}", r"{\info{\author secret}}",
        r"{\*\unknown{\b secret}}", r"{\nonshppict{\pict secret}}",
    ],
)  # fmt: skip
def test_hidden_text_and_metadata_are_omitted(hidden: str) -> None:
    assert text_of(f"Moor {hidden}here.") == "Moor here.\n\n"


@pytest.mark.fault("rtf")
def test_rows_of_a_table_repeat_the_column_names() -> None:
    rows = row("Boat", "Length", "Berth") + row("yawl", "9", r"A\par 1") + row("skiff", "4", "")

    assert text_of(f"Before.\\par {rows}\\pard After.\\par") == (
        "Before.\n\n- Boat: yawl; Length: 9; Berth: A 1\n- Boat: skiff; Length: 4\n\nAfter.\n\n"
    )


def test_lists_notes_links_and_text_boxes_are_read() -> None:
    body = (
        r"{\listtext\'b7\tab}a rope\par{\pntext 2.\tab}a bell\par\pard See "
        r"{\field{\*\fldinst HYPERLINK}{\fldrslt the plan}}"
        r"{\footnote\pard\plain\chftn  Kept ashore.}"
        r"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt\pard In a box.\par}}}.\par"
    )

    assert text_of(body) == "- a rope\n\n2. a bell\n\nSee the plan.\n\nKept ashore.\n\nIn a box.\n\n"


def test_the_title_in_the_properties_names_the_document() -> None:
    assert loaded("a.rtf", rtf("x", tables=r"{\info{\title Tide \'e0 la carte}}")).title == "Tide à la carte"


@pytest.mark.fault("rtf")
@pytest.mark.parametrize(
    "data",
    [b"", b"plain text", b"\xd0\xcf\x11\xe0", rtf("x" * 50)[:-9], rtf("{" * 100_000)],
    ids=["empty", "text", "old Word", "cut off", "nested"],
)
def test_a_broken_file_is_reported_as_corrupt(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        load_rtf("/docs/a.rtf", data)

    assert caught.value.code == "corrupt"


@pytest.mark.fault("rtf")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "body",
    [
        "{}" * 200_000,
        r"\cell" * 200_000,
        r"\row" * 200_000,
        r"\par" * 200_000,
        r"\u9?" * 200_000,
        r"\uc99999 \u1 x",
        r"\bin999999999 x",
    ],
    ids=["groups", "cells", "rows", "paragraphs", "characters", "skipped", "binary"],
)
def test_hostile_rtf_is_read_or_rejected_quickly(body: str) -> None:
    with contextlib.suppress(DocumentError):
        loaded("a.rtf", rtf(body))
