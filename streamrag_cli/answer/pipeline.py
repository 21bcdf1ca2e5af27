"""Turns a question into events: retrieve, show sources, answer, resolve citations.

Every front end consumes this stream. It ends with exactly one `Done` or `Error`, unless the consumer closes it early,
which also closes the connection to the model.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

from streamrag_cli.answer.chat_model import warm_up_client
from streamrag_cli.answer.citations import lacks_citations, resolve
from streamrag_cli.answer.clock import Clock
from streamrag_cli.answer.context import Context, find_context
from streamrag_cli.answer.conversation import generate_with_history
from streamrag_cli.answer.generation import answer_limits, cut_notice, model_endpoint
from streamrag_cli.answer.model_choice import connect_hint, find_local_servers
from streamrag_cli.answer.quoting import pick_quotes, pieces
from streamrag_cli.answer.rewriting import RewriteFailedError, self_contained_question
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.answer.stale_files import BRIEFLY_S, StaleFiles
from streamrag_cli.answer.support import unsupported
from streamrag_cli.errors import ExitCode, StreamragError, UsageError
from streamrag_cli.events import (
    NO_CITATIONS,
    QUOTES_ONLY,
    THINKING_SHOWN,
    AskEvent,
    Citations,
    Done,
    Error,
    Notice,
    QuestionAsked,
    Sources,
    Status,
    Token,
    as_event,
)
from streamrag_cli.missing_files import LIMIT_S
from streamrag_cli.model import Question, Source
from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.retrieval.follow_up import earlier_questions
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.retrieval.several import Searcher
from streamrag_cli.settings import Settings
from streamrag_cli.store.time_limit import Cancellation
from streamrag_cli.system_errors import exhausted_resource
from streamrag_cli.text import sanitise, sanitise_line

QUOTING_MODEL: Final = "quotes"
MAX_QUESTION_CHARS: Final = 20_000
_LEXICAL_ONLY: Final = (
    "the built-in embedder supports only English: results match the question's words, not its meaning"
)
_log = logging.getLogger(__name__)


def ask(question: Question, settings: Settings, resources: SharedResources) -> AsyncGenerator[AskEvent, None]:
    """Answer a question. The module `events` documents the order of the events."""
    return _with_final_event(_answer(question, settings, resources))


def search(question: Question, settings: Settings, resources: SharedResources) -> AsyncGenerator[AskEvent, None]:
    """Find the sources without answering. Yields one `Sources` or one `Error`, perhaps after a `Notice`."""
    return _with_final_event(_search_events(question, settings, resources))


async def _with_final_event(events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
    async with aclosing(events):
        try:
            async for event in events:
                yield event
        except StreamragError as error:
            _log.debug("the answer failed", exc_info=error)
            yield as_event(error)
        except Exception as error:  # noqa: BLE001 - the bug is logged and reported as an event
            if exhausted := exhausted_resource(error):
                _log.debug("the answer failed", exc_info=error)
                yield as_event(exhausted)
                return
            # An HTTP client has already received status 200: the error can only be reported in the stream.
            _log.exception("the answer failed because of a bug")
            yield Error(
                message="internal error: this is a bug in streamrag",
                code="internal_error",
                hint="run the same command with --debug and report its output",
                retryable=False,
                exit_code=ExitCode.BUG,
            )


async def _answer(question: Question, settings: Settings, resources: SharedResources) -> AsyncGenerator[AskEvent, None]:
    _check_question(question.text)
    async with (
        resources.searcher(settings) as retriever,
        aclosing(_events(question, settings, resources, retriever)) as events,
    ):
        async for event in events:
            yield event


async def _events(
    question: Question, settings: Settings, resources: SharedResources, retriever: Searcher
) -> AsyncGenerator[AskEvent, None]:
    clock = Clock(question)
    clock.end("open the collection")
    if settings.names_a_model:
        # Importing the HTTP client during retrieval makes the first token arrive 5% sooner.
        asyncio.get_running_loop().run_in_executor(None, warm_up_client, settings.model_scheme)
    searched = _to_search(question, settings)
    notices: list[Notice] = []
    if question.history and settings.rewrite == "model":
        yield Status(status="retrieving", detail="rewriting the question")
        try:
            rewritten = await self_contained_question(question, settings, resources)
            searched = replace(question, text=rewritten, history=())
        except RewriteFailedError as error:
            notices.append(Notice(message=f"the follow-up question was not rewritten: {error}", code="rewrite_failed"))
        clock.end("rewrite")
    if question.is_in_conversation:
        yield _question_event(question, searched)
    for notice in notices:
        yield notice
    answer_events = _search_and_answer(
        question, searched, clock, settings=settings, resources=resources, retriever=retriever
    )
    async with aclosing(answer_events) as events:
        async for event in events:
            yield event


async def _search_and_answer(
    question: Question,
    searched: Question,
    clock: Clock,
    *,
    settings: Settings,
    resources: SharedResources,
    retriever: Searcher,
) -> AsyncGenerator[AskEvent, None]:
    """Search for `searched`, answer `question`, and yield the events from both."""
    yield Status(status="retrieving", detail=await _describe_search(retriever, resources))
    find = partial(
        find_context,
        searched,
        settings,
        retriever,
        cited=question.history[-1].cited if question.history else (),
        for_model=settings.names_a_model,
        for_visitors=resources.for_visitors,
    )
    context, stale_notices = await retriever.in_thread(partial(_checked, find, BRIEFLY_S))
    retrieved, sources = context.retrieved, context.sources
    clock.end("retrieval", retrieved.spent_ms)
    yield Sources(sources=sources)
    for notice in stale_notices:
        yield notice
    if retrieved.is_lexical_only:
        yield Notice(message=_LEXICAL_ONLY, code="language_unsupported")
    endpoint = await model_endpoint(settings)
    if endpoint is None:
        answer_events = _answer_with_quotes(
            searched, retrieved, retriever, clock, settings, for_visitors=resources.for_visitors
        )
    else:
        answer_events = generate_with_history(
            question, context, endpoint, settings=settings, clock=clock, resources=resources
        )
    answer: list[str] = []
    async with aclosing(answer_events):
        async for event in answer_events:
            if isinstance(event, Token):
                answer.append(event.text)
            if event is THINKING_SHOWN:
                answer.clear()
            if isinstance(event, Done):
                judge = partial(_citation_events, "".join(answer), sources, question, event, is_quoted=endpoint is None)
                for each in await run_in_new_thread(judge):  # takes up to 0.1 s, which would delay other answers
                    yield each
                if context.stale:
                    for each in await _late_notices(context.stale):
                        yield each
            yield event


def _citation_events(
    answer: str, sources: Sequence[Source], question: Question, done: Done, *, is_quoted: bool
) -> list[Citations | Notice]:
    """The citations in the answer, judged if a model wrote it, and a notice if citations are missing."""
    citations = resolve(answer, sources)
    if is_quoted:
        return [citations]
    known = [
        question.text,
        question.extra,
        *(text for each in question.history for text in (each.question, each.answer)),
    ]
    judged = replace(citations, unsupported=unsupported(answer, sources, known))
    lacks_some = bool(sources) and done.finish_reason == "stop" and lacks_citations(answer)
    return [judged, NO_CITATIONS] if lacks_some else [judged]


def _to_search(question: Question, settings: Settings) -> Question:
    """The question to search for, without its earlier turns if the search does not use them."""
    return replace(question, history=()) if settings.rewrite == "off" else question


def _question_event(question: Question, searched: Question) -> QuestionAsked:
    queries = (searched.text, *earlier_questions(searched.text, searched.history))
    return QuestionAsked(
        n=question.turn_number,
        thread=sanitise_line(question.thread),
        text=sanitise(question.text),
        searched_for=tuple(map(sanitise_line, queries)),
    )


async def _search_events(
    question: Question, settings: Settings, resources: SharedResources
) -> AsyncGenerator[AskEvent, None]:
    _check_question(question.text, noun="query", command='streamrag search "QUERY"')
    async with resources.searcher(settings) as retriever:
        searched = _to_search(question, settings)
        find = partial(
            find_context, searched, settings, retriever, for_model=False, for_visitors=resources.for_visitors
        )
        context, stale_notices = await retriever.in_thread(partial(_checked, find, LIMIT_S))
    for notice in stale_notices:
        yield notice
    yield Sources(sources=context.sources)


def _checked(
    find: Callable[[Cancellation], Context], wait_s: float, cancellation: Cancellation
) -> tuple[Context, list[Notice]]:
    """Return the result of `find`, and the notices about stale files that are known after `wait_s`. Blocking."""
    context = find(cancellation)
    return context, context.stale.notices(wait_s) if context.stale else []


async def _late_notices(stale: StaleFiles) -> list[Notice]:
    """Return the remaining notices for stale files as soon as their check is complete."""
    return stale.notices(0.0) if stale.is_done else await run_in_new_thread(stale.notices)


async def _describe_search(retriever: Searcher, resources: SharedResources) -> str:
    """The status text for a user at the terminal. It is empty for a server's clients, which do not show it."""
    if resources.for_visitors:
        return ""
    return f"searching {await retriever.in_thread(retriever.count_chunks):,} passages"


