"""What a client may ask for, read once for all routes and both methods."""

import time
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamrag_cli.answer.model_choice import DEFAULT_MODEL
from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Question
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server.request_log import entry_of
from streamrag_cli.server.serving import Serving
from streamrag_cli.setting_row import MAX_TOP_K
from streamrag_cli.settings import Settings, with_request

_MOST_NAME_CHARS: Final = 200
_MOST_FIELDS: Final = 100


class QueryParameters(BaseModel):
    """A question and how to answer it; whatever is left out is as the server was started."""

    model_config = ConfigDict(extra="forbid", strict=False, title="Question")

    query: Annotated[str | None, Field(max_length=MAX_QUESTION_CHARS, description="The question.")] = None
    k: Annotated[int | None, Field(ge=1, le=MAX_TOP_K, description="How many sources to retrieve.")] = None
    collection: Annotated[str | None, Field(max_length=63, description="Collection to ask.")] = None
    min_score: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, description="Sources that score lower are dropped.")
    ] = None
    model: Annotated[str | None, Field(max_length=_MOST_NAME_CHARS, description="Model that writes the answer.")] = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_surplus_fields(cls, body: Any) -> Any:
        """The first fields of a body with far too many: one unknown field is refused as all are, but in time."""
        return dict(islice(body.items(), _MOST_FIELDS)) if isinstance(body, dict) else body


AskedInUrl = Annotated[QueryParameters, Query()]


def merge_parameters(in_url: QueryParameters, body: QueryParameters | None) -> QueryParameters:
    """One request out of its two places; the body wins."""
    given = {} if body is None else body.model_dump(exclude_none=True)
    return in_url.model_copy(update=given)


def question_of(asked: QueryParameters) -> Question:
    """The question, accepted now. Raises UsageError: `empty_question`, `bad_request` for text that is none."""
    query = asked.query or ""
    check_text(query)
    if not query.strip():
        raise UsageError("the question is empty", code="empty_question")
    return Question(text=query, accepted_at=time.perf_counter())


def settings_of(request: Request, asked: QueryParameters) -> Settings:
    """The server's settings with what this request asks for, within what its operator allows.

    Raises UsageError `bad_request` and RefusedError: `no_such_collection`, `model_not_allowed`.
    """
    serving: Serving = request.app.state.serving
    settings = _with_request(asked, serving.settings)
    _check_allowed(settings, serving)
    entry_of(request.scope).collection = settings.collection
    return settings


def _with_request(asked: QueryParameters, settings: Settings) -> Settings:
    values: Mapping[str, Any] = {
        "top_k": asked.k,
        "collection": asked.collection,
        "min_score": asked.min_score,
        "model": asked.model,
    }
    try:
        return with_request(settings, values)
    except UsageError as error:
        name = error.message.partition(":")[0]
        listed = ", or take one that GET /collections lists" if name == "collection" else ""
        error.hint = f"leave out {name}{listed}"
        raise


def _check_allowed(asked: Settings, serving: Serving) -> None:
    """Whether `asked` reads no other documents, and costs no more, than the server's own settings."""
    own = serving.settings
    if not serving.answers_from(asked.collection):
        raise RefusedError(
            404,
            f"no collection {asked.collection!r} is served here",
            code="no_such_collection",
            hint="GET /collections lists those that are",
        )
    own_model = DEFAULT_MODEL if own.model is None and own.base_url is None and own.api_key else own.model
    if asked.model not in {own.model, own_model, *serving.server.allow_model}:
        raise RefusedError(
            403,
            f"clients of this server may not choose the model {asked.model!r}",
            code="model_not_allowed",
            hint="leave out the model",
        )
    if asked.top_k > own.top_k:
        raise UsageError(
            f"k: at most {own.top_k} sources are given here",
            code="bad_request",
            hint=f"ask for {own.top_k} or fewer",
        )
    if asked.min_score < own.min_score:
        raise UsageError(
            f"min_score: at least {own.min_score:g} here",
            code="bad_request",
            hint=f"ask for {own.min_score:g} or more",
        )


def check_text(text: str) -> None:
    """Raises UsageError `bad_request`."""
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise UsageError(
            "the question contains NUL or surrogate characters",
            code="bad_request",
            hint="send the question as plain text",
        )
