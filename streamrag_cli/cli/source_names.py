"""Replaces source names by paths that open from the user's working directory, and reports missing files."""

import shlex
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamrag_cli.display_names import DisplayNames, name_of_copy
from streamrag_cli.events import AskEvent, Citations, Error, Notice, Sources
from streamrag_cli.missing_files import topmost_missing_folder
from streamrag_cli.model import Source
from streamrag_cli.text import sanitise_line

_NAMED: Final = 3


def _with_shown_name(source: Source, names: DisplayNames) -> Source:
    name = names.of(source.path)
    also = (sanitise_line(name_of_copy(names.of(path), name)) for path in source.also_paths)
    return replace(source, source=sanitise_line(name), also=tuple(also))


def _missing_notice(sources: Iterable[Source], names: DisplayNames) -> Notice | None:
    """A notice that lists missing files of the sources, with the command that removes them from the store."""
    paths = list(dict.fromkeys(path for each in sources for path in each.gone_paths))
    if not paths:
        return None
    shown = [names.of(path) for path in paths]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    state = "no longer exists; to remove it" if len(shown) == 1 else "no longer exist; to remove them"
    removed = dict.fromkeys(topmost_missing_folder(Path(path)) for path in paths)
    command = f"streamrag ingest --remove {shlex.join(names.typed(path) for path in removed)}"
    message = f"{', '.join(shown[:_NAMED])}{more} {state} from the store: {command}"
    return Notice(message=sanitise_line(message), code="source_gone")


async def with_shown_names(
    events: AsyncGenerator[AskEvent, None], names: DisplayNames
) -> AsyncGenerator[AskEvent, None]:
    """The events, with `names` applied to sources and citations, and a notice if files of sources are missing."""
    shown: dict[str, str] = {}
    async with aclosing(events):
        async for event in events:
            match event:
                case Sources(sources=sources):
                    renamed = tuple(_with_shown_name(each, names) if each.path else each for each in sources)
                    shown = {each.chunk_id: each.source for each in renamed}
                    yield Sources(sources=renamed)
                    if notice := _missing_notice(renamed, names):
                        yield notice
                case Error(nearest=nearest) if nearest:
                    yield replace(event, nearest=tuple(_with_shown_name(each, names) for each in nearest))
                case Citations(citations=citations):
                    renamed_citations = (
                        replace(each, source=shown.get(each.chunk_id, each.source)) for each in citations
                    )
                    yield replace(event, citations=tuple(renamed_citations))
                case _:
                    yield event
