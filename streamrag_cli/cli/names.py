"""Sources under the names that whoever runs the command knows: paths that open from where they stand."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace

from streamrag_cli.cli.process import display_names
from streamrag_cli.display_names import DisplayNames
from streamrag_cli.events import AskEvent, Citations, Sources
from streamrag_cli.model import Source
from streamrag_cli.text import sanitise_line


def shown_sources(sources: Iterable[Source], names: DisplayNames | None = None) -> tuple[Source, ...]:
    """The same sources, named for this process's user."""
    names = names or display_names()
    return tuple(replace(each, source=sanitise_line(names.of(each.path))) if each.path else each for each in sources)


async def with_shown_names(events: AsyncGenerator[AskEvent, None]) -> AsyncGenerator[AskEvent, None]:
    """The same events, with those names in sources and citations."""
    shown: dict[str, str] = {}
    async with aclosing(events):
        async for event in events:
            match event:
                case Sources(sources=sources):
                    named = shown_sources(sources)
                    shown = {each.chunk_id: each.source for each in named}
                    yield Sources(sources=named)
                case Citations(citations=citations):
                    known = (replace(each, source=shown.get(each.chunk_id, each.source)) for each in citations)
                    yield replace(event, citations=tuple(known))
                case _:
                    yield event
