"""The sample documents answer simple questions, and the transcripts show what the program really prints."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from streamrag_cli.errors import ExitCode
from streamrag_cli.events import AskEvent, Error, Sources, Token
from streamrag_cli.model import Question
from streamrag_cli.service.local import WarmLocalService
from streamrag_cli.settings import Settings
from tests.support.collection import QUESTION
from tests.support.command_line import ROOT
from tools.make_transcripts import Session, pages, session_with_engine, with_real_output

pytestmark = pytest.mark.timeout(400)  # the first test ingests the documents and runs all transcripts
ANSWERS = {
    QUESTION: ("tenant-faq.html", "within three months"),
    "How high is the deposit for the flat?": ("lease.pdf", "2,790 euros"),
    "How much notice do I have to give when I move out?": ("tenant-faq.html", "three months to the end of a month"),
    "Am I allowed to keep a dog?": ("lease.pdf", "needs the landlord's consent"),
    "Who pays for small repairs?": ("lease.pdf", "The tenants pay for small repairs"),
    "What was the reading of the electricity meter?": ("handover-record.docx", "48,213 kWh"),
    "Where is the scratch in the worktop?": ("handover-record.docx", "scratch of 12 cm"),
    "How often do I descale the machine if the water is hard?": ("espresso-machine.md", "4 weeks"),
    "Why does my espresso have no crema?": ("espresso-machine.md", "use fresher beans"),
    "How long is the warranty of the espresso machine?": ("espresso-machine.md", "two years"),
    "What does E18 mean?": ("washing-machine.txt", "the water does not drain"),
    "How often should I clean the lint filter of the washing machine?": ("washing-machine.txt", "every two months"),
    "How much flour goes into the pancakes?": ("cookbook.md", "250 g of flour"),
    "How long do I bake the potato gratin?": ("cookbook.md", "60 minutes"),
    "What does a full bike service cost in 2025?": ("bike-prices-2025.csv", "price in euros: 98"),
    "What did a full bike service cost in 2024?": ("bike-prices-2024.csv", "price in euros: 89"),
    "How often do I water the Boston fern?": ("plant-care.csv", "every 2 days"),
    "How much money do we get back from the statement for 2024?": ("heating-bill-2024.txt", "131.60 euros"),
    "When is the summer party?": ("tenants-meeting.md", "21 June 2025"),
    "What does a laundry token cost from 1 April 2025?": ("tenants-meeting.md", "2.50 euros"),
    "When are the quiet hours?": ("house-rules.rst", "from 22:00 to 7:00"),
    "May I use a charcoal grill on the balcony?": ("house-rules.rst", "charcoal and gas are not"),
    "How much food does the cat get in the morning?": ("house-sitter.md", "60 g, half a pouch"),
    "What do adults who cannot swim pay for the swimming course?": ("swimming-course.md", "144 euros"),
    "What is the notice period of the internet contract?": ("contracts.json", "one month"),
    "How much electricity did we use in 2024?": ("electricity-use.ipynb", "2,184 kWh"),
    "How far does the electric bike go in Turbo in the hills?": ("electric-bike.md", "32 km"),
    "What is the excess of the household insurance?": ("household-insurance.md", "150 euros"),
    "How many points is a lantern in the lighthouse worth?": ("board-game-rules.txt", "4 points"),
    "What does it cost to return a library book late?": ("library.html", "20 cents a day"),
    "Wann bekomme ich die Kaution zurück?": ("mietvertrag-garage.docx", "innerhalb von sechs Wochen zurück"),
    "Wie lang ist die Kündigungsfrist für die Garage?": ("mietvertrag-garage.docx", "einen Monat zum Monatsende"),
    "Was kostet eine Kilowattstunde Strom ab Januar 2025?": ("stadtwerke-brief.txt", "29,8 Cent"),
    "Wann wird das Papier abgeholt?": ("abfallkalender.md", "am zweiten Freitag im Monat"),
}
"""The file of source 1 for each question, and a text in the quotes."""
UNANSWERED = (
    "Who won the chess championship in 1972?",
    "How do I prune an apple tree?",
    "Wie hoch ist der höchste Berg in Peru?",
)


_VARYING = re.compile(r"\d[\d,.]* (?:min \d+ )?m?s\b|(?<=^continuing conversation )\w+", re.MULTILINE)
"""Times and the id of a conversation."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A user with a folder of sample documents. `transcripts` ingests them, as README.md does."""
    with session_with_engine() as session:
        yield session


@pytest.fixture(scope="module")
def transcripts(session: Session) -> dict[Path, str]:
    """The text of each page with its commands' output in this run."""
    return {page: with_real_output(page.read_text(encoding="utf-8"), session.output) for page in pages()}


@pytest.fixture(scope="module")
def events(session: Session, transcripts: dict[Path, str]) -> dict[str, list[AskEvent]]:
    """The events for each question. No model is configured."""
    assert transcripts
    settings = Settings(store=session.user.store)

    async def ask_all() -> dict[str, list[AskEvent]]:
        service, answers = WarmLocalService(), {}
        for text in (*ANSWERS, *UNANSWERED):
            async with aclosing(service.ask(Question(text=text, accepted_at=0.0), settings)) as answer:
                answers[text] = [event async for event in answer]
        await service.aclose()
        return answers

    return asyncio.run(ask_all())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_transcript_shows_what_its_commands_print(transcripts: dict[Path, str], page: Path) -> None:
    written = page.read_text(encoding="utf-8")

    assert _VARYING.sub("TIME", written) == _VARYING.sub("TIME", transcripts[page]), "run: make transcripts"


def test_the_time_next_to_the_slogan_matches_the_transcript() -> None:
    above, _, below = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Install")
    (next_to_slogan,) = re.findall(r"starts at once \(first words after ([\d.,]+ m?s)", above)

    assert below
    assert re.findall(r"^first words ([\d.,]+ m?s)", above, re.MULTILINE) == [next_to_slogan]


@pytest.mark.parametrize("question", ANSWERS)
def test_source_1_is_the_right_document_and_the_quotes_contain_the_answer(
    events: dict[str, list[AskEvent]], question: str
) -> None:
    (sources,) = [event for event in events[question] if isinstance(event, Sources)] or [Sources(sources=())]
    quotes = "".join(event.text for event in events[question] if isinstance(event, Token))
    file, text = ANSWERS[question]

    assert [Path(source.source).name for source in sources.sources[:1]] == [file]
    assert text in quotes


@pytest.mark.parametrize("question", UNANSWERED)
def test_an_off_topic_question_gets_no_answer(events: dict[str, list[AskEvent]], question: str) -> None:
    end = events[question][-1]

    assert isinstance(end, Error)
    assert end.exit_code == ExitCode.NOTHING_RELEVANT
