from pathlib import PurePath

import pytest

from streamrag_cli.documents.formats import format_of, is_supported
from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document, Section
from tests.documents.loading import loaded, outline


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", "markdown"), ("A.MDX", "markdown"), ("a.txt", "text"), ("README", "text"), ("License", "text"),
        ("a.rst", "rst"), ("a.htm", "html"), ("a.pdf", "pdf"), ("a.docx", "docx"), ("a.ipynb", "notebook"),
        ("a.csv", "table"), ("a.tsv", "table"), ("a.json", "json"), ("a.ndjson", "json_lines"), ("a.yml", "config"),
        ("a.py", "python"), ("a.rs", "code"), ("Dockerfile", "code"), ("a.adoc", "asciidoc"), ("a.org", "org"),
        ("a.png", None), ("a.doc", None), ("unknown", None), ("a.md.bak", None),
    ],
)  # fmt: skip
def test_the_name_says_the_format(name: str, expected: str | None) -> None:
    assert format_of(PurePath("/docs", name)) == expected
    assert is_supported(PurePath("/docs", name)) is (expected is not None)


def test_plain_text_is_one_section() -> None:
    assert loaded("a.txt", "# no heading\n\nText.\n") == Document(
        path="/docs/a.txt",
        text="# no heading\n\nText.\n",
        title="",
        sections=(Section(start=0, end=20),),
        line_numbers=range(1, 5),
    )


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.rst", "a.html", "a.csv", "a.jsonl", "a.py", "a.org", "a.adoc"])
def test_a_file_with_nothing_in_it_is_noted(name: str) -> None:
    for content in ("", " \n\n"):
        assert loaded(name, content).remarks == ("no text in it",)


def test_a_name_that_no_format_claims_is_text_unless_it_is_binary() -> None:
    assert loaded(".env", "KEY=1\n").text == "KEY=1\n"
    with pytest.raises(DocumentError) as caught:
        loaded("a.bin", b"\x7fELF\0\0")
    assert caught.value.code == "binary"


def test_a_guessed_encoding_is_remarked() -> None:
    document = loaded("a.md", "# Größe\n\nSchöne Grüße aus München".encode("cp1252"))

    assert (document.title, document.remarks) == ("Größe", ("not UTF-8: read as cp1252",))


def test_rst_titles_make_sections() -> None:
    text = (
        "=====\nGuide\n=====\n\nIntro.\n\n.. _label:\n\nUse *it* with :ref:`the thing <thing>`\n"
        "----------------------------------\n\nHow::\n\n  not\n  ---\n\nDeep\n~~~~\n\n"
        ".. include:: /etc/passwd\n.. raw:: html\n   :file: /etc/passwd\n\nShort underline\n-----\n\nEnd.\n"
    )

    document = loaded("a.rst", text)

    assert (document.text, document.title) == (text, "Guide")
    assert [path for path, _ in outline(document)] == [
        "Guide",
        "Guide > Use it with the thing",
        "Guide > Use it with the thing > Deep",
        "Guide > Short underline",
    ]
    assert outline(document)[1][1].startswith("Use *it*")
    assert outline(document)[0][1].startswith("=====\nGuide\n=====")


def test_rst_nested_too_deeply_is_read_without_headings() -> None:
    text = "Title\n=====\n\n" + "\n".join(" " * depth + "x\n" for depth in range(1200))

    document = loaded("a.rst", text)

    assert (document.text, document.remarks) == (text, ("nested too deeply: read without its headings",))


def test_asciidoc_headings_make_sections_but_not_in_listings() -> None:
    text = "= Guide\n\n== Use\n\n----\n== not\n----\n\n=== Deep\n\nx\n"

    assert outline(loaded("a.adoc", text)) == [
        ("Guide", "= Guide"),
        ("Guide > Use", "== Use\n\n----\n== not\n----"),
        ("Guide > Use > Deep", "=== Deep\n\nx"),
    ]


def test_org_headings_make_sections_but_not_in_blocks() -> None:
    text = "#+TITLE: Notes\n\n* TODO First :tag:\n\n#+BEGIN_SRC c\n* not\n#+end_src\n\n** Second\nx\n"

    document = loaded("a.org", text)

    assert document.title == "Notes"
    assert [path for path, _ in outline(document)] == ["", "First", "First > Second"]


def test_a_table_is_cut_between_records_under_the_names_of_its_columns() -> None:
    rows = [f'{number},"a name\nwith a line break, {number}",{"x" * 60}\n' for number in range(9)]

    document = loaded("a.csv", "id,name,note\n" + "".join(rows))

    assert document.text == "id,name,note\n" + "".join(rows)
    assert {section.headings for section in document.sections} == {("id, name, note",)}
    assert len(document.sections) > 2
    starts = [document.text[section.start : section.start + 5] for section in document.sections]
    assert starts == ["id,na", '2,"a ', '4,"a ', '6,"a ', '8,"a '] or all(start[1:] == ',"a ' for start in starts[1:])


def test_the_delimiter_is_found_and_a_first_row_of_values_names_no_columns() -> None:
    assert outline(loaded("a.csv", "name;age\nAda;36\nAlan;41\n"))[0][0] == "name, age"
    assert outline(loaded("a.tsv", "name\tage\nAda\t36\n"))[0][0] == "name, age"
    assert outline(loaded("a.csv", "Ada,36\nAlan,41\n"))[0][0] == ""


def test_a_quote_left_open_does_not_make_one_record_of_a_table() -> None:
    document = loaded("a.csv", 'a,b\n1,"open\n' + "2,x\n" * 10_000)

    assert max(section.end - section.start for section in document.sections) < 1000


def test_json_lines_are_cut_between_lines() -> None:
    line = '{"text": "' + "x" * 190 + '"}\n'

    assert [text for _, text in outline(loaded("a.jsonl", line * 3))] == [line.strip()] * 3


def test_python_is_cut_at_definitions_and_methods() -> None:
    text = (
        '"""Module."""\n\nimport os\n\n\n# about f\n@decorated\ndef f():\n    return 1\n\n\n'
        "class C:\n    x = 1\n\n    def m(self):\n        return 2\n\n"
        "    async def n(self):\n        pass\n\n\nlast = 1\n"
    )

    assert outline(loaded("a.py", text)) == [
        ("", '"""Module."""\n\nimport os'),
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
def test_python_that_does_not_parse_is_one_section(text: str) -> None:
    assert len(loaded("a.py", text).sections) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '"' * 1_000_000),
        ("a.csv", "," * 1_000_000),
        ("a.org", "* a" + " " * 500_000 + "b"),
        ("a.adoc", "=" * 1_000_000),
        ("a.json", "[" * 1_000_000),
        ("a.rst", "=\n" * 5_000),
        ("a.rst", "*" * 300_000),
    ],
)
def test_hostile_text_is_read_in_time(name: str, text: str) -> None:
    assert loaded(name, text).text == text
