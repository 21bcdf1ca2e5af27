"""What a renderer is."""

from typing import Protocol, TypeVar

Shown_contra = TypeVar("Shown_contra", contravariant=True)


class Renderer(Protocol[Shown_contra]):
    """Shows one stream of events. `close` is called however the stream ends, also after an interruption."""

    def handle(self, event: Shown_contra) -> None: ...

    def close(self) -> None: ...