def _check_question(question: str, *, noun: str = "question", command: str = 'streamrag ask "QUESTION"') -> None:
    if not question.strip():
        raise UsageError(f"the {noun} is empty", code="empty_question", hint=command)
    if len(question) > MAX_QUESTION_CHARS:
        raise UsageError(
            f"the {noun} has {len(question)} characters, more than the limit of {MAX_QUESTION_CHARS}",
            code="question_too_long",
            hint='pass long text on stdin: streamrag ask --stdin "QUESTION" < FILE' if noun == "question" else command,
        )


async def _answer_with_quotes(
    question: Question,
    retrieved: Retrieved,
    retriever: Searcher,
    clock: Clock,
    settings: Settings,
    *,
    for_visitors: bool,
) -> AsyncGenerator[AskEvent, None]:
    clock.end("context")
    yield Status(status="generating", detail="choosing quotes")
    pick = partial(pick_quotes, question.text, retrieved, max_hits=len(retrieved.hits), embedder=retriever.embedder)
    pick_in_thread = retriever.in_thread(
        lambda cancel: pick(chunk_after=partial(retriever.chunk_after, cancellation=cancel), cancellation=cancel)
    )
    if for_visitors:
        quotes = await pick_in_thread
        yield QUOTES_ONLY
    else:
        quotes, servers = await asyncio.gather(pick_in_thread, asyncio.to_thread(find_local_servers))
        advice = connect_hint(servers, "streamrag ask", " QUESTION")
        yield replace(QUOTES_ONLY, message=f"{QUOTES_ONLY.message}; {advice}")
    if not quotes:
        raise UsageError(
            "the sources contain no sentence to quote", code="nothing_to_quote", hint="streamrag search QUESTION"
        )
    limit = answer_limits(question, settings).tokens
    words = list(pieces(quotes, stop=question.stop))
    for piece in words[:limit]:
        clock.token()
        yield Token(text=sanitise(piece))
    reason = "stop"
    if len(words) > limit:
        reason = "length"
        yield cut_notice(f"{limit} tokens")
    yield Done(finish_reason=reason, model=QUOTING_MODEL, usage=None, timings=clock.timings(None, is_written=False))
