"""The multilingual embedder is suggested for text that is not English."""

from dataclasses import replace

import pytest

from streamrag_cli.doctor.findings import warning
from streamrag_cli.doctor.store_check import check_store
from streamrag_cli.events import Notice
from streamrag_cli.retrieval.embedder import BUILTIN
from streamrag_cli.retrieval.language_support import multilingual_suggestion
from streamrag_cli.store.registry import open_store
from tests.support.fake_embedder import FakeEmbedder
from tests.support.ingests import Ingests

ENGLISH = "The key of the cellar is with the caretaker, who lives on the second floor of the house.\n"
GERMAN = "Der Schlüssel für den Keller liegt beim Hausmeister, der im zweiten Stock des Hauses wohnt.\n"
SUGGESTED = "of the text is not in English, the only language of the built-in embedder"
REBUILD = "streamrag ingest --rebuild --embedding multilingual"


@pytest.fixture
def builtin(ingests: Ingests) -> Ingests:
    """Ingests whose vectors are recorded as those of the built-in embedder."""
    return replace(ingests, embedder=FakeEmbedder(BUILTIN))


def run(ingests: Ingests, *, english: int, german: int) -> None:
    for number in range(english):
        ingests.put(f"en{number}.md", f"{ENGLISH}{number}")
    for number in range(german):
        ingests.put(f"de{number}.md", f"{GERMAN}{number}")
    ingests.run(".")


def suggestions(ingests: Ingests) -> list[str]:
    events = [event for event in ingests.events if isinstance(event, Notice)]
    return [event.message for event in events if event.code == "multilingual_suggested"]


@pytest.mark.parametrize(("english", "german", "share"), [(10, 0, None), (9, 1, None), (8, 2, "20%"), (0, 3, "100%")])
def test_the_multilingual_embedder_is_suggested_for_text_that_is_not_english(
    builtin: Ingests, monkeypatch: pytest.MonkeyPatch, english: int, german: int, share: str | None
) -> None:
    monkeypatch.setattr("streamrag_cli.retrieval.language_support.find_spec", lambda _: None)

    run(builtin, english=english, german=german)

    install = "pip install 'streamrag[multilingual]', then: "
    assert suggestions(builtin) == ([f"{share} {SUGGESTED}: {install}{REBUILD}"] if share else [])


def test_doctor_suggests_only_the_rebuild_if_the_extra_is_installed(
    builtin: Ingests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.retrieval.language_support.find_spec", lambda _: object())
    run(builtin, english=1, german=1)

    findings = list(check_store(builtin.settings, {}, full=False))

    expected = warning("store", f"default: 50% {SUGGESTED}", hint=REBUILD, code="multilingual_suggested")
    assert replace(expected, collection="default") in findings


def test_with_another_embedder_no_embedder_is_suggested(ingests: Ingests) -> None:
    run(ingests, english=0, german=3)

    with open_store(ingests.settings.store).manifest("default") as manifest:
        assert manifest is not None
        assert (manifest.foreign_chunks(), multilingual_suggestion(manifest)) == (3, None)
