"""Reports sources whose files have changed or no longer exist since they were ingested.

The files are checked in a thread, so that a slow disk does not delay the answer. Documents that were read from a web
address or repository are not checked.
"""

from collections.abc import Sequence
from typing import Final

from streamrag_cli.display_names import public_name
from streamrag_cli.events import Notice
from streamrag_cli.missing_files import (
    LIMIT_S,
    STALE_CODES,
    FileCheck,
    FileState,
    is_local_file,
    stale_message,
)
from streamrag_cli.model import Source
from streamrag_cli.retrieval.retriever import RecordOf
from streamrag_cli.text import sanitise_line

BRIEFLY_S: Final = 0.01
"""How long an answer waits for the check, which usually takes 1 ms. If it takes longer, the notice follows later."""


class StaleFiles:
    """A running check of whether the files that contain some sources have changed or no longer exist."""

    def __init__(self, sources: Sequence[Source], records: RecordOf) -> None:
        """Begin the check. `records` are the records of the documents in `sources`."""
        self._sources = sources
        self._reported: set[tuple[str | None, str]] = set()
        self._check = FileCheck({key: record for key, record in records.items() if is_local_file(record.path)})

    def notices(self, wait_s: float = LIMIT_S) -> list[Notice]:
        """Notices for the files that are known to be stale after at most `wait_s`. Each file is reported once.

        Each collection has one notice for files that have changed, and one for files that no longer exist.
        """
        states = self._check.states(wait_s)
        paths: dict[tuple[FileState, str | None], list[str]] = {}
        for source in self._sources:
            for path in dict.fromkeys((source.path, *source.gone_paths)):
                key = (source.collection, path)
                state = "gone" if path in source.gone_paths else states.get(key)
                if state and is_local_file(path) and key not in self._reported:
                    self._reported.add(key)
                    paths.setdefault((state, source.collection), []).append(path)
        return [self._notice(state, collection, in_state) for (state, collection), in_state in paths.items()]

    @property
    def is_done(self) -> bool:
        """Whether the check is complete, so that `notices` returns immediately."""
        return self._check.is_done

    def _notice(self, state: FileState, collection: str | None, paths: Sequence[str]) -> Notice:
        names = {path: name for each in self._sources for path, name in zip(each.also_paths, each.also, strict=True)}
        names |= {each.path: each.source for each in self._sources}
        message = sanitise_line(stale_message(state, [public_name(names[path]) for path in paths]))
        return Notice(message=message, code=STALE_CODES[state], paths=tuple(paths), collection=collection)
