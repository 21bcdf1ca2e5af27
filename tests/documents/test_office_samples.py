"""Sample files written by pandoc and LibreOffice are read and cited (`tools/make_office_samples.py`)."""

import asyncio
from pathlib import Path

import pytest

from streamrag_cli.events import Sources, Token
from streamrag_cli.model import Question
from streamrag_cli.render.source_rows import location
from streamrag_cli.service.interface import Selection
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.loading import loaded, outline

SAMPLES = Path(__file__).parent / "samples"
SLIDES = [
    ("Slide 1: Keeping the Skerry light", "# Slide 1: Keeping the Skerry light\n\nHarbour office"),
    (
        "Slide 2: Watches",
        "# Slide 2: Watches\n\n- Each watch lasts six hours.\n- Two keepers share the night watch.\n\n"
        "Notes:\nThe night watch is shared since the storm of 1987.",
    ),
    ("Slide 3: Lamp oil", "# Slide 3: Lamp oil\n\n- Month: April; Litres: 310\n- Month: May; Litres: 265"),
    (
        "Slide 4: The fog horn",
        "# Slide 4: The fog horn\n\nIt sounds for four seconds in every minute when the far pier cannot be seen.",
    ),
]
TABLE = "- Store: candles; Boxes: 14\n- Store: wicks; Boxes: 90"


@pytest.mark.parametrize("name", ["light-pandoc.pptx", "light-libreoffice.odp"])
def test_a_presentation_is_read_slide_by_slide_with_its_notes(name: str) -> None:
    document = loaded(name, (SAMPLES / name).read_bytes())

    assert (document.title, outline(document)) == ("Keeping the Skerry light", SLIDES)


def test_a_text_document_is_read_under_its_headings() -> None:
    document = loaded("a.odt", (SAMPLES / "handbook-libreoffice.odt").read_bytes())
    parts = outline(document)

    assert document.title == "The keeper’s handbook"
    assert [heading for heading, _ in parts] == ["", "Stores", "Visitors", "Visitors > By boat"]
    assert parts[1][1].endswith(f"on Thursdays.\n\nMatches are kept in the tin with the red lid.\n\n{TABLE}")
    assert parts[3][1] == ("## By boat\n\n- Visitors land at the south steps.\n\n- They leave before the tide turns.")


def test_an_equation_written_by_pandoc_becomes_linear_text() -> None:
    document = loaded("a.odt", (SAMPLES / "handbook-pandoc.odt").read_bytes())

    assert document.text.rstrip().split("\n")[-1] == "The climb takes t = h/v minutes."


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Settings]:
    """A collection for each sample that contains only this sample."""
    settings: dict[str, Settings] = {}
    for name in ("light-pandoc.pptx", "light-libreoffice.odp", "handbook-libreoffice.odt"):
        folder = tmp_path_factory.mktemp("samples")
        settings[name] = make_collection(folder, {name: (SAMPLES / name).read_bytes()})
    return settings


ON_SLIDES = [
    ("How long does a watch last?", "Each watch lasts six hours.", (2, "Slide 2: Watches")),
    ("How many litres of oil in May?", "Month: May; Litres: 265", (3, "Slide 3: Lamp oil")),
    ("For how many seconds does the fog horn sound?", "four seconds in every minute", (4, "Slide 4: The fog horn")),
]
IN_TEXT = [
    ("Where are the candles kept?", "Candles are kept in the lower vault.", (None, "Stores")),
    ("How many boxes of wicks are there?", "Store: wicks; Boxes: 90", (None, "Stores")),
    ("Where do visitors land?", "Visitors land at the south steps.", (None, "Visitors > By boat")),
]


@pytest.mark.parametrize(
    ("name", "question", "quote", "place"),
    [
        *(("light-pandoc.pptx", *each) for each in ON_SLIDES),
        *(("light-libreoffice.odp", *each) for each in ON_SLIDES),
        *(("handbook-libreoffice.odt", *each) for each in IN_TEXT),
    ],
)
def test_an_answer_names_the_slide_or_heading_of_its_source(
    name: str, question: str, quote: str, place: tuple[int | None, str], collections: dict[str, Settings]
) -> None:
    async def events() -> list[object]:
        request = Question(text=question, accepted_at=0.0)
        return [event async for event in LocalService().ask(request, collections[name])]

    happened = asyncio.run(events())
    first = next(event.sources[0] for event in happened if isinstance(event, Sources))

    assert quote in "".join(event.text for event in happened if isinstance(event, Token))
    assert (first.page, first.title.partition(" > ")[2]) == place
    assert location(first).endswith(name if place[0] is None else f"{name} slide {place[0]}")


@pytest.mark.parametrize("place", ["light-pandoc.pptx slide 3", "light-pandoc.pptx:p3"])
def test_a_slide_can_be_read_by_its_location(place: str, collections: dict[str, Settings]) -> None:
    passage = asyncio.run(LocalService().read(Selection(where=place), collections["light-pandoc.pptx"]))

    assert (passage.page, passage.text.strip()) == (3, SLIDES[2][1])
