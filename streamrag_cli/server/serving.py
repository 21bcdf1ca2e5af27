"""What all routes share: the settings, the library, the open streams, the metrics."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from starlette.requests import Request

from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.metrics import Metrics
from streamrag_cli.server.peers import Peers
from streamrag_cli.server.public import public_events
from streamrag_cli.server.request_log import entry_of, record_outcome
from streamrag_cli.server.security import asks_for_users
from streamrag_cli.server.streaming import Encoder, EventStreamResponse, OpenStreams
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.store.registry import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One server. `settings` are what a question is answered with where it does not say otherwise.

    `peers` looks up the user at the other end of a connection, if that decides who may ask.
    """

    settings: Settings
    server: ServerSettings
    limits: Limits
    library: SharedResources = field(default_factory=partial(SharedResources, for_visitors=True))
    streams: OpenStreams
    metrics: Metrics
    peers: Peers | None = None

    @classmethod
    def of(cls, settings: Settings, server: ServerSettings, limits: Limits) -> Self:
        metrics = Metrics()
        streams = OpenStreams(server.max_streams)
        peers = Peers() if asks_for_users(server) else None
        return cls(settings=settings, server=server, limits=limits, streams=streams, metrics=metrics, peers=peers)

    @property
    def service(self) -> Service:
        """Who answers."""
        return LocalService(self.library)

    def answers_from(self, collection: str) -> bool:
        """Whether clients may ask this collection, if it exists."""
        server = self.server
        return server.all_collections or collection in {self.settings.collection, *server.collections}

    def collections(self) -> list[str]:
        """The collections with something to ask in them that clients may ask. Waits for the store."""
        return [name for name in open_store(self.settings.store).collections(non_empty=True) if self.answers_from(name)]

    def events(self, request: Request, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """The answer as a visitor is shown it, counted and logged; what a visitor is not shown is in the log."""
        events = self.metrics.observed(self.service.ask(question, settings))
        return public_events(record_outcome(events, entry_of(request.scope)))

    def stream(self, request: Request, question: Question, settings: Settings, encode: Encoder) -> EventStreamResponse:
        """The answer to a question, as it is written."""
        events = self.events(request, question, settings)
        return EventStreamResponse(events, encode, streams=self.streams, limits=self.limits)
