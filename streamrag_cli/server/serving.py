"""State shared by all routes: settings, resources, open streams, metrics."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from starlette.requests import Request

from streamrag_cli.answer.shared_resources import SharedResources
from streamrag_cli.events import AskEvent
from streamrag_cli.model import Question
from streamrag_cli.retrieval.cancellable import run_cancellable
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.metrics import Metrics
from streamrag_cli.server.peers import Peers
from streamrag_cli.server.public import public_events
from streamrag_cli.server.request_log import entry_of, record_outcome
from streamrag_cli.server.security import checks_users
from streamrag_cli.server.streaming import Encoder, EventStreamResponse, OpenStreams
from streamrag_cli.service.interface import Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import ServerSettings, Settings
from streamrag_cli.store.registry import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The state of one server process. `settings` apply to a question unless its request overrides them.

    `peers` looks up the user at the other end of a connection. It is None unless access depends on the user.
    """

    settings: Settings
    server: ServerSettings
    limits: Limits
    resources: SharedResources = field(default_factory=partial(SharedResources, for_visitors=True))
    streams: OpenStreams
    metrics: Metrics
    peers: Peers | None = None

    @classmethod
    def of(cls, settings: Settings, server: ServerSettings, limits: Limits) -> Self:
        metrics = Metrics()
        streams = OpenStreams(server.max_streams)
        peers = Peers() if checks_users(server) else None
        return cls(settings=settings, server=server, limits=limits, streams=streams, metrics=metrics, peers=peers)

    @property
    def service(self) -> Service:
        return LocalService(self.resources)

    def serves(self, collection: str) -> bool:
        """Whether clients may use `collection`, if it exists."""
        server = self.server
        return server.all_collections or collection in {self.settings.collection, *server.collections}

    async def collections(self) -> list[str]:
        """The non-empty collections that clients may use."""
        store = open_store(self.settings.store)
        names = await run_cancellable(lambda end: store.collections(non_empty=True, cancellation=end))
        return [name for name in names if self.serves(name)]

    def events(self, request: Request, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        """Ask the question, and return its events, reworded for clients. The outcome is counted and logged."""
        events = self.metrics.counted(self.service.ask(question, settings))
        return public_events(record_outcome(events, entry_of(request.scope)))

    def stream(self, request: Request, question: Question, settings: Settings, encode: Encoder) -> EventStreamResponse:
        """The streaming response to a question."""
        events = self.events(request, question, settings)
        return EventStreamResponse(events, encode, streams=self.streams, limits=self.limits)
