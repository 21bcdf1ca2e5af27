"""Sample spreadsheets written by LibreOffice are read and cited (`tools/make_sheet_samples.py`)."""

import asyncio
from pathlib import Path

import pytest

from streamrag_cli.events import Sources, Token
from streamrag_cli.model import Question
from streamrag_cli.render.source_rows import location
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.loading import loaded, outline

SAMPLES = Path(__file__).parent / "samples"
TIMBER = [
    (
        "Timber by the piece > sheet Prices, rows 1, 4–6",
        "- Timber by the piece\n"
        "- Plank: larch, sawn; Length: 4; Price: 18.50 €; VAT: 19.0%; Valid from: 1 March 2024\n"
        "- Plank: oak, planed; Length: 3; Price: 1,240.00 €; VAT: 19.0%; Valid from: 15 June 2024\n"
        "- Plank: ash, steamed; Length: 2.5; Price: 77.25 €; VAT: 7.0%; Valid from: 30 November 2023",
    ),
    (
        "sheet Delivery, rows 2–3",
        "- Region: coast; Days: 2; Driver: Marit Holm\n- Region: islands; Days: 6; Driver: Olav Dahl",
    ),
]
SHEET_QUESTIONS = [
    ("What does a plank of oak, planed cost?", "1,240.00 €", "Timber by the piece > sheet Prices, row 5"),
    ("From when is the price of steamed ash valid?", "30 November 2023", "Timber by the piece > sheet Prices, row 6"),
    ("Who is the driver for the islands?", "Olav Dahl", "sheet Delivery, row 3"),
]
RTF_QUESTIONS = [
    ("How much is a cut?", "Boards are cut to length for two euros a cut.", "Cutting"),
    ("For how many months is ash stored in the south shed?", "Wood: ash; Shed: south shed; Months: 9", "Storage"),
    ("Until when are uncut boards taken back?", "Uncut boards are taken back within thirty days.", "Returns"),
]


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Settings]:
    names = ("timber-libreoffice.xlsx", "timber-libreoffice.ods", "yard-libreoffice.rtf")
    return {
        name: make_collection(tmp_path_factory.mktemp("samples"), {name: (SAMPLES / name).read_bytes()})
        for name in names
    }


@pytest.mark.fault("spreadsheets")
@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
def test_the_excel_and_opendocument_samples_have_the_same_rows(suffix: str) -> None:
    name = f"timber-libreoffice.{suffix}"

    assert outline(loaded(name, (SAMPLES / name).read_bytes())) == TIMBER


@pytest.mark.fault("spreadsheets", "rtf")
@pytest.mark.parametrize(
    ("name", "question", "quote", "place"),
    [
        *(("timber-libreoffice.xlsx", *each) for each in SHEET_QUESTIONS),
        *(("timber-libreoffice.ods", *each) for each in SHEET_QUESTIONS),
        *(("yard-libreoffice.rtf", *each) for each in RTF_QUESTIONS),
    ],
)
def test_an_answer_names_the_row_or_heading_of_its_source(
    name: str, question: str, quote: str, place: str, collections: dict[str, Settings]
) -> None:
    async def events() -> list[object]:
        request = Question(text=question, accepted_at=0.0)
        return [event async for event in LocalService().ask(request, collections[name])]

    happened = asyncio.run(events())
    first = next(event.sources[0] for event in happened if isinstance(event, Sources))

    assert quote in "".join(event.text for event in happened if isinstance(event, Token))
    assert first.title.partition(" > ")[2] == place
    row = place.rpartition(" > ")[2]
    assert location(first).endswith(name if name.endswith(".rtf") else f"{name} {row}")
