"""Language detection, and searches for words in other forms than in the document."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.store.languages import language_of
from streamrag_cli.store.stemming import stems
from tests.support.collection import make_collection
from tests.support.stores import Store, by_text, document

SHORT = {
    "da": "Butikken er lukket om mandagen, men du kan altid ringe til os.",
    "de": "Der Laden ist am Montag geschlossen, aber man kann uns immer anrufen.",
    "es": "La tienda está cerrada los lunes, pero siempre nos puede llamar.",
    "fr": "Le magasin est fermé le lundi, mais vous pouvez toujours nous appeler.",
    "it": "Il negozio è chiuso il lunedì, ma ci si può sempre telefonare.",
    "nl": "De winkel is op maandag gesloten, maar u kunt ons altijd bellen.",
    "no": "Butikken er stengt på mandager, men du kan alltid ringe oss hvis noe ikke fungerer.",
    "pt": "A loja está fechada às segundas, mas você pode sempre ligar para nós.",
    "ru": "Магазин закрыт по понедельникам, но нам всегда можно позвонить.",
    "sv": "Butiken är stängd på måndagar, men du kan alltid ringa till oss.",
    "ja": "店は月曜日が休みですが、電話はいつでもできます。",
    "zh": "商店星期一休息，但您可以随时给我们打电话。",
    "ko": "가게는 월요일에 쉬지만 언제든지 전화할 수 있습니다.",
    "th": "ร้านปิดวันจันทร์ แต่คุณโทรหาเราได้ตลอดเวลา",
    "el": "Το κατάστημα είναι κλειστό τη Δευτέρα, αλλά μπορείτε πάντα να μας καλέσετε.",
    "": "The shop is closed on Mondays, but you can always call us.",
}


@pytest.mark.parametrize(("language", "text"), list(SHORT.items()))
def test_one_sentence_is_enough_to_detect_a_language(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-02 17,5 %",
        "SELECT la, le FROM de WHERE un = 1",
        "The word Zeitgeist is German; der Zeitgeist is what one says of the spirit of an age.",
        "Kubernetes Docker nginx PostgreSQL",
        "Магазин 'Ґанок' закритий щопонеділка, але нам завжди можна зателефонувати.",
    ],
)
def test_code_and_mixed_or_unknown_languages_count_as_english(text: str) -> None:
    assert language_of(text) == ""


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("de", "die alten Häuser", "ein altes Haus"),
        ("fr", "les déclarations envoyées", "une déclaration"),
        ("es", "las habitaciones", "habitación"),
        ("ru", "налоговые декларации", "налоговая декларация"),
        ("sv", "flickorna", "flickor"),
    ],
)
def test_forms_of_a_word_have_the_same_stem(language: str, one: str, other: str) -> None:
    first, second = stems([one, other], [language, language])

    assert set(first) & set(second)


def test_every_backend_finds_other_forms_of_a_word(store: Store) -> None:
    record, chunks = document("a.md", "Die alten Häuser am Hafen", "Ein Leuchtturm")
    store.put((replace(record, language="de"), chunks))

    with store.reading() as reader:
        assert reader.catalog.languages() == ["de"]
        assert reader.catalog.foreign_chunks() == 2
        assert reader.catalog.languages_of([chunks[1].id, "no such id"]) == {chunks[1].id: "de"}
        assert by_text(reader, "haus") == {"Die alten Häuser am Hafen"}


def test_questions_find_other_word_forms_in_documents_of_different_languages(tmp_path: Path) -> None:
    documents = {
        "ferry.md": "# Fähren\n\nDie Fähren zu den Inseln legen um acht Uhr ab, und im Winter um neun.\n",
        "bakery.md": "# Bakery\n\nThe bakery opens at six, and in winter it opens at seven.\n",
        "tax.md": "# Impôts\n\nLes déclarations doivent être envoyées avant la fin du mois de mai.\n",
    }
    sources = {"Wann legt die Fähre ab?": "ferry.md", "When did the bakery open?": "bakery.md",
               "Quand faut-il envoyer la déclaration ?": "tax.md"}  # fmt: skip
    with closing(Retriever.open(make_collection(tmp_path, documents))) as retriever:
        best = {question: retriever.retrieve(question, limit=1, min_score=0.3).hits[0].source for question in sources}

    assert best == {question: f"docs/{source}" for question, source in sources.items()}
