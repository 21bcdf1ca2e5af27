"""The parameters of a question (in the URL or in the body), and checks of what a client may request."""

import re
import time
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from streamrag_cli.answer.model_choice import DEFAULT_MODEL
from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.documents.filters import FilterWords, pattern_for_names, read_filter
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Filter, Question, Turn
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.setting_row import MAX_TOP_K
from streamrag_cli.settings import Settings, with_request

_MAX_NAME_CHARS: Final = 200
_MAX_FIELDS: Final = 100
_MAX_WORDS: Final = 20
_MAX_WORD_CHARS: Final = 500
"""The maximum number of characters in a value of a filter. A filter has at most `_MAX_WORDS` values of each kind."""
MAX_COLLECTIONS: Final = 8
"""The maximum number of collections in a request."""
MAX_TURNS: Final = 20
"""The maximum number of earlier turns in a request."""
MAX_ANSWER_CHARS: Final = 100_000
"""The maximum length of an earlier answer in a request."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Words = Annotated[
    list[Annotated[str, Field(max_length=_MAX_WORD_CHARS)]] | None,
    Field(max_length=_MAX_WORDS, fail_fast=True),
    BeforeValidator(_as_list),
]


class FilterParameters(BaseModel):
    """The fields that restrict a question to some documents. Each list may also be one string."""

    model_config = ConfigDict(populate_by_name=False)

    in_: Annotated[
        _Words,
        Field(alias="in", description="Names of documents, as in `sources`, or patterns; a folder includes its files."),
    ] = None
    since: Annotated[
        str | None,
        Field(max_length=_MAX_WORD_CHARS, description="Only files modified since this date or age, such as 7d."),
    ] = None
    format: Annotated[_Words, Field(description="Only these formats or suffixes, such as pdf.")] = None
    tag: Annotated[_Words, Field(description="Only documents with all of these tags.")] = None

    def filter(self) -> Filter:
        """Convert the fields to a filter, whose patterns match only names that clients see.

        Raises UsageError `bad_filter` or `bad_request`.
        """
        words = FilterWords(within=self.in_ or (), since=self.since, formats=self.format or (), tags=self.tag or ())
        for each in words.arguments(""):
            check_text(each, name="the filter")
        return read_filter(words, now_s=time.time(), pattern_of=pattern_for_names, prefix="")


class QueryParameters(FilterParameters):
    """The parameters of a question. If a parameter is omitted, the server's setting applies."""

    model_config = ConfigDict(extra="forbid", strict=False, title="Question")

    query: Annotated[str | None, Field(max_length=MAX_QUESTION_CHARS, description="The question.")] = None
    k: Annotated[int | None, Field(ge=1, le=MAX_TOP_K, description="How many sources to retrieve.")] = None
    collection: Annotated[str | None, Field(max_length=63, description="Collection to ask.")] = None
    collections: Annotated[
        list[Annotated[str, Field(max_length=63)]] | None,
        Field(
            min_length=1,
            max_length=MAX_COLLECTIONS,
            fail_fast=True,
            description="Collections to search, if there are several.",
        ),
        BeforeValidator(_as_list),
    ] = None
    min_score: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, description="Minimum score of a source.")
    ] = None
    model: Annotated[str | None, Field(max_length=_MAX_NAME_CHARS, description="Model that writes the answer.")] = None
    matches: Annotated[
        bool, Field(description="Whether sources include `matches`, the positions of the words to highlight.")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _drop_surplus_fields(cls, body: Any) -> Any:
        """Keep the first `_MAX_FIELDS` fields. They include an unknown one, so the body is rejected anyway."""
        return dict(islice(body.items(), _MAX_FIELDS)) if isinstance(body, dict) else body


class EarlierTurn(BaseModel):
    """An earlier question and its answer, which is empty if the question was not answered."""

    model_config = ConfigDict(extra="forbid", strict=False)

    question: Annotated[str, Field(max_length=MAX_QUESTION_CHARS)]
    answer: Annotated[str, Field(max_length=MAX_ANSWER_CHARS)] = ""


class QuestionBody(QueryParameters):
    """The parameters of a question in a request body."""

    history: Annotated[
        list[EarlierTurn] | None,
        Field(max_length=MAX_TURNS, fail_fast=True, description="The earlier turns of the conversation, oldest first."),
    ] = None


class PassageParameters(BaseModel):
    """The parameters of `/passage`."""

    model_config = ConfigDict(extra="forbid", strict=False, title="Passage")

    chunk_id: Annotated[str, Field(min_length=1, max_length=_MAX_NAME_CHARS, description="The `chunk_id` of a source.")]
    collection: Annotated[str | None, Field(max_length=63, description="Collection of the source.")] = None


UrlParameters = Annotated[QueryParameters, Query()]


def merge_parameters(in_url: QueryParameters, body: QuestionBody | None) -> QuestionBody:
    """Combine the parameters from the URL and the body; the body takes precedence."""
    merged = body or QuestionBody()
    has_target = merged.collection is not None or merged.collections is not None
    taken = {"collection", "collections"} if has_target else set()
    added = {name: value for name, value in in_url if getattr(merged, name) is None and name not in taken}
    return merged.model_copy(update=added)


def question_of(parameters: QueryParameters) -> Question:
    """Create the question and start its timings. Raises UsageError: `empty_question`, `bad_request` (invalid text)."""
    query = parameters.query or ""
    check_text(query)
    if not query.strip():
        raise UsageError("the question is empty", code="empty_question")
    earlier = parameters.history if isinstance(parameters, QuestionBody) else None
    return Question(
        text=query,
        accepted_at=time.perf_counter(),
        history=tuple(map(_turn, earlier or ())),
        filter=parameters.filter(),
        with_matches=parameters.matches,
    )


def _turn(earlier: EarlierTurn) -> Turn:
    check_text(earlier.question, name="an earlier question")
    check_text(earlier.answer, name="an earlier answer")
    return Turn(question=earlier.question, answer=earlier.answer)


def settings_of(request: Request, parameters: QueryParameters) -> Settings:
    """The server's settings, with the parameters of this request applied as far as the operator allows.

    Raises UsageError `bad_request` and RefusedError: `no_such_collection`, `model_not_allowed`.
    """
    serving: Serving = request.app.state.serving
    settings = _with_request(parameters, serving.settings)
    _check_allowed(settings, serving)
    entry_of(request.scope).collection = settings.collection
    return settings


def _with_request(parameters: QueryParameters, settings: Settings) -> Settings:
    values: Mapping[str, Any] = {
        "top_k": parameters.k,
        "collection": parameters.collections or parameters.collection,
        "min_score": parameters.min_score,
        "model": parameters.model,
    }
    if parameters.collection is not None and parameters.collections is not None:
        raise UsageError(
            "collection and collections cannot be combined",
            code="bad_request",
            hint='send only the field "collections"',
        )
    try:
        return with_request(settings, values)
    except UsageError as error:
        name = error.message.partition(":")[0]
        alternative = ", or send a collection that GET /collections lists" if name == "collection" else ""
        error.hint = f'leave out the field "{name}"{alternative}'
        raise


def _check_allowed(requested: Settings, serving: Serving) -> None:
    """Check that the operator allows the collections, the model, `top_k` and `min_score` in `requested`."""
    own = serving.settings
    refused = next((each for each in requested.collections if not serving.serves(each)), None)
    if refused is not None:
        raise RefusedError(
            404,
            f"this server does not serve the collection {refused!r}",
            code="no_such_collection",
            hint="see GET /collections for the served collections",
        )
    own_model = DEFAULT_MODEL if own.model is None and own.base_url is None and own.api_key else own.model
    if requested.model not in {own.model, own_model, *serving.server.allow_model}:
        raise RefusedError(
            403,
            f"clients of this server may not choose the model {requested.model!r}",
            code="model_not_allowed",
            hint='leave out the field "model"',
        )
    if requested.top_k > own.top_k:
        raise UsageError(
            f"k: this server returns at most {own.top_k} sources",
            code="bad_request",
            hint=f"set k to at most {own.top_k}",
        )
    if requested.min_score < own.min_score:
        raise UsageError(
            f"min_score: this server requires at least {own.min_score:g}",
            code="bad_request",
            hint=f"set min_score to at least {own.min_score:g}",
        )


def check_text(text: str, *, name: str = "the question") -> None:
    """Raise UsageError `bad_request` if the text contains NUL or surrogate characters."""
    if "\0" in text or _SURROGATE.search(text):
        raise UsageError(
            f"{name} contains NUL or surrogate characters",
            code="bad_request",
            hint="send plain text",
        )
