"""Turns a model's reply into events: tokens, notices, and how the answer ended."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from streamrag_cli.answer.chat_model import (
    ModelActivity,
    ModelDidNotStream,
    ModelFinished,
    ModelLoading,
    ModelPiece,
    ModelRetractsThinking,
    ModelRetrying,
    ModelText,
    stream_chat,
)
from streamrag_cli.answer.chat_request import AnswerLimits
from streamrag_cli.answer.clock import Clock
from streamrag_cli.answer.leaked_mark import LeakedMarkFilter
from streamrag_cli.answer.model_choice import choose_endpoint
from streamrag_cli.answer.prompt import Message
from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.errors import ConfigurationError, StreamragError
from streamrag_cli.events import THINKING_SHOWN, AskEvent, Done, Notice, Status, Token
from streamrag_cli.model import Question
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.errors import empty_answer
from streamrag_cli.model_server.model_cache import ModelCache, RefusedDefaults
from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.setting_row import DEFAULT_ANSWER_TOKENS, DEFAULT_TEMPERATURE
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise, sanitise_line


async def model_endpoint(settings: Settings) -> ModelEndpoint | None:
    choose = partial(
        choose_endpoint,
        model=settings.model,
        base_url=settings.base_url,
        api_key=settings.api_key,
        timeout_s=settings.timeout_s,
        known=ModelCache(settings.state_directory),
    )
    # Only the request for a server's list of models blocks. It gets a new thread, because under load it takes seconds
    # until a thread in the pool is free.
    return choose() if settings.model or not settings.base_url else await run_in_new_thread(choose)


async def generate(
    question: Question,
    prompt: Sequence[Message],
    endpoint: ModelEndpoint,
    *,
    mark: str = "",
    settings: Settings,
    clock: Clock,
    resources: SharedResources,
) -> AsyncGenerator[AskEvent, None]:
    """Stream the model's answer. If the server no longer has the cached model, use the model that it has now.

    `mark` separates the sources in the prompt; it is removed from the answer.
    """
    model_cache = ModelCache(settings.state_directory)
    generate_with = partial(
        _generate_with, question, prompt, mark=mark, settings=settings, clock=clock, resources=resources
    )
    is_cached_model = not settings.model and endpoint.model == model_cache.get(endpoint.url)
    try:
        async with aclosing(generate_with(endpoint=endpoint)) as events:
            async for event in events:
                yield event
    except ConfigurationError as error:
        if not is_cached_model or error.code != "no_such_model":
            raise
        model_cache.forget(endpoint.url)
        refreshed = await model_endpoint(settings)
        if refreshed is None or refreshed == endpoint:
            raise
    else:
        return
    async with aclosing(generate_with(endpoint=refreshed)) as events:
        async for event in events:
            yield event


async def _generate_with(
    question: Question,
    prompt: Sequence[Message],
    endpoint: ModelEndpoint,
    *,
    mark: str,
    settings: Settings,
    clock: Clock,
    resources: SharedResources,
) -> AsyncGenerator[AskEvent, None]:
    waiting = f"waiting for {sanitise_line(endpoint.model)}"
    yield Status(status="generating", detail=waiting)
    clock.end("context")
    refused = RefusedDefaults(settings.state_directory, endpoint)
    stream = stream_chat(
        prompt,
        endpoint=endpoint,
        timeout_s=settings.timeout_s,
        client_for=resources.client,
        limits=answer_limits(question, settings),
        options=question.options,
        defaults=refused.without(_defaults(endpoint, settings, mark)),
        on_refused=refused.remember,
        on_step=clock.end,
    )
    loading = False
    leaks = LeakedMarkFilter(mark)
    async with aclosing(_with_rest(stream, leaks)) as parts:
        async for part in parts:
            match part:
                case ModelText(text=text):
                    if safe := sanitise(text):
                        clock.token()
                        yield Token(text=safe)
                case ModelRetrying(number=number, limit=limit):
                    yield Status(status="retrying", detail=f"{waiting}, retry {number} of {limit}")
                    yield Notice(message=retry_message(part), code="retrying")
                case ModelLoading(limit_s=limit_s):
                    yield Status(status="retrying", detail=f"{waiting} to load")
                    if not loading:
                        loading = True
                        message = (
                            f"the model server is loading {sanitise_line(endpoint.model)}: waiting up to {limit_s:g} s"
                        )
                        yield Notice(message=message, code="model_loading")
                case ModelDidNotStream():
                    yield Notice(
                        message="the model server does not stream: the answer arrived in one piece", code="not_streamed"
                    )
                case ModelRetractsThinking():
                    yield THINKING_SHOWN
                case ModelActivity():
                    pass
                case ModelFinished() as finished:
                    for event in _final_events(finished, endpoint, clock):
                        yield event


async def _with_rest(stream: AsyncGenerator[ModelPiece, None], leaks: LeakedMarkFilter) -> AsyncGenerator[ModelPiece]:
    """Yield the pieces without the prompt's mark. Text that was held back is yielded even if the stream fails."""
    async with aclosing(stream):
        try:
            async for part in stream:
                match part:
                    case ModelText(text=text):
                        if shown := leaks.feed(text):
                            yield ModelText(text=shown)
                        continue
                    case ModelRetractsThinking():
                        leaks.discard()
                    case ModelFinished():
                        if rest := leaks.finish():
                            yield ModelText(text=rest)
                    case _:
                        pass
                yield part
        except StreamragError:
            if rest := leaks.finish():
                yield ModelText(text=rest)
            raise


