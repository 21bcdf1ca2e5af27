"""Sources under the names that whoever runs the command knows: paths that open from where they stand."""

import shlex
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.display_names import DisplayNames, name_of_copy
from streamrag_cli.events import AskEvent, Citations, Notice, Sources
from streamrag_cli.missing_files import topmost_missing_folder
from streamrag_cli.model import Source
from streamrag_cli.text import sanitise_line

_NAMED: Final = 3


def _shown(source: Source, names: DisplayNames) -> Source:
    name = names.of(source.path)
    also = (sanitise_line(name_of_copy(names.of(path), name)) for path in source.also_paths)
    return replace(source, source=sanitise_line(name), also=tuple(also))


def _gone_notice(sources: Iterable[Source], names: DisplayNames) -> Notice | None:
    """Which files of the sources no longer exist, and the command that removes what the store has of them."""
    paths = list(dict.fromkeys(path for each in sources for path in each.gone_paths))
    if not paths:
        return None
    shown = [names.of(path) for path in paths]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    are = "is gone" if len(shown) == 1 else "are gone"
    removed = dict.fromkeys(topmost_missing_folder(Path(path)) for path in paths)
    command = f"streamrag ingest --remove {shlex.join(names.typed(path) for path in removed)}"
    message = f"{', '.join(shown[:_NAMED])}{more} {are}; to remove what the store has of it: {command}"
    return Notice(message=sanitise_line(message), code="source_gone")


async def with_shown_names(
    events: AsyncGenerator[AskEvent, None], names: DisplayNames
) -> AsyncGenerator[AskEvent, None]:
    """The same events, with those names in sources and citations."""
    shown: dict[str, str] = {}
    async with aclosing(events):
        async for event in events:
            match event:
                case Sources(sources=sources):
                    named = tuple(_shown(each, names) if each.path else each for each in sources)
                    shown = {each.chunk_id: each.source for each in named}
                    yield Sources(sources=named)
                    if notice := _gone_notice(named, names):
                        yield notice
                case Citations(citations=citations):
                    known = (replace(each, source=shown.get(each.chunk_id, each.source)) for each in citations)
                    yield replace(event, citations=tuple(known))
                case _:
                    yield event
