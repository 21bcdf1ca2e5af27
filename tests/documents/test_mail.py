import time
from email.message import EmailMessage

import pytest

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.loaders.mail import load_mailbox
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded, outline
from tests.support.office_files import pptx_bytes, shape, slide
from tests.support.pdf_bytes import pdf_bytes


def message(subject: str, text: str) -> EmailMessage:
    built = EmailMessage()
    built["Subject"], built["From"] = subject, "Ida Öhm <ida@forge.example>"
    built["Date"] = "Mon, 03 Feb 2031 10:00:00 +0000"
    built.set_content(text, charset="iso-8859-1", cte="quoted-printable")
    return built


def test_a_message_has_its_subject_sender_date_and_text() -> None:
    built = message("Zangen für den Neubau", "Die Zangen kommen am Fünften.\n")
    built.add_alternative("<p>Not this</p>", subtype="html")
    built.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Preisliste ä.pdf")

    document = loaded("a.eml", built.as_bytes())

    assert document.title == "Zangen für den Neubau"
    assert outline(document) == [
        (
            "Zangen für den Neubau",
            "# Zangen für den Neubau\n\n- From: Ida Öhm <ida@forge.example>\n"
            "- Date: Mon, 03 Feb 2031 10:00:00 +0000\n\n"
            "Die Zangen kommen am Fünften.\n\nAttachments: Preisliste ä.pdf",
        )
    ]


def test_html_is_read_if_there_is_no_plain_text() -> None:
    built = EmailMessage()
    built["Subject"] = "Prices"
    built.set_content("<style>p{}</style><p>Tongs are <b>3</b> euros.</p>", subtype="html")

    assert "Tongs are 3 euros." in loaded("a.eml", built.as_bytes()).text.split("\n")


def test_an_attached_message_becomes_a_subsection() -> None:
    outer = message("Fwd", "See below.\n")
    outer.add_attachment(message("The first offer", "Three euros.\n"))

    assert [path for path, _ in outline(loaded("a.eml", outer.as_bytes()))] == ["Fwd", "Fwd > The first offer"]


@pytest.mark.parametrize("boundary", ["----=_NextPart_1", '"----=_NextPart_1"', '"another boundary"'])
def test_a_message_with_a_malformed_boundary_keeps_its_text(boundary: str) -> None:
    source = (
        f"Subject: Prices\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary={boundary}\n\n"
        "------=_NextPart_1\nContent-Type: text/plain\n\nTongs cost three euros.\n------=_NextPart_1--\n"
    )

    assert "Tongs cost three euros." in loaded("a.eml", source.encode()).text.split("\n")


@pytest.mark.fault("mail-attachments")
def test_messages_that_are_nested_too_deeply_are_reported() -> None:
    built = message("Level 7", "Innermost.\n")
    for level in range(6, 0, -1):
        outer = message(f"Level {level}", "See below.\n")
        outer.add_attachment(built)
        built = outer

    document = loaded("a.eml", built.as_bytes())

    assert [path.split(" > ")[-1] for path, _ in outline(document)] == [f"Level {level}" for level in range(1, 6)]
    assert document.notes == ("1 attachment could not be read: Level 6",)


def test_slide_numbers_in_an_attachment_are_not_repeated() -> None:
    data = pptx_bytes(*(slide(shape(name, kind="title")) for name in ("Anvils", "Tongs")))

    paths = [path for path, _ in outline(loaded("a.eml", with_files(talk__pptx=data)))]

    assert paths == ["Papers", "Papers > talk.pptx > Slide 1: Anvils", "Papers > talk.pptx > Slide 2: Tongs"]


def test_each_message_of_a_mailbox_is_a_section_with_its_line_number() -> None:
    first, second = (message(f"No. {number}", "Text.\nFrom here on\n").as_bytes() for number in (1, 2))
    box = b"From a@b Mon Feb  3 10:00:00 2031\n" + first + b"\nFrom a@b Mon Feb  3 11:00:00 2031\n" + second

    document = loaded("a.mbox", box)

    assert [path for path, _ in outline(document)] == ["No. 1", "No. 2"]
    assert document.line_numbers is not None
    assert sorted(set(document.line_numbers)) == [1, first.count(b"\n") + 3]


@pytest.mark.fault("mail-broken")
@pytest.mark.parametrize(
    "data",
    [
        b"Subject: =?nonsense?q?=ff?=\nContent-Type: text/plain; charset=no-such\n\ntext \xe9\n",
        b"Subject: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        b"Subject: a\nContent-Transfer-Encoding: base64\n\n!!!!\n",
        b"Subject: " + b"x" * 100_000 + b"\n\ntext\n",
        b"Date: \xff\xff\nFrom: <<<>\nTo: ,,,;:\n\ntext\n",
        b"Subject: a\nContent-Disposition: attachment; filename*=utf-8''%ff%00\n\ntext\n",
    ],
)
def test_malformed_mail_is_loaded_without_an_error(data: bytes) -> None:
    assert loaded("a.eml", data).text.startswith("# ")


