"""Answers from each text format, Word files and e-books cite the chapter, section, message or time.

`test_office_samples` and `test_sheet_samples` do the same for slides, sheets and files written by LibreOffice.
"""

import asyncio
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

import docx
import pytest

from streamrag_cli.events import Sources, Token
from streamrag_cli.model import Question
from streamrag_cli.render.source_rows import location
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection

_SENTENCE: Final = " The guide then describes the weather, the wind and the clouds above the hills for a while."
_FILLER: Final = _SENTENCE * 6
FACTS: Final = {
    "Canal lock": f"The canal lock opens at six in the morning and closes at dusk.{_FILLER}",
    "Cable ferry": f"The cable ferry carries at most twelve bicycles.{_FILLER}",
    "Reading room": f"Newspapers in the reading room are kept for ninety days.{_FILLER}",
}
"""The titles and texts of the sections. The texts are so long that no two of them are in the same chunk."""
QUESTIONS: Final = {
    "Canal lock": ("When does the canal lock open?", "six in the morning"),
    "Cable ferry": ("How many bicycles does the cable ferry carry?", "twelve bicycles"),
    "Reading room": ("How long are newspapers kept in the reading room?", "ninety days"),
}
TIMES: Final = ("00:01:00", "00:02:00", "00:03:00")


def sections(form: str) -> Callable[[], bytes]:
    """A document with a section for each fact. `form` is the source of a section."""
    return lambda: "\n\n".join(form.format(title=title, text=text) for title, text in FACTS.items()).encode()


def word_file() -> bytes:
    document = docx.Document()
    for title, text in FACTS.items():
        document.add_heading(title, level=1)
        document.add_paragraph(text)
    saved = io.BytesIO()
    document.save(saved)
    return saved.getvalue()


def e_book() -> bytes:
    items = "".join(
        f'<item id="c{at}" href="c{at}.xhtml" media-type="application/xhtml+xml"/>' for at in range(len(FACTS))
    )
    spine = "".join(f'<itemref idref="c{at}"/>' for at in range(len(FACTS)))
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "book.opf",
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
            f"<spine>{spine}</spine></package>",
        )
        for at, (title, text) in enumerate(FACTS.items()):
            page = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{title}</h1><p>{text}</p></body></html>'
            archive.writestr(f"c{at}.xhtml", page)
    return saved.getvalue()


def message(title: str, text: str) -> str:
    return f"From: Ida <ida@example.org>\nSubject: {title}\nDate: Mon, 6 May 2024 10:00:00 +0000\n\n{text}\n"


def one_message() -> bytes:
    """A message with one attached message for each fact after the first."""
    (title, text), *others = FACTS.items()
    attached = "".join(f"--x\nContent-Type: message/rfc822\n\n{message(*other)}\n" for other in others)
    head = message(title, "").replace("Date:", 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\nDate:')
    return f"{head.rstrip()}\n\n--x\nContent-Type: text/plain\n\n{text}\n{attached}--x--\n".encode()


def mailbox() -> bytes:
    mails = (f"From ida@example.org Mon May  6 10:00:00 2024\n{message(*fact)}\n" for fact in FACTS.items())
    return "".join(mails).encode()


def subtitles(form: str, begin: str = "") -> Callable[[], bytes]:
    """A cue for each fact, one minute apart. Each is as long as the passages that have their own timestamp."""
    spoken = (text.removesuffix(2 * _SENTENCE) for text in FACTS.values())
    cues = (
        form.format(number=number, time=f"00:0{number}:00", end=f"00:0{number}:50", text=text)
        for number, text in enumerate(spoken, start=1)
    )
    return (begin + "\n".join(cues)).encode


DOCUMENTS: Final[Mapping[str, Callable[[], bytes]]] = {
    "guide.docx": word_file,
    "guide.epub": e_book,
    "guide.eml": one_message,
    "guide.mbox": mailbox,
    "guide.srt": subtitles("{number}\n{time},000 --> {end},000\n{text}\n"),
    "guide.vtt": subtitles("{time}.000 --> {end}.000\n{text}\n", "WEBVTT\n\n"),
    "guide.tex": sections("\\section{{{title}}}\n{text}"),
    "guide.mdx": sections("## {title}\n\n<Note>\n{text}\n</Note>"),
    "guide.org": sections("* {title}\n{text}"),
    "guide.adoc": sections("== {title}\n\n{text}"),
    "guide.1": lambda: b".TH GUIDE 1\n" + sections(".SH {title}\n{text}")(),
}


@pytest.fixture(scope="module", params=DOCUMENTS)
def ingested(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Settings]:
    name: str = request.param
    return name, make_collection(tmp_path_factory.mktemp("guide"), {name: DOCUMENTS[name]()})


@pytest.mark.parametrize("title", FACTS)
def test_an_answer_cites_its_place(title: str, ingested: tuple[str, Settings]) -> None:
    name, settings = ingested
    question, quote = QUESTIONS[title]

    async def events() -> list[object]:
        return [event async for event in LocalService().ask(Question(text=question, accepted_at=0.0), settings)]

    happened = asyncio.run(events())
    first = next(event.sources[0] for event in happened if isinstance(event, Sources))

    assert quote in "".join(event.text for event in happened if isinstance(event, Token))
    place = TIMES[list(FACTS).index(title)] if name.endswith((".srt", ".vtt")) else title
    assert first.title.rpartition(" > ")[2] == place
    assert location(first).startswith(f"docs/{name}")
