"""The request to a chat model, adapted to servers that reject some parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Self

from streamrag_cli.answer.request_form import RequestForm
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.setting_row import DEFAULT_ANSWER_TOKENS

_MAX_CHARS_PER_TOKEN: Final = 1000  # limits the memory that an answer can take, even if its pieces are huge
_USUAL_CHARS_PER_TOKEN: Final = 8  # prose has 4 to 5
_MAX_STOPS: Final = 4
"""The maximum number of stop sequences that the protocol allows."""
_LIMIT_NAMES: Final = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLimits:
    """The maximum length of an answer and the maximum time for the model to write it.

    `seconds` counts only the time spent waiting for the model, not for a slow consumer. If `asks_server`, `tokens` is
    also sent to the server.
    """

    tokens: int = DEFAULT_ANSWER_TOKENS
    seconds: float = 600.0
    asks_server: bool = False

    @property
    def chars(self) -> int:
        """The maximum length in characters. It is needed because a server may send many tokens as one piece.

        A requested limit is enforced more strictly than the default, which only stops an endless answer.
        """
        return self.tokens * (_USUAL_CHARS_PER_TOKEN if self.asks_server else _MAX_CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request to a chat model.

    `form` selects the optional parts of the protocol. `options` are sent unchanged. Each of the
    `defaults` is sent unless an option has the same name or the server refuses it. The stop sequences of both are
    combined.
    """

    messages: Sequence[tuple[str, str]]
    endpoint: ModelEndpoint
    limits: AnswerLimits
    options: Mapping[str, object]
    form: RequestForm
    defaults: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        messages: Sequence[tuple[str, str]],
        endpoint: ModelEndpoint,
        *,
        limits: AnswerLimits,
        options: Mapping[str, object],
        defaults: Mapping[str, object] = MappingProxyType({}),
    ) -> Self:
        names: tuple[str, ...] = ("max_completion_tokens",) if endpoint.is_openai else _LIMIT_NAMES
        form = RequestForm(
            limit_names=names if limits.asks_server else (), defaults=frozenset(defaults) - (options.keys() - {"stop"})
        )
        return cls(messages=messages, endpoint=endpoint, limits=limits, options=options, form=form, defaults=defaults)

    @property
    def encodable_messages(self) -> list[tuple[str, str]]:
        """The messages as (role, text) pairs. Characters that UTF-8 cannot encode are replaced."""
        return [(role, _encodable(text)) for role, text in self.form.arrange(self.messages)]

    @property
    def payload(self) -> dict[str, object]:
        """The JSON body of the request. A test checks that LangChain sends the same body."""
        form = self.form
        return {
            "messages": [{"content": text, "role": role} for role, text in self.encodable_messages],
            "model": self.endpoint.model,
            "stream": form.streamed,
            **({"stream_options": {"include_usage": True}} if form.with_usage and form.streamed else {}),
            **{name: self.defaults[name] for name in sorted(form.defaults)},
            **self.options,
            **self._stop,
            **dict.fromkeys(form.limit_names[:1], self.limits.tokens),
        }

    @property
    def _stop(self) -> dict[str, object]:
        """The stop sequences from options and defaults, or only those from the options if there are more than four."""
        requested = self.options.get("stop")
        if "stop" not in self.form.defaults or not requested:
            return {}
        own = self.defaults["stop"]
        stops = [*_as_list(requested), *_as_list(own)]
        return {"stop": stops if len(stops) <= _MAX_STOPS else requested}

    def without_refused_parameters(self, status: int | None, server_text: str) -> Self | None:
        """The request to send after this error reply; None if the reply did not refuse a parameter."""
        form = self.form.without_refused_parameters(status, server_text)
        return None if form is None else replace(self, form=form)


def _as_list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _encodable(text: str) -> str:
    """`text` with lone surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