@pytest.mark.fault("mail-broken")
@pytest.mark.parametrize("header", ["From: " + "a, " * 30_000, "Content-Type: text/plain;" + "a=b;" * 20_000])
def test_very_long_headers_are_parsed_in_linear_time(header: str) -> None:
    begun_s = time.process_time()
    document = loaded("a.eml", f"Subject: lamps\n{header}\n\noil\n".encode())

    assert document.text.endswith("oil")
    assert time.process_time() - begun_s < 2


@pytest.mark.fault("mail-broken")
def test_the_messages_of_a_mailbox_are_separated_in_linear_time() -> None:
    begun_s = time.process_time()
    document = loaded("a.mbox", b"From ida 2031\nSubject: lamps\n\nFrom " + b"1" * 60_000 + b"\n\noil\n")

    assert document.text.endswith("oil")
    assert time.process_time() - begun_s < 1


@pytest.mark.fault("mail-broken")
def test_a_file_that_is_not_mail_is_reported_as_corrupt() -> None:
    for name in ("a.eml", "a.mbox"):
        with pytest.raises(DocumentError) as caught:
            loaded(name, b"just text\n")
        assert caught.value.code == "corrupt"


def test_each_short_message_is_one_chunk_under_its_subject() -> None:
    mails = [("Boats", "ann", "The boat is blue."), ("Re: Boats", "ben", "It is green."), ("Re: Boats", "cy", "No.")]
    mailbox = "".join(
        f"From x@y Mon Jan  1 00:00:00 2024\nSubject: {subject}\nFrom: {sender}@y.org\n\n{text}\n\n"
        for subject, sender, text in mails
    )

    chunks = list(chunk(load_mailbox("m.mbox", mailbox.encode())))

    assert [(each.title, each.text) for each in chunks] == [
        (subject, f"# {subject}\n\n- From: {sender}@y.org\n\n{text}") for subject, sender, text in mails
    ]


def with_files(**files: bytes) -> bytes:
    built = EmailMessage()
    built["Subject"] = "Papers"
    built.set_content("See the files.\n")
    for name, data in files.items():
        built.add_attachment(data, maintype="application", subtype="octet-stream", filename=name.replace("__", "."))
    return built.as_bytes()


def test_attached_files_are_read_by_the_loaders_of_their_formats() -> None:
    document = loaded(
        "a.eml",
        with_files(offer__pdf=pdf_bytes([["Tongs: 3 euros."], ["Anvils: 90 euros."]]), plan__md=b"# May\n\nForge."),
    )

    assert outline(document) == [
        ("Papers", "# Papers\n\nSee the files.\n\nAttachments: offer.pdf, plan.md"),
        ("Papers > offer.pdf, page 1", "## offer.pdf, page 1\n\nTongs: 3 euros."),
        ("Papers > offer.pdf, page 2", "## offer.pdf, page 2\n\nAnvils: 90 euros."),
        ("Papers > plan.md > May", "## plan.md > May\n\n# May\n\nForge."),
    ]


@pytest.mark.fault("mail-attachments")
def test_an_unreadable_attachment_does_not_affect_its_message() -> None:
    document = loaded("a.eml", with_files(bad__docx=b"PK\x03\x04", good__txt=b"Read.", broken__pdf=b"%PDF"))

    assert [path for path, _ in outline(document)] == ["Papers", "Papers > good.txt"]
    assert document.notes == ("2 attachments could not be read: bad.docx, broken.pdf",)


@pytest.mark.fault("mail-attachments")
def test_attached_secrets_data_files_and_mail_files_are_only_listed() -> None:
    names = {"id_rsa": b"x", "settings__yaml": b"password: x1", "photo__jpg": b"x", "more__eml": b"Subject: a\n\nb"}

    assert outline(loaded("a.eml", with_files(**names))) == [
        ("Papers", "# Papers\n\nSee the files.\n\nAttachments: id_rsa, settings.yaml, photo.jpg, more.eml")
    ]


@pytest.mark.fault("mail-attachments")
def test_only_a_limited_number_of_attachments_is_read() -> None:
    document = loaded("a.eml", with_files(**{f"n{number}__txt": b"Read." for number in range(203)}))

    assert document.text.count("Read.") == 200
    assert document.notes == ("3 attachments could not be read: n200.txt, n201.txt, n202.txt",)
