"""The parts of passages that are sent to a model that reads slowly."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.answer.focus import CHARS, GAP, focus, focused
from streamrag_cli.events import Sources
from streamrag_cli.model import Question
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.openai_replies import DONE, finish, stream, token
from tests.support.openai_server import OpenAIServer

FILLER = "The pier was painted in spring. Gulls nest on the roof of the shed. A bench faces the water. "
HARBOUR = f"""# Harbour

## Lamp

{FILLER * 2}The lamp at the end of the pier was lit by Ragna Holt. She kept it for forty years. {FILLER * 2}

## Tariffs

{FILLER * 2}

| Boat | Fee |
|---|---|
| dinghy | 4 |
| cutter | 9 |
| trawler | 22 |

## Radio

To call the harbour office, run:

```sh
radio --channel 12
radio --say hello
```

{FILLER * 3}
"""


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    collection = make_collection(tmp_path_factory.mktemp("harbour"), {"harbour.md": HARBOUR})
    with closing(Retriever.open(collection)) as opened:
        yield opened


def sent(harbour: Retriever, question: str, chars: int) -> str:
    retrieved = harbour.retrieve(question, limit=8, min_score=0)
    return "\n=\n".join(text for text in focused(retrieved, harbour.embedder, chars=chars) if text)


def test_a_sentence_is_sent_with_its_neighbours_and_gaps_are_marked(harbour: Retriever) -> None:
    text = sent(harbour, "Who lit the lamp at the end of the pier?", 250)

    assert "lit by Ragna Holt. She kept it for forty years." in text
    assert text.count(GAP) >= 2
    assert len(text) < 350


def test_a_table_row_is_sent_with_column_names_but_without_other_rows(harbour: Retriever) -> None:
    text = sent(harbour, "What is the fee for a trawler?", 50)

    assert "- Boat: trawler; Fee: 22" in text
    assert "dinghy" not in text


def test_a_code_block_is_sent_whole_or_not_at_all(harbour: Retriever) -> None:
    text = sent(harbour, "How do I call the harbour office by radio?", 200)

    assert "run:\n\n```sh\nradio --channel 12\nradio --say hello\n```" in text
    assert "radio" not in sent(harbour, "Who lit the lamp?", 90)


def test_joining_all_parts_of_a_passage_restores_its_text(harbour: Retriever) -> None:
    retrieved = harbour.retrieve("Who lit the lamp?", limit=8, min_score=0)
    everything = focused(retrieved, harbour.embedder, chars=100_000)

    assert [text.strip() for text in everything] == [hit.chunk.text.strip() for hit in retrieved.hits]


def test_passages_that_are_short_enough_are_sent_whole(harbour: Retriever) -> None:
    retrieved = harbour.retrieve("Who lit the lamp?", limit=8, min_score=0)

    same, texts = focus(retrieved, harbour.embedder, chars=100_000, whole=2)

    assert (same.hits, texts) == (retrieved.hits[:2], [hit.chunk.text for hit in retrieved.hits[:2]])


def test_only_passages_that_are_sent_become_sources(harbour: Retriever) -> None:
    retrieved = harbour.retrieve("Who lit the lamp?", limit=8, min_score=0)

    fewer, texts = focus(retrieved, harbour.embedder, chars=90, whole=2)

    assert 0 < len(fewer.hits) == len(texts) < len(retrieved.hits)
    assert [hit.rank for hit in fewer.hits] == [*range(1, len(texts) + 1)]
    assert all(texts)


def test_without_token_states_sentences_are_chosen_by_their_words(harbour: Retriever) -> None:
    retrieved = replace(harbour.retrieve("Who lit the lamp?", limit=8, min_score=0), token_states={})

    assert "Ragna Holt" in "".join(focused(retrieved, harbour.embedder, chars=250))


@pytest.mark.parametrize(("context", "is_whole"), [("", False), ("full", True), ("focused", False), ("300", False)])
def test_a_local_model_gets_focused_parts_unless_the_context_setting_is_full(
    context: str, is_whole: bool, tmp_path: Path
) -> None:
    nouns = ("anchor", "barrel", "cable", "davit", "engine", "flag", "gaff")
    pages = {
        f"{noun}.md": f"# {noun}\n\n" + " ".join(f"The lamp in shed {n} hangs above {noun} {n * 7}." for n in range(24))
        for noun in nouns
    }
    settings = make_collection(tmp_path, pages)
    with OpenAIServer(chat=stream(token("Yes"), finish(), DONE)) as server:
        for_model = replace(settings, base_url=server.base_url, model="m", context=context, min_score=0.0)
        sources = asyncio.run(first_sources(for_model))
        prompt = server.requests[-1].json["messages"][-1]["content"]

    assert (GAP not in prompt) is is_whole
    assert len(prompt) > CHARS if is_whole else len(prompt) < 2 * CHARS
    assert prompt.count(prompt.split()[1]) - 2 == len(sources.sources)


async def first_sources(settings: Settings) -> Sources:
    question = Question(text="Who lit the lamp?", accepted_at=time.perf_counter())
    events = [event async for event in LocalService().ask(question, settings)]
    return next(event for event in events if isinstance(event, Sources))
