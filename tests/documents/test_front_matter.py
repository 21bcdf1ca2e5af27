import pytest

from streamrag_cli.documents.chunking import chunk
from tests.support.loading import loaded


@pytest.mark.fault("hidden-text")
@pytest.mark.parametrize(
    "source",
    [
        "---\ntitle: 'Hot iron'\ndescription: >\n  How to heat it,\n  slowly.\naliases:\n  - Forging\n"
        "tags: [iron, heat]\ndraft: true\n---\n",
        '+++\ntitle = "Hot iron"\ndescription = "How to heat it, slowly."\naliases=["Forging"]\n'
        'tags = ["iron", "heat"]\n+++\n',
        "---\ncreation date: 2031-02-03\ntitle: Hot iron\nsummary: How to heat it, slowly.\nalias: Forging\n"
        "tags:\n- iron\n- heat\n...\n",
    ],
    ids=["yaml", "toml", "properties"],
)
def test_front_matter_is_title_and_summary_and_no_text(source: str) -> None:
    document = loaded("a.md", source + "\nHeat it.\n\n# Next\n\nThen wait.\n")

    assert (document.title, document.summary) == ("Hot iron", "How to heat it, slowly.; Forging; iron; heat")
    assert document.text.split() == ["Heat", "it.", "#", "Next", "Then", "wait."]
    assert document.line_numbers is not None
    assert document.line_numbers[-2] == source.count("\n") + 6


def test_the_summary_is_searched_with_the_first_chunk_alone() -> None:
    text = "---\ndescription: All of it.\n---\n# A\n\n" + "x " * 300 + "\n\n## B\n\n" + "y " * 300

    first, second = chunk(loaded("a.md", text))

    assert first.headings == ("A", "All of it.")
    assert second.headings == ("A", "B")


def test_a_note_of_properties_alone_says_what_they_describe() -> None:
    document = loaded("a.md", "---\ndescription: A smith in the old town.\nphone: 7\n---\n")

    assert document.text == "A smith in the old town."
