"""One question to several collections: what is found, quoted and sent to the model, and what fails."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import AskEvent, Citations, Done, Error, IngestDone, Sources
from streamrag_cli.ingest.pipeline import IngestRequest, ingest
from streamrag_cli.model import Filter, PathPattern, Question, Source, Turn
from streamrag_cli.retrieval.builtin_embedding import shared_embedder
from streamrag_cli.retrieval.calibration import CosineRange
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.several import SeveralRetrievers
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.files import write_files
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.postgres_server import fresh_schema

NOTICE = (
    "The observatory is closed to visitors on Mondays. On other days the dome opens an hour after sunset, and the"
    " last guests leave at midnight.\n"
)
GUIDE = {
    "dome.md": "# The dome\n\nThe dome of the observatory was built by Ruth Falk in 1911. It weighs nine tonnes.\n",
    "notice.md": f"# Notice\n\n{NOTICE}",
    "stars.md": "# Stars\n\nThe brightest star of the Lyre is Vega, which is 25 light years away.\n",
}
JOURNAL = {
    "march.md": "# March\n\nThe motor of the dome was replaced by Olga Brenner, because it had burnt out.\n",
    "copy/notice.md": f"# Notice\n\n{NOTICE}",
}
DOME = "Who built the dome of the observatory, and who replaced its motor?"


@pytest.fixture(scope="module", params=["builtin", "openai:words", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The collections `guide` and `journal`, which has another embedder or is in PostgreSQL."""
    folder = tmp_path_factory.mktemp("several")
    in_postgres = request.param == "postgres"
    embedder = shared_embedder()  # otherwise each question would load the model
    with OpenAIServer() as server, fresh_schema() if in_postgres else nullcontext() as place:
        store = place or folder / "store"
        settings = Settings(store=store, base_url=server.base_url, api_key="none", min_score=0.05)
        add(folder, replace(settings, collection="guide"), GUIDE)
        embedding = None if in_postgres else request.param
        add(folder, replace(settings, collection="journal", embedding=embedding), JOURNAL)
        yield replace(settings, collection="guide,journal")
    del embedder


def add(folder: Path, settings: Settings, documents: Mapping[str, str]) -> None:
    write_files(folder / settings.collection, documents)
    request = IngestRequest(paths=(folder / settings.collection,), working_directory=folder)
    *_, end = ingest(request, settings)
    assert isinstance(end, IngestDone), end


def events_of(settings: Settings, text: str, operation: str = "search", **context: Any) -> list[AskEvent]:
    async def collect() -> list[AskEvent]:
        question = Question(text=text, accepted_at=time.perf_counter(), **context)
        return [event async for event in getattr(LocalService(), operation)(question, settings)]

    return asyncio.run(collect())


def sources_of(events: list[AskEvent]) -> tuple[Source, ...]:
    [sources] = [each.sources for each in events if isinstance(each, Sources)]
    return sources


def error_of(events: list[AskEvent]) -> tuple[str, str, str]:
    assert isinstance(events[-1], Error), events
    return events[-1].code, events[-1].message, events[-1].hint


def test_hits_from_all_collections_are_merged_by_their_scores(settings: Settings) -> None:
    hits = sources_of(events_of(settings, DOME))
    by_collection = {
        name: sources_of(events_of(replace(settings, collection=name), DOME)) for name in ("guide", "journal")
    }

    assert [each.n for each in hits] == list(range(1, len(hits) + 1))
    assert [each.score for each in hits] == sorted((each.score for each in hits), reverse=True)
    assert {(each.collection, each.source) for each in hits} >= {
        ("guide", "guide/dome.md"),
        ("journal", "journal/march.md"),
    }
    scores = {each.chunk_id: each.score for name in by_collection for each in by_collection[name]}
    assert [each.score for each in hits] == pytest.approx([scores[each.chunk_id] for each in hits], abs=1e-4)
    assert {each.collection for name in by_collection for each in by_collection[name]} == {None}


def test_no_more_than_k_hits_are_returned(settings: Settings) -> None:
    [hit] = sources_of(events_of(replace(settings, top_k=1, min_score=0.0), DOME))

    assert hit.n == 1


