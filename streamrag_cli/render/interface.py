"""The interface that renderers implement."""

from typing import Protocol, TypeVar

Event_contra = TypeVar("Event_contra", contravariant=True)


class Renderer(Protocol[Event_contra]):
    """Shows one stream of events. `close` is always called at the end, even after an error or an interruption."""

    def handle(self, event: Event_contra) -> None: ...

    def close(self) -> None: ...
