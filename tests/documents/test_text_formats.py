from pathlib import PurePath

import pytest

from streamrag_cli.documents.formats import format_of, is_supported
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section
from tests.support.loading import loaded, outline


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", "markdown"), ("A.MDX", "mdx"), ("a.txt", "text"), ("README", "text"), ("License", "text"),
        ("a.rst", "rst"), ("a.htm", "html"), ("a.pdf", "pdf"), ("a.docx", "docx"), ("a.ipynb", "notebook"),
        ("a.ppsx", "pptx"), ("a.ott", "odt"), ("a.fodt", "flat_odt"), ("a.otp", "odp"), ("a.fodp", "flat_odp"),
        ("a.XLSM", "xlsx"), ("a.ots", "ods"), ("a.fods", "flat_ods"), ("a.rtf", "rtf"),
        ("a.csv", "table"), ("a.tsv", "table"), ("a.json", "json"), ("a.ndjson", "json_lines"), ("a.yml", "yaml"),
        ("a.py", "python"), ("a.rs", "compiled"), ("a.lua", "code"), ("Dockerfile", "code"), ("a.adoc", "asciidoc"),
        ("a.asc", "asciidoc"), ("a.7", "man"), ("a.tex", "latex"),
        ("a.eml", "mail"),
        ("a.mbox", "mailbox"), ("a.srt", "subtitles"), ("a.toml", "toml"), ("a.xml", "xml"), ("a.ini", "config"),
        ("a.org", "org"),
        ("a.png", "image"), ("a.doc", None), ("unknown", None), ("a.md.bak", None),
    ],
)  # fmt: skip
def test_the_format_is_selected_by_file_name(name: str, expected: str | None) -> None:
    entry = format_of(PurePath("/docs", name))

    assert (entry.name if entry else None) == expected
    assert is_supported(PurePath("/docs", name)) is (expected is not None)


def test_plain_text_is_one_section() -> None:
    assert loaded("a.txt", "# no heading\n\nText.\n") == Document(
        path="/docs/a.txt",
        text="# no heading\n\nText.\n",
        title="",
        sections=(Section(start=0, end=20),),
        line_numbers=range(1, 5),
    )


@pytest.mark.fault("text-encodings")
@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.rst", "a.html", "a.csv", "a.jsonl", "a.py", "a.org", "a.adoc"])
def test_an_empty_file_gets_a_note(name: str) -> None:
    for content in ("", " \n\n"):
        assert loaded(name, content).notes == ("the document contains no text",)


@pytest.mark.fault("text-encodings")
def test_a_file_without_a_format_is_text_unless_it_is_binary() -> None:
    assert loaded(".env", "KEY=1\n").text == "KEY=1\n"
    with pytest.raises(DocumentError) as caught:
        loaded("a.bin", b"\x7fELF\0\0")
    assert caught.value.code == "binary"


def test_a_guessed_encoding_gets_a_note() -> None:
    document = loaded("a.md", "# Größe\n\nSchöne Grüße aus München".encode("cp1252"))

    assert (document.title, document.notes) == ("Größe", ("the text is not UTF-8 and was read as cp1252",))


def test_rst_titles_make_sections() -> None:
    text = (
        "=====\nGuide\n=====\n\nIntro.\n\n.. _label:\n\nUse *it* with :ref:`the thing <thing>`\n"
        "----------------------------------\n\nHow::\n\n  not\n  ---\n\nDeep\n~~~~\n\n"
        ".. include:: /etc/passwd\n.. raw:: html\n   :file: /etc/passwd\n\nShort underline\n-----\n\nEnd.\n"
    )

    document = loaded("a.rst", text)

    assert document.title == "Guide"
    assert outline(document) == [
        ("Guide", "# Guide\n\nIntro."),
        ("Guide > Use it with the thing", "## Use it with the thing\n\nHow:\n\n```\nnot\n---\n```"),
        ("Guide > Use it with the thing > Deep", "### Deep"),
        ("Guide > Short underline", "## Short underline\n\nEnd."),
    ]


def test_rst_nested_too_deeply_is_read_without_headings() -> None:
    text = "Title\n=====\n\n" + "\n".join(" " * depth + "x\n" for depth in range(1200))

    document = loaded("a.rst", text)

    assert (document.text.count("x"), document.notes) == (
        1200,
        ("the document is nested too deeply, so it was read without headings",),
    )


def test_python_is_cut_at_definitions_and_methods() -> None:
    text = (
        '"""Module."""\n\nimport os\n\n\n# about f\n@decorated\ndef f():\n    return 1\n\n\n'
        "class C:\n    x = 1\n\n    def m(self):\n        return 2\n\n"
        "    async def n(self):\n        pass\n\n\nlast = 1\n"
    )

    assert outline(loaded("a.py", text)) == [
        ("", '"""Module."""'),
        ("f", "# about f\n@decorated\ndef f():\n    return 1"),
        ("C", "class C:\n    x = 1"),
        ("C > m", "def m(self):\n        return 2"),
        ("C > n", "async def n(self):\n        pass"),
        ("", "last = 1"),
    ]


@pytest.mark.parametrize(
    "text",
    ["def broken(:\n", "print 'old'\n", "(" * 100_000, "-" * 100_000 + "1", "a" + ".b" * 100_000, 'x = "\\d"\n'],
    ids=["syntax", "python 2", "parentheses", "minuses", "attributes", "invalid escape"],
)
def test_python_that_cannot_be_split_is_one_section(text: str) -> None:
    assert len(loaded("a.py", text).sections) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '"' * 1_000_000),
        ("a.csv", "," * 1_000_000),
        ("a.csv", '"a\n' * 100_000),
        ("a.org", "* a" + " " * 500_000 + "b"),
        ("a.adoc", "=" * 1_000_000),
        ("a.json", "[" * 1_000_000),
        ("a.rst", "=\n" * 5_000),
        ("a.rst", "*" * 300_000),
    ],
)
def test_hostile_text_is_loaded_within_the_time_limit(name: str, text: str) -> None:
    loaded(name, text)


def test_restructuredtext_link_targets_do_not_hide_headings() -> None:
    source = "Guide\n=====\n\nRead the `manual`_.\n\n.. _manual: https://example.org/m\n.. _write: a@example.org\n"

    document = loaded("a.rst", source)

    assert (document.notes, [section.headings for section in document.sections]) == ((), [("Guide",)])


def test_restructuredtext_that_docutils_cannot_parse_is_read_without_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> None:
        raise AttributeError(text)

    monkeypatch.setattr("streamrag_cli.documents.loaders.rst._parse", fail)

    document = loaded("a.rst", "Guide\n=====\n\nText.\n")

    assert document.text == "Guide\n\nText."
    assert document.notes == ("docutils cannot parse the document (AttributeError), so it was read without headings",)