def test_near_duplicates_in_another_collection_are_one_hit(settings: Settings) -> None:
    hits = sources_of(events_of(replace(settings, min_score=0.0), "When does the dome open for visitors?"))

    [notice] = [each for each in hits if "Mondays" in each.text]
    assert [notice.path, *notice.also_paths] in (
        [each.path, other.path] for each, other in [(notice, replace(notice, path=notice.also_paths[0]))]
    )
    assert {path.rsplit("/", 2)[1] for path in (notice.path, *notice.also_paths)} == {"guide", "copy"}


def test_hits_with_equal_scores_keep_the_order_of_the_collections(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, GUIDE)
    add(tmp_path, replace(settings, collection="twin"), GUIDE)

    for names in ("default,twin", "twin,default"):
        hits = sources_of(events_of(replace(settings, collection=names, min_score=0.0), DOME))
        assert [each.collection for each in hits] == [names.partition(",")[0]] * len(GUIDE)


def test_the_model_gets_passages_from_both_collections(settings: Settings) -> None:
    with OpenAIServer(chat=answer("Ruth Falk [1] and Olga Brenner [2].")) as server:
        for context in ("full", "focused", "220"):
            events = events_of(replace(settings, base_url=server.base_url, model="m", context=context), DOME, "ask")
            prompt = json.dumps([each.json for each in server.requests if "messages" in each.json][-1])
            assert ("Ruth Falk" in prompt, "Olga Brenner" in prompt) == (True, True), context
            assert isinstance(events[-1], Done)
    names = {each.chunk_id: each.collection for each in sources_of(events)}
    [citations] = [each.citations for each in events if isinstance(each, Citations)]
    assert {names[each.chunk_id] for each in citations} == {"guide", "journal"}


def test_without_a_model_each_collection_is_quoted(settings: Settings) -> None:
    with closing_searcher(settings) as searcher:
        retrieved = searcher.retrieve(DOME, limit=5, min_score=0.05)
        quotes = pick_quotes(
            DOME,
            retrieved,
            max_hits=5,
            embedder=searcher.embedder,
            chunk_after=searcher.chunk_after,
        )

    collections = {hit.rank: hit.collection for hit in retrieved.hits}
    quoted = {(collections[each.n], each.text.rstrip(".")) for each in quotes}
    assert quoted >= {
        ("guide", "The dome of the observatory was built by Ruth Falk in 1911"),
        ("journal", "The motor of the dome was replaced by Olga Brenner, because it had burnt out"),
    }


@contextmanager
def closing_searcher(settings: Settings) -> Iterator[SeveralRetrievers]:
    opened = {name: Retriever.open(replace(settings, collection=name)) for name in settings.collections}
    try:
        yield SeveralRetrievers(opened)
    finally:
        for each in opened.values():
            each.close()


def test_a_follow_up_gets_the_cited_passages_of_each_collection(settings: Settings) -> None:
    by_name = {each.source: each for each in sources_of(events_of(settings, DOME))}
    cited = (by_name["journal/march.md"].chunk_id, "no-such-chunk", by_name["guide/dome.md"].chunk_id)
    turn = Turn(question="Which star is the brightest of the Lyre?", answer="Vega [1].", cited=cited)
    with OpenAIServer(chat=answer("Vega [1].")) as server:
        with_model = replace(settings, base_url=server.base_url, model="m", top_k=1, context="full")
        events = events_of(with_model, "How many light years is Vega away?", "ask", history=(turn,))

    sources = sources_of(events)
    assert [(each.n, each.collection, each.source) for each in sources] == [
        (1, "guide", "guide/stars.md"),
        (2, "journal", "journal/march.md"),
        (3, "guide", "guide/dome.md"),
    ]
    assert [each.score for each in sources] == sorted((each.score for each in sources), reverse=True)