def _defaults(endpoint: ModelEndpoint, settings: Settings, mark: str) -> dict[str, object]:
    """The parameters that are sent by default: a low temperature, and the mark as a stop sequence.

    OpenAI gets only a configured temperature: its models do not repeat the mark, and some of them refuse `stop` and
    every `temperature` except 1.
    """
    temperature = settings.temperature
    if temperature is None and not endpoint.is_openai:
        temperature = DEFAULT_TEMPERATURE
    defaults: dict[str, object] = {} if temperature is None else {"temperature": temperature}
    return defaults | ({"stop": [mark]} if mark and not endpoint.is_openai else {})


def _final_events(finished: ModelFinished, endpoint: ModelEndpoint, clock: Clock) -> list[AskEvent]:
    if not clock.pieces:
        raise empty_answer(finished.finish_reason, "", endpoint)
    cut_short = {
        "length": "the model reached its token limit, so the answer is cut off",
        "content_filter": "the model server's content filter withheld the rest of the answer",
    }
    events: list[AskEvent] = []
    if finished.finish_reason not in {"stop", *cut_short}:
        reason = finished.finish_reason
        message = f'the answer may be incomplete: the model server ended it for an unrecognised reason, "{reason}"'
        events.append(Notice(message=message, code="finish_unknown"))
    if finished.cut_at:
        events.append(cut_notice(finished.cut_at))
    elif finished.finish_reason in cut_short:
        events.append(Notice(message=cut_short[finished.finish_reason], code=f"finish_{finished.finish_reason}"))
    done = Done(
        finish_reason=finished.finish_reason,
        model=sanitise_line(finished.model),
        usage=finished.usage,
        timings=clock.timings(finished.usage),
    )
    return [*events, done]


def retry_message(retry: ModelRetrying) -> str:
    """The message that explains why and when the request is sent again.

    >>> retry_message(ModelRetrying(message="localhost:8000 is busy", wait_s=0.5, number=1, limit=2))
    'localhost:8000 is busy; retry 1 of 2 in 0.5 s'
    """
    return f"{sanitise_line(retry.message)}; retry {retry.number} of {retry.limit} in {round(retry.wait_s, 1):g} s"


def cut_notice(limit: str) -> Notice:
    return Notice(message=f"the answer was cut off at the limit of {limit}", code="finish_length")


def answer_limits(question: Question, settings: Settings) -> AnswerLimits:
    """The limits from the settings, with a lower token limit if the question requests one."""
    maximum = settings.max_answer_tokens
    requested = question.max_tokens
    return AnswerLimits(
        tokens=maximum if requested is None else min(requested, maximum),
        seconds=settings.max_answer_s,
        asks_server=requested is not None or maximum != DEFAULT_ANSWER_TOKENS,
    )
