"""Parses chat requests for OpenAI's API and refuses unsupported options."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from streamrag_cli.answer.pipeline import MAX_QUESTION_CHARS
from streamrag_cli.errors import UsageError
from streamrag_cli.model import Filter, Question, Turn
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server.requests import FilterParameters, check_text

MODEL: Final = "streamrag"
_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_PASSED_ON: Final = ("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty")
_Number = Annotated[float | None, Field(allow_inf_nan=False)]
_Tokens = Annotated[int | None, Field(ge=1)]
_MOST_ENTRIES: Final = 1000


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    text: str = ""


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | Annotated[list[Part], Field(max_length=_MOST_ENTRIES, fail_fast=True)] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""

    @property
    def kinds(self) -> set[str]:
        """The types of the message's parts."""
        return {part.type for part in self.content} if isinstance(self.content, list) else {"text"}


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(FilterParameters):
    """The body of a chat request in OpenAI's format, which may also include filter fields.

    Sampling options are passed on to the model; unknown fields are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=200)] = MODEL
    messages: Annotated[list[Message], Field(min_length=1, max_length=_MOST_ENTRIES, fail_fast=True)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: _Number = None
    top_p: _Number = None
    max_tokens: _Tokens = None
    max_completion_tokens: _Tokens = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: int | None = None
    presence_penalty: _Number = None
    frequency_penalty: _Number = None
    n: Annotated[int | None, Field(ge=1)] = None
    tools: Any = None
    functions: Any = None
    tool_choice: Any = None
    function_call: Any = None
    response_format: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    modalities: Any = None
    audio: Any = None

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def options(self) -> dict[str, object]:
        """The options to pass on to the model server, under their OpenAI names."""
        options = {name: getattr(self, name) for name in _PASSED_ON}
        return {name: value for name, value in options.items() if value not in (None, [], "")}

    def question(self) -> Question:
        """Convert the last user message to a question, and start its timings. Earlier messages are its history.

        Raises RefusedError with status 400 for an unsupported request, and UsageError `bad_request` for invalid text.
        """
        self._refuse_unsupported_options()
        last = max((n for n, each in enumerate(self.messages) if each.role == "user"), default=None)
        if last is None:
            raise _refused("there is no message with the role 'user'", param="messages", code="bad_request")
        question = self.messages[last]
        _check_question(question, param=f"messages.{last}.content")
        messages = _checked(self.messages)
        return Question(
            text=question.text,
            accepted_at=time.perf_counter(),
            history=_history(messages[:last]),
            instructions="\n\n".join(text for role, text in messages if role == "system" and text.strip()),
            options=self.options,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            filter=self._filter(),
        )

    def _filter(self) -> Filter:
        try:
            return self.filter()
        except UsageError as error:  # OpenAI's API has status 400 for all invalid requests
            raise RefusedError(400, error.message, code=error.code, hint=error.hint) from None

    def _refuse_unsupported_options(self) -> None:
        response_format = self.response_format or {"type": "text"}
        kind = response_format.get("type") if isinstance(response_format, dict) else response_format
        unsupported = {
            "n": (self.n or 1) > 1,
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "tool_choice": self.tool_choice not in (None, "none", "auto"),
            "function_call": self.function_call not in (None, "none", "auto"),
            "response_format": kind != "text",
            "logprobs": bool(self.logprobs),
            "top_logprobs": bool(self.top_logprobs),
            "modalities": self.modalities not in (None, [], ["text"]),
            "audio": bool(self.audio),
        }
        for param, is_set in unsupported.items():
            if is_set:
                message = f"{param}: {_REASONS.get(param, 'not supported')}"
                raise _refused(message, param=param, hint=f'leave out the field "{param}"')


_REASONS: Final = {
    "n": "only one answer per question is supported",
    "response_format": "only the type 'text' is supported, because answers are text with citations",
    "modalities": "only text is supported",
    "audio": "only text is supported",
}


def _check_question(message: Message, *, param: str) -> None:
    if "input_audio" in message.kinds:
        raise _refused("audio is not supported", param=param, hint="send the question as text")
    if not message.text.strip():
        has_other_parts = bool(message.kinds - {"text"})
        reason = "the last user message has no text" if has_other_parts else "the question is empty"
        raise _refused(reason, param=param, code="empty_question")
    if len(message.text) > MAX_QUESTION_CHARS:
        reason = f"the last user message has more than {MAX_QUESTION_CHARS} characters"
        raise _refused(reason, param=param, code="question_too_long", hint="send a shorter message")


def _checked(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """The messages as (role, text) pairs."""
    checked: list[tuple[str, str]] = []
    for n, message in enumerate(messages):
        check_text(message.text)
        role = _ROLES.get(message.role)
        if role is None:
            roles = ", ".join(_ROLES)
            raise _refused(
                "messages with this role are not supported", param=f"messages.{n}.role", hint=f"use one of: {roles}"
            )
        checked.append((role, message.text))
    return checked


def _history(messages: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    """Convert messages to turns: each user message, with the assistant messages that follow it as its answer.

    Answers before the first question become a turn without a question.
    """
    turns: list[Turn] = []
    for role, text in messages:
        if role == "user":
            turns.append(Turn(question=text))
        elif role == "assistant" and turns:
            answer = f"{turns[-1].answer}\n\n{text}" if turns[-1].answer else text
            turns[-1] = replace(turns[-1], answer=answer)
        elif role == "assistant":
            turns.append(Turn(question="", answer=text))
    return tuple(turn for turn in turns if turn.question.strip() or turn.answer.strip())


def _refused(
    message: str,
    *,
    param: str,
    code: str = "unsupported_parameter",
    hint: str = 'end the messages with a question, such as {"role": "user", "content": "How long is the warranty?"}',
) -> RefusedError:
    return RefusedError(400, message, code=code, param=param, hint=hint)
