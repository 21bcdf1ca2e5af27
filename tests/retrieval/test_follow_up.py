"""Retrieval for follow-up questions."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import process_time

import pytest

from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise
from streamrag_cli.model import Turn
from streamrag_cli.retrieval.follow_up import MAX_EARLIER_CHARS, earlier_questions, needs_conversation
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.files import write_files
from tests.support.openai_server import OpenAIServer

OFF_TOPIC = "Which programming language has the best macros?"
GARDEN = {
    "parcels.md": (
        "# Allotments\n\n## Rent\n\nA small parcel costs 60 euros a year. Water is included.\n\n"
        "## Groups\n\nSchool groups pay 15 euros a year for a shared parcel.\n"
    ),
    "bees.md": "# Beehives\n\nHives are next to the shed. Each hive is inspected every nine days.\n",
    "well.md": "# The well\n\nThe fee for the well is 8 euros. It is 6 metres deep, and its wall is one metre high.\n",
    "sheds.md": "# Sheds\n\nA shed may be three metres long. Its roof must not be higher than a hedge.\n",
}
FLAT_AND_TARIFFS = {
    "flat.md": (
        "# The flat\n\nThe rent of the flat is 980 pounds. It is due on the third day of a month.\n\n"
        "A surcharge of 35 pounds applies if it arrives more than five days late.\n"
    ),
    "tariffs.md": "# Tariffs\n\nThe Studio tariff costs 12 euros a month. It needs four seats.\n",
    "refunds.md": "# Money back\n\nMonthly tariffs are not refunded, because every transaction costs a charge.\n",
    "dogs.md": "# Animals\n\nDogs are forbidden, because the courtyard belongs to a nursery.\n",
}
FRENCH = {
    "phare.md": "# Le phare\n\nLe phare de la pointe fut construit en 1874 par Ada Brandt. Il mesure 41 mètres.\n",
    "port.md": "# Le port\n\nUne place au port coûte 18 euros la nuit pour les bateaux de passage.\n",
}


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("follow_up")))) as opened:
        yield opened


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("garden"), GARDEN))) as opened:
        yield opened


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("flat"), FLAT_AND_TARIFFS))) as opened:
        yield opened


def find(retriever: Retriever, question: str, *earlier: str) -> Retrieved:
    history = [Turn(question=each) for each in earlier]
    return retriever.retrieve(question, history=history, limit=3, min_score=0.3)


def best(retriever: Retriever, question: str, *earlier: str) -> str:
    return find(retriever, question, *earlier).hits[0].source


def quotes(retriever: Retriever, question: str, *earlier: str) -> list[str]:
    retrieved = find(retriever, question, *earlier)
    return [quote.text for quote in pick_quotes(question, retrieved, max_hits=3, embedder=retriever.embedder)]


def test_a_question_without_content_is_answered_from_the_conversation(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        find(retriever, "Could you put that differently?")

    assert best(retriever, "Could you put that differently?", "What is the range of the tides?") == "docs/tides.txt"


def test_the_question_before_the_previous_one_is_searched_as_well(retriever: Retriever) -> None:
    assert best(retriever, "Why?", "Who built the lighthouse?", "Is that so?") == "docs/lighthouse.md"


@pytest.mark.parametrize("previous", ["Who built the lighthouse in 1874?", OFF_TOPIC])
def test_a_self_contained_question_is_not_affected_by_the_previous_topic(previous: str, retriever: Retriever) -> None:
    question = "What is the fee for a berth for a night?"

    assert find(retriever, question, previous).hits[0] == find(retriever, question).hits[0]


@pytest.mark.parametrize("question", [OFF_TOPIC, "How do volcanoes erupt?"])
def test_an_off_topic_question_in_a_conversation_is_refused(question: str, retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        find(retriever, question, "What is the range of the tides?", "Who built the lighthouse?")


def test_nothing_is_found_if_the_whole_conversation_is_off_topic(retriever: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        find(retriever, "And in Haskell?", "Which language has macros?")


def test_hits_are_unique_and_ranked_with_decreasing_scores(retriever: Retriever) -> None:
    hits = retriever.retrieve(
        "And its lamp?", history=[Turn(question="Who built the lighthouse?")], limit=3, min_score=0.0
    ).hits

    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert len({hit.chunk.id for hit in hits}) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize(
    ("earlier", "question", "quote"),
    [
        (["What does a small parcel cost?"], "And for school groups?", "School groups pay 15 euros"),
        (["Where are the hives?"], "How often are they inspected?", "Each hive is inspected every nine days."),
        (["Where are the hives?", "How long may a shed be?"], "And its roof?", "Its roof must not be higher"),
        (["What is the fee for the well?"], "And how high is it?", "The fee for the well is 8 euros."),
    ],
)
def test_the_first_quote_answers_the_follow_up(
    earlier: Sequence[str], question: str, quote: str, garden: Retriever
) -> None:
    assert quotes(garden, question, *earlier)[0].startswith(quote)


@pytest.mark.parametrize(
    ("earlier", "question", "source"),
    [
        (["How much does the Studio tariff cost?", "What is the rent?"], "When is it due?", "flat.md"),
        (["How many seats are needed?", "How much is the Studio tariff?", "What is the rent?"], "How much?", "flat.md"),
        (["What is the rent?", "Are dogs forbidden?"], "Why?", "dogs.md"),
        (["Are dogs forbidden?", "Are monthly tariffs refunded?"], "Why not?", "refunds.md"),
        (
            ["How much does the Studio tariff cost?", "When does a surcharge for rent apply?"],
            "After how many days?",
            "flat.md",
        ),
    ],
)
def test_a_follow_up_after_a_change_of_topic_is_about_the_new_topic(
    earlier: Sequence[str], question: str, source: str, flat: Retriever
) -> None:
    assert best(flat, question, *earlier) == f"docs/{source}"


@pytest.mark.parametrize("question", ["Why?", "Why not?", "Warum nicht?", "How so?"])
def test_a_question_without_content_scores_at_least_as_high_as_the_previous_one(question: str, flat: Retriever) -> None:
    previous = "Is a refund possible?"
    before, after = find(flat, previous).hits[0], find(flat, question, previous).hits[0]

    assert after.source == before.source
    assert after.score >= before.score - 1e-6


def test_a_follow_up_in_french_is_answered_from_the_conversation(tmp_path: Path) -> None:
    with closing(Retriever.open(make_collection(tmp_path, FRENCH))) as french:
        assert best(french, "Et qui l'a bâti ?", "Combien de mètres mesure le phare ?") == "docs/phare.md"


@pytest.mark.parametrize(
    ("earlier", "question", "quote"),
    [
        ("Was kostet der Stellplatz?", "Und wie hoch ist die Kaution?", "Die Kaution beträgt 150 Euro."),
        (
            "Wie lang ist die Frist für den Keller?",
            "Und wie hoch ist sie?",
            "Die Frist für den Keller beträgt zwei Wochen.",
        ),
    ],
)
def test_the_first_quote_from_a_letter_in_german_answers_the_follow_up(
    earlier: str, question: str, quote: str, tmp_path: Path
) -> None:
    letter = (
        "Sehr geehrte Frau Ott,\n\nder Stellplatz kostet 40 Euro im Monat. Die Kaution beträgt 150 Euro. Das Tor ist"
        " 2,10 m hoch und die Rampe ist 9 m lang.\n\nDie Frist für den Keller beträgt zwei Wochen. Bitte melden Sie"
        " sich vorher, wenn Sie in den Urlaub fahren, und stellen Sie die Schlüssel in das Fach.\n"
    )
    with closing(Retriever.open(make_collection(tmp_path, {"brief.txt": letter}))) as opened:
        assert quotes(opened, question, earlier)[0] == quote


def test_an_earlier_question_in_an_unsupported_script_does_not_affect_the_vector(retriever: Retriever) -> None:
    question = "Who built the lighthouse in 1874?"
    single, later = find(retriever, question), find(retriever, question, "渡轮几点开?")

    assert later.question_vector.tolist() == single.question_vector.tolist()


def test_a_long_conversation_does_not_make_the_search_slower(retriever: Retriever) -> None:
    turns = [
        Turn(question=f"{number} tide lamp " + "clams potatoes " * 1300, answer="x" * 20_000) for number in range(200)
    ]

    def seconds(history: Sequence[Turn]) -> float:
        started = process_time()
        retriever.retrieve("And its lamp?", history=history, limit=3, min_score=0.0)
        return process_time() - started

    short = [Turn(question=turn.question[:MAX_EARLIER_CHARS]) for turn in turns[-2:]]
    seconds(short)

    assert min(seconds(turns) for _ in range(3)) < 2 * max(seconds(short) for _ in range(3)) + 0.02
    assert earlier_questions("And its lamp?", turns) == tuple(turn.question.strip() for turn in reversed(short))


def test_a_server_embeds_all_questions_in_one_request_and_none_twice(tmp_path: Path) -> None:
    write_files(tmp_path / "docs", GARDEN)
    with OpenAIServer() as server:
        settings = Settings(store=tmp_path / "store", embedding="openai:w", base_url=server.base_url, api_key="none")
        list(ingest_or_raise(IngestRequest(paths=(tmp_path / "docs",), working_directory=tmp_path), settings))
        before = len(server.requests)
        with closing(Retriever.open(settings)) as opened:
            questions = ["How long is a shed?", "How high is its roof?", "And the hedge?"]
            for number, question in enumerate(questions):
                history = [Turn(question=each) for each in (*questions[:number], questions[0])]
                opened.retrieve(question, history=history, limit=3, min_score=0.0)
        with closing(Retriever.open(settings)) as opened:
            opened.retrieve(questions[2], history=[Turn(question=each) for each in questions], limit=3, min_score=0.0)
        sent = [request.json["input"] for request in server.requests[before:]]

    assert sent == [[questions[0]], [questions[1]], [questions[2]], [questions[2], questions[1], questions[0]]]


@pytest.mark.parametrize(
    "question",
    [
        "And in winter?",
        "Why is it closed?",
        "Und im Winter?",
        "Pourquoi est-ce que cela coûte ?",
        "¿Y él?",
        "それは?",
        "它呢?",
    ],
)
def test_pronouns_and_conjunctions_of_many_languages_refer_to_the_conversation(question: str) -> None:
    assert needs_conversation(question, 15.0)
    assert not needs_conversation(question, 25.0)


@pytest.mark.parametrize("question", ["How do volcanoes erupt?", "Wann öffnet der Hafen?", "", "?!"])
def test_without_a_pronoun_or_conjunction_only_the_term_weight_decides(question: str) -> None:
    assert needs_conversation(question, 10.0)
    assert not needs_conversation(question, 15.0)
