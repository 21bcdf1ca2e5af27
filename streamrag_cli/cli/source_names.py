"""Replaces names in sources and notices with paths that can be opened from the user's working directory."""

import shlex
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from streamrag_cli.display_names import DisplayNames, name_of_copy
from streamrag_cli.events import AskEvent, Citations, Error, Notice, Sources
from streamrag_cli.missing_files import STALE_CODES, FileState, stale_message, topmost_missing_folder
from streamrag_cli.model import Source
from streamrag_cli.text import sanitise_line


def _with_shown_name(source: Source, names: DisplayNames) -> Source:
    name = names.of(source.path)
    also = (sanitise_line(name_of_copy(names.of(path), name)) for path in source.also_paths)
    return replace(source, source=sanitise_line(name), also=tuple(also))


def stale_notice(
    state: FileState, paths: Sequence[str], names: DisplayNames, *, collection: str | None = None
) -> Notice:
    """Return a notice for files that have changed or no longer exist, with the command that updates the collection."""
    it = "it" if len(paths) == 1 else "them"
    if state == "gone":
        missing = list(dict.fromkeys(topmost_missing_folder(Path(path)) for path in paths))
        if folders := [path for path in missing if str(path) not in paths]:
            it = f"all documents of the missing {'folder' if len(folders) == 1 else 'folders'}"
            it += " and the files" if len(folders) < len(missing) else ""
        purpose, command = f"to remove {it} from the store", "streamrag ingest --remove"
        arguments = [names.typed(path) for path in missing]
    else:
        purpose, command = f"to update {it}", "streamrag ingest"
        arguments = [names.typed(path) for path in paths]
    arguments += ["-c", collection] if collection else []
    message = f"{stale_message(state, [names.of(path) for path in paths])}; {purpose}: {command}"
    return Notice(message=sanitise_line(f"{message} {shlex.join(arguments)}"), code=STALE_CODES[state])


async def with_shown_names(
    events: AsyncGenerator[AskEvent, None], names: DisplayNames
) -> AsyncGenerator[AskEvent, None]:
    """Yield the events, with `names` applied to sources, citations and notices about files."""
    shown: dict[str, str] = {}
    async with aclosing(events):
        async for event in events:
            match event:
                case Sources(sources=sources):
                    renamed = tuple(_with_shown_name(each, names) if each.path else each for each in sources)
                    shown = {each.chunk_id: each.source for each in renamed}
                    yield Sources(sources=renamed)
                case Notice(code=code, paths=paths, collection=collection) if paths:
                    state: FileState = "gone" if code == STALE_CODES["gone"] else "changed"
                    yield stale_notice(state, paths, names, collection=collection)
                case Error(nearest=nearest) if nearest:
                    yield replace(event, nearest=tuple(_with_shown_name(each, names) for each in nearest))
                case Citations(citations=citations):
                    renamed_citations = (
                        replace(each, source=shown.get(each.chunk_id, each.source)) for each in citations
                    )
                    yield replace(event, citations=tuple(renamed_citations))
                case _:
                    yield event