def test_a_filter_may_exclude_one_collection_but_not_all(settings: Settings) -> None:
    def scope(pattern: str) -> Filter:
        return Filter(patterns=(PathPattern("", pattern),), text=f"--in {pattern}")

    hits = sources_of(events_of(replace(settings, min_score=0.0), DOME, filter=scope("journal")))

    assert {each.collection for each in hits} == {"journal"}
    assert error_of(events_of(settings, DOME, filter=scope("nowhere"))) == (
        "no_document_matches",
        "no document in these collections matches --in nowhere",
        "list the documents: streamrag ls -c guide",
    )


def test_the_no_match_error_contains_the_nearest_hit_in_all_collections(settings: Settings) -> None:
    [error] = events_of(replace(settings, min_score=1.0), DOME)

    assert isinstance(error, Error)
    assert error.code == "nothing_relevant"
    assert {each.collection for each in error.nearest} == {"guide", "journal"}


@pytest.mark.fault("one-of-several-collections")
@pytest.mark.parametrize("names", ["guide,nowhere", "nowhere,guide,journal"])
def test_a_missing_collection_is_named_in_the_error(names: str, settings: Settings) -> None:
    code, message, hint = error_of(events_of(replace(settings, collection=names), DOME))

    assert (code, hint) == ("store_missing", "streamrag ingest PATH -c nowhere")
    assert message.startswith("there is no collection 'nowhere' in ")


@pytest.mark.fault("one-of-several-collections")
def test_an_empty_collection_is_an_error_even_among_others(tmp_path: Path) -> None:
    settings = make_collection(tmp_path)
    write_files(tmp_path / "notes", {"only.md": "# Only\n\nThis is the only page of these notes.\n"})
    request = IngestRequest(paths=(tmp_path / "notes",), working_directory=tmp_path)
    *_, end = ingest(request, replace(settings, collection="notes"))
    assert isinstance(end, IngestDone)
    (tmp_path / "notes" / "only.md").unlink()
    *_, end = ingest(replace(request, allow_empty=True), replace(settings, collection="notes"))
    assert isinstance(end, IngestDone), end

    events = events_of(replace(settings, collection="default,notes"), "When does the fuel dock open?")

    assert error_of(events) == (
        "store_empty",
        "collection 'notes': nothing has been ingested into the collection",
        "streamrag ingest PATH -c notes",
    )


def test_a_question_is_embedded_once_for_collections_with_the_same_embedder(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        settings = Settings(
            store=tmp_path / "store", embedding="openai:words", base_url=server.base_url, api_key="none", min_score=0.0
        )
        for name, documents in {"guide": GUIDE, "journal": JOURNAL}.items():
            add(tmp_path, replace(settings, collection=name), documents)
        before = len(server.requests)
        hits = sources_of(events_of(replace(settings, collection="guide,journal"), DOME))
        requests = server.requests[before:]

    assert [each.json["input"] for each in requests] == [[DOME]]
    assert {each.collection for each in hits} == {"guide", "journal"}


def test_many_concurrent_questions_are_all_answered(settings: Settings) -> None:
    async def ask_all() -> list[tuple[Source, ...]]:
        async with SharedResources() as resources:
            service = LocalService(resources)

            async def ask() -> tuple[Source, ...]:
                question = Question(text=DOME, accepted_at=time.perf_counter())
                return sources_of([event async for event in service.search(question, settings)])

            return await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(40))), timeout=60)

    answers = asyncio.run(ask_all())

    assert len(answers) == 40
    assert len(set(answers)) == 1


def test_a_single_collection_gets_a_plain_retriever(settings: Settings) -> None:
    async def kind() -> type[object]:
        async with SharedResources() as resources, resources.searcher(replace(settings, collection="guide")) as opened:
            return type(opened)

    assert asyncio.run(kind()) is Retriever


def test_cosines_of_another_embedder_are_mapped_to_those_of_the_built_in_one() -> None:
    curve = CosineRange(unrelated=0.7, related=0.9).curve

    for cosine, same in ((0.7, 0.158), (0.9, 0.677)):
        assert curve.builtin_cosine(cosine) == pytest.approx(same)
        assert curve.score(cosine=cosine, coverage=0.5) == pytest.approx(BUILTIN_CURVE.score(cosine=same, coverage=0.5))
    assert BUILTIN_CURVE.builtin_cosine(0.4) == 0.4
