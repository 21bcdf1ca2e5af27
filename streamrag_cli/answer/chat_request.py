"""What a chat model is asked for, and how it is asked when its server does not know every word of the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from streamrag_cli.answer.request_form import RequestForm
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.setting_row import DEFAULT_ANSWER_TOKENS

_MOST_CHARS_PER_TOKEN: Final = 1000  # keeps memory within bounds, whatever a piece holds
_USUAL_CHARS_PER_TOKEN: Final = 8  # prose has 4 to 5
_LIMIT_NAMES: Final = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLimits:
    """How long an answer may be, and how many seconds the model may take for it.

    The seconds are those spent waiting for the model, not those in which a slow reader takes the answer.
    `asks_server` is whether the server is asked to keep to `tokens`, too.
    """

    tokens: int = DEFAULT_ANSWER_TOKENS
    seconds: float = 600.0
    asks_server: bool = False

    @property
    def chars(self) -> int:
        """The longest answer in characters: a server may send many tokens as one piece, and count none.

        A limit that somebody has asked for is kept more closely than the one that only stops an endless answer.
        """
        return self.tokens * (_USUAL_CHARS_PER_TOKEN if self.asks_server else _MOST_CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """Who is asked what, in which form. `options` are sent as they are."""

    messages: Sequence[tuple[str, str]]
    endpoint: ModelEndpoint
    limits: AnswerLimits
    options: Mapping[str, object]
    form: RequestForm

    @classmethod
    def of(
        cls,
        messages: Sequence[tuple[str, str]],
        endpoint: ModelEndpoint,
        *,
        limits: AnswerLimits,
        options: Mapping[str, object],
    ) -> Self:
        names: tuple[str, ...] = ("max_completion_tokens",) if endpoint.is_openai else _LIMIT_NAMES
        form = RequestForm(limit_names=names if limits.asks_server else ())
        return cls(messages=messages, endpoint=endpoint, limits=limits, options=options, form=form)

    @property
    def arranged(self) -> list[tuple[str, str]]:
        """The messages as (role, text) pairs, without what no JSON in UTF-8 can carry."""
        return [(role, _encodable(text)) for role, text in self.form.arranged(self.messages)]

    @property
    def payload(self) -> dict[str, object]:
        """The request, as LangChain words it; a test holds the two to each other."""
        form = self.form
        return {
            "messages": [{"content": text, "role": role} for role, text in self.arranged],
            "model": self.endpoint.model,
            "stream": form.streamed,
            **({"stream_options": {"include_usage": True}} if form.with_usage and form.streamed else {}),
            **self.options,
            **dict.fromkeys(form.limit_names[:1], self.limits.tokens),
        }

    def without_refused_parameters(self, status: int | None, said: str) -> Self | None:
        """The request to make after this reply; None if the reply was about something else."""
        form = self.form.without_refused_parameters(status, said)
        return None if form is None else replace(self, form=form)


def _encodable(text: str) -> str:
    """`text` with lone surrogates replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
