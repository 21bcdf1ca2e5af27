"""What all routes share: the settings, the library, the open streams, the metrics."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from streamrag_cli.answer.library import Library
from streamrag_cli.answer.pipeline import ask
from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.metrics import Metrics
from streamrag_cli.server.public import public_events
from streamrag_cli.server.streaming import Encoder, EventStreamResponse, OpenStreams
from streamrag_cli.settings import ServerSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One server. `settings` are what a question is answered with where it does not say otherwise."""

    settings: Settings
    server: ServerSettings
    limits: Limits
    library: Library = field(default_factory=partial(Library, for_visitors=True))
    streams: OpenStreams
    metrics: Metrics

    @classmethod
    def of(cls, settings: Settings, server: ServerSettings, limits: Limits) -> Self:
        metrics = Metrics()
        streams = OpenStreams(server.max_streams, metrics.refused)
        return cls(settings=settings, server=server, limits=limits, streams=streams, metrics=metrics)

    def events(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The events of an answer as a visitor is shown them; what is left out of them is for the operator's log."""
        return public_events(self.metrics.observed(ask(question, settings, self.library)))

    def stream(self, question: Question, settings: Settings, encode: Encoder) -> EventStreamResponse:
        """The answer to a question, as it is written."""
        return EventStreamResponse(self.events(question, settings), encode, streams=self.streams, limits=self.limits)
