"""Finds the passages for a question, and selects their text to send to the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from urllib.parse import urlsplit

from streamrag_cli.addresses import is_web_address
from streamrag_cli.answer.excerpts import as_sources
from streamrag_cli.answer.focus import CHARS as FOCUSED_CHARS
from streamrag_cli.answer.focus import PASSAGES, focus, focused
from streamrag_cli.answer.stale_files import StaleFiles
from streamrag_cli.errors import LEAVE_OUT_FILTER, NothingRelevantError
from streamrag_cli.missing_files import find_missing_files
from streamrag_cli.model import Hit, Question, Source
from streamrag_cli.model_server.network_policy import is_this_machine
from streamrag_cli.remote.copies import Copies
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.retrieval.search_hints import improve_hint
from streamrag_cli.retrieval.several import Searcher
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.time_limit import RETRIEVAL_LIMIT_S, Cancellation, TimeLimit

_CITED_SHARE = 3
"""The passages that the previous answer cites get at most 1/`_CITED_SHARE` of the other passages' characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The passages for a question.

    `retrieved` contains the hits from the search, `cited` the other passages that the previous answer cites. The cited
    passages are ranked after the hits. `sources` contains both. `texts` and `cited_texts` contain the text of each
    passage to send to the model. `stale` is the check of the files that contain `sources`; None if the files may be on
    another machine.
    """

    retrieved: Retrieved
    sources: tuple[Source, ...]
    texts: Sequence[str] = ()
    cited: tuple[Hit, ...] = ()
    cited_texts: Sequence[str] = ()
    stale: StaleFiles | None = None


def find_context(
    question: Question,
    settings: Settings,
    retriever: Searcher,
    cancellation: Cancellation,
    *,
    cited: Sequence[str] = (),
    for_model: bool,
    for_visitors: bool,
) -> Context:
    """Find the passages for a question and, if a model answers it (`for_model`), choose the text to send for each.

    - If only parts of the passages are sent, the text is chosen from at least nine passages, except for clients of a
      server (`for_visitors`). Passages from which nothing is chosen are left out.
    - `cited`: the ids of the chunks that the previous answer cites. They are used only if a model answers.

    Both steps are in one function, because under load each call waits for a free thread.
    """
    chars = _context_chars(settings) if for_model else None
    has_local_files = open_store(settings.store).has_local_files
    find_missing = find_missing_files if has_local_files and not for_visitors else None
    try:
        retrieved = retriever.retrieve(
            question.text,
            history=question.history,
            limit=max(settings.top_k, PASSAGES) if chars is not None and not for_visitors else settings.top_k,
            min_score=settings.min_score,
            scope=question.filter,
            find_missing=find_missing,
            cancellation=cancellation,
        )
    except NothingRelevantError as error:
        # A server's client must not see passages below the minimum score that its operator has set.
        nearest = () if for_visitors else error.nearest
        error.nearest = tuple(source for each in nearest for source in _sources(each, question, settings))
        if not for_visitors:
            _improve_hint(error, question, settings, retriever, cancellation)
        elif error.code == "nothing_relevant" and not question.filter.is_empty:
            error.hint = LEAVE_OUT_FILTER
        raise
    texts: Sequence[str] = ()
    if chars is not None:
        started = perf_counter()
        retrieved, texts = focus(retrieved, retriever.embedder, chars=chars, whole=settings.top_k)
        retrieved = replace(retrieved, spent_ms={**retrieved.spent_ms, "focus": (perf_counter() - started) * 1000})
    context = Context(
        retrieved=retrieved, sources=_sources(retrieved, question, settings), texts=texts or _whole(retrieved)
    )
    if not (for_model and cited):
        return _with_check(context, retriever, cancellation) if has_local_files else context
    also = retriever.cited_passages(
        retrieved, cited, scope=question.filter, find_missing=find_missing, cancellation=cancellation
    )
    cited_texts = _whole(also)
    if chars is not None and sum(map(len, cited_texts)) > chars // _CITED_SHARE:
        chosen = focused(also, retriever.embedder, chars=chars // _CITED_SHARE)
        also = replace(also, hits=_renumbered([hit for hit, text in zip(also.hits, chosen, strict=True) if text]))
        cited_texts = [text for text in chosen if text]
    context = replace(
        context, sources=context.sources + _sources(also, question, settings), cited=also.hits, cited_texts=cited_texts
    )
    return _with_check(context, retriever, cancellation) if has_local_files else context


def _with_check(context: Context, retriever: Searcher, cancellation: Cancellation) -> Context:
    records = retriever.documents((*context.retrieved.hits, *context.cited), cancellation)
    return replace(context, stale=StaleFiles(context.sources, records))


def _improve_hint(
    error: NothingRelevantError, question: Question, settings: Settings, retriever: Searcher, cancellation: Cancellation
) -> None:
    if isinstance(retriever, Retriever):
        with retriever.reader.snapshot(TimeLimit(RETRIEVAL_LIMIT_S, cancellation)):
            improve_hint(error, question.filter, settings, retriever.reader.catalog)
    else:
        improve_hint(error, question.filter, settings, None)


def _sources(retrieved: Retrieved, question: Question, settings: Settings) -> tuple[Source, ...]:
    sources = as_sources(
        retrieved.hits,
        retrieved.term_weights,
        retrieved.codes,
        question=question.text,
        with_matches=question.with_matches,
    )
    return tuple(_with_url(source, hit, settings) for source, hit in zip(sources, retrieved.hits, strict=True))


def _with_url(source: Source, hit: Hit, settings: Settings) -> Source:
    if not is_web_address(hit.path):
        return source
    if not settings.state_directory:
        return replace(source, url=hit.path)
    from streamrag_cli.remote.web.links import link_to  # imported here because most collections have no web pages

    collection = hit.collection or settings.collection
    copies = Copies.of(settings.state_directory, str(open_store(settings.store)), collection)
    return replace(source, url=link_to(hit.path, hit.chunk.headings, copies))


def _whole(retrieved: Retrieved) -> list[str]:
    return [hit.chunk.text for hit in retrieved.hits]


def _renumbered(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits, renumbered with consecutive ranks that start at the rank of the first hit."""
    return tuple(replace(hit, rank=hits[0].rank + at) for at, hit in enumerate(hits))


def _context_chars(settings: Settings) -> int | None:
    """How many characters from the sources are sent to the model; None for whole passages."""
    if not settings.names_a_model or settings.context == "full":
        return None
    if settings.context.isdecimal():
        return int(settings.context)
    try:
        host = urlsplit(settings.base_url or "").hostname
    except ValueError:  # an invalid URL, which is reported when the request is sent
        host = None
    return FOCUSED_CHARS if settings.context or (host and is_this_machine(host)) else None
