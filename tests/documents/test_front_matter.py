import time

import pytest

from streamrag_cli.answer.excerpts import as_sources
from streamrag_cli.answer.facts import fact_match
from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.loaders.markdown import load_markdown
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.store.stemming import stems
from tests.support.fake_embedder import FakeEmbedder
from tests.support.loading import loaded


@pytest.mark.fault("hidden-text")
@pytest.mark.parametrize(
    "source",
    [
        "---\ntitle: 'Hot iron'\ndescription: >\n  How to heat it,\n  slowly.\naliases:\n  - Forging\n"
        "tags: [iron, heat]\ndraft: true\n---\n",
        '+++\ntitle = "Hot iron"\ndescription = "How to heat it, slowly."\naliases=["Forging"]\n'
        'tags = ["iron", "heat"]\n+++\n',
        "---\npermalink: hot-iron\ntitle: Hot iron\nsummary: How to heat it, slowly.\nalias: Forging\n"
        "tags:\n- iron\n- heat\n...\n",
    ],
    ids=["yaml", "toml", "properties"],
)
def test_front_matter_becomes_the_title_and_summary_but_not_text(source: str) -> None:
    document = loaded("a.md", source + "\nHeat it.\n\n# Next\n\nThen wait.\n")

    assert (document.title, document.summary) == ("Hot iron", "How to heat it, slowly.; Forging; iron; heat")
    assert document.text.split() == ["Heat", "it.", "#", "Next", "Then", "wait."]
    assert document.line_numbers is not None
    assert document.line_numbers[-2] == source.count("\n") + 6


def test_the_summary_is_embedded_only_with_the_first_chunk() -> None:
    text = "---\ndescription: All of it.\n---\n# A\n\n" + "x " * 300 + "\n\n## B\n\n" + "y " * 300

    first, second = chunk(loaded("a.md", text))

    assert (first.title, first.text_to_embed.partition("\n")[0]) == ("A", "A > All of it.")
    assert (second.title, second.text_to_embed.partition("\n")[0]) == ("A > B", "A > B")


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("---\ntags: rigging, crew\n---\n", ""),
        ("---\ntags: [rigging]\ntitle: Sail plan\n---\n", "Sail plan"),
        (
            "---\ntags: rigging\ndescription: Sails by wind.\n---\n# Sail plan\n\n## Mainsail\n\n",
            "Sail plan > Mainsail",
        ),
    ],
)
def test_tags_and_descriptions_are_left_out_of_titles_but_reach_the_model(source: str, title: str) -> None:
    [only] = chunk(loaded("a.md", f"{source}The mainsail is reefed at six.\n"))
    hit = Hit(chunk=only, source="a.md", path="/a.md", score=1, rank=1)

    [shown] = as_sources([hit], {"": {}}, question="When is the mainsail reefed?")

    assert shown.title == title
    assert "rigging" in shown.context


def test_a_note_with_only_front_matter_has_its_description_as_text() -> None:
    document = loaded("a.md", "---\ndescription: A smith in the old town.\nphone: 7\n---\n")

    assert document.text == "---\n\nphone: 7\n---\nA smith in the old town."


def test_simple_front_matter_entries_are_facts_with_line_numbers() -> None:
    source = (
        "---\ntitle: Crew meeting\ndate: 2031-02-03\nattendees:\n  - name: Ada Falk\n  - Ivo Holm\npublish: true\n"
        "permalink: /crew\nroom: North 4\nimage: /a.png\n---\n# Crew meeting\n\nWe buy the Heron.\n"
    )

    document = loaded("a.md", source)

    assert document.summary == "3 February 2031"
    assert document.text == (
        "---\n\ndate: 2031-02-03\nattendees: Ada Falk, Ivo Holm\n\n\n\n\nroom: North 4\n\n---\n"
        "# Crew meeting\n\nWe buy the Heron.\n"
    )
    assert list(document.line_numbers or ()) == list(range(1, 16))
    assert [section.headings for section in document.sections] == [("Crew meeting",)]


@pytest.mark.fault("front-matter-facts")
@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Who attended the crew meeting of 3 February?", "attendees: Ada Falk, Ivo Holm"),
        ("Who was at the crew meeting?", "attendees: Ada Falk, Ivo Holm"),
        ("Who owns the crew meeting's page?", "owner: Mira Brandt"),
        ("What did the crew meeting decide about a boat?", "We buy the boat Heron."),
        ("When is the boat bought?", "We buy the boat Heron."),
        ("Which room?", "room: North 4"),
    ],
)
def test_a_fact_is_quoted_only_if_the_question_asks_for_it(question: str, quoted: str) -> None:
    text = (
        "---\ndate: May\nroom: North 4\nattendees: [Ada Falk, Ivo Holm]\nowner: Mira Brandt\n---\n# Crew meeting\n\n"
        "We buy the boat Heron.\n"
    )
    (passage,) = chunk(loaded("a.md", text))
    hit = Hit(chunk=passage, source="a.md", path="/a.md", score=1.0, rank=1)
    weights = {"": dict.fromkeys(stems([question])[0], 1.0)}
    embedder = FakeEmbedder()
    retrieved = Retrieved(
        hits=(hit,), best_score=1.0, term_weights=weights, question_vector=embedder.embed_query(question), spent_ms={}
    )

    (source,) = as_sources([hit], weights, question=question)
    quotes = pick_quotes(question, retrieved, max_hits=1, embedder=embedder)

    assert (quotes[0].text, source.content.startswith(quoted)) == (quoted, True)
    is_fact = quoted != "We buy the boat Heron."
    assert any(": " in quote.text for quote in quotes) == is_fact


@pytest.mark.fault("huge-question")
def test_a_question_that_repeats_one_word_is_processed_within_a_second() -> None:
    started_s = time.process_time()

    assert fact_match("owner: Ida Falk", "who " * 5000) == ""
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("tags: [Sea, 'two words']\n", ("Sea", "two words")),
        ("tags:\n  - sea\n  - '#harbour'\n  - sea\n", ("sea", "harbour")),
        ("tag: sea, harbour\n", ("sea", "harbour")),
        ("title: Sea\nkeywords: [none]\n", ()),
        ("tags:\n", ()),
    ],
)
def test_tags_are_kept_as_metadata(source: str, expected: tuple[str, ...]) -> None:
    document = load_markdown("/n/a.md", f"---\n{source}date: 2026-03-01\n---\nText.\n")

    assert (document.tags, document.date) == (expected, "2026-03-01")


def test_tags_are_read_from_toml_up_to_a_limit() -> None:
    many = ", ".join(f'"t{n}"' for n in range(500))

    tags = load_markdown("/n/a.md", f"+++\ntags = [{many}]\n+++\nText.\n").tags

    assert (tags[0], len(tags)) == ("t0", 100)
