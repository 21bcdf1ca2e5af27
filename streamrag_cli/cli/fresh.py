"""Syncs a question's collections before it is answered (`--fresh`)."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from typing import Final

from streamrag_cli.cli.process import Process
from streamrag_cli.counting import counted_noun
from streamrag_cli.errors import StreamragError, with_target_flags
from streamrag_cli.events import AskEvent, DocumentSeen, Error, FileProgress, IngestDone, IngestEvent, Notice, Status
from streamrag_cli.model import DocumentEntry, Passage, Question
from streamrag_cli.new_thread import run_in_new_thread
from streamrag_cli.service.interface import Listing, Selection, Service
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise_line

_CHECKING: Final = "checking for changed files"
_PASSED_ON: Final = frozenset({"root_gone", "repaired"})
"""The codes of those ingest notices that are shown with an answer."""
_POLL_S: Final = 0.1
_log: Final = logging.getLogger(__name__)
_STOP_S: Final = 0.5
"""The maximum time for saving the embedded passages after an interruption, in seconds."""
_NAMED: Final = 3


class FreshService:
    """A `Service` that syncs the collections before it calls `service`, even if the sync fails."""

    def __init__(self, service: Service, process: Process) -> None:
        self._service = service
        self._process = process

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run(settings, lambda: self._service.ask(question, settings))

    def search(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        return self._run(settings, lambda: self._service.search(question, settings))

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        return await self._service.read(selection, settings)

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        return await self._service.list(listing, settings)

    async def _run(
        self, settings: Settings, events_of_service: Callable[[], AsyncGenerator[AskEvent, None]]
    ) -> AsyncGenerator[AskEvent, None]:
        for collection in settings.collections:
            of_collection = replace(settings, collection=collection)
            is_one_of_several = len(settings.collections) > 1
            sync = _synced(of_collection, self._process, is_one_of_several=is_one_of_several)
            async with aclosing(sync):
                async for step in sync:
                    yield step
        async with aclosing(events_of_service()) as events:
            async for event in events:
                yield event


async def _synced(
    settings: Settings, process: Process, *, is_one_of_several: bool
) -> AsyncGenerator[Status | Notice, None]:
    """Sync one collection in a thread. Yields its status, and then notices about the result."""
    sync = _Sync(settings, process, is_one_of_several=is_one_of_several)
    running = asyncio.ensure_future(run_in_new_thread(sync.run))
    shown = ""
    try:
        while not running.done():
            if shown != sync.detail:
                shown = sync.detail
                yield Status(status="retrieving", detail=shown)
            await asyncio.wait([running], timeout=_POLL_S)
    finally:
        sync.is_stopped.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), _STOP_S)
    for notice in running.result():
        yield notice


class _Sync:
    """The sync of one collection. `detail` describes the current step for users."""

    def __init__(self, settings: Settings, process: Process, *, is_one_of_several: bool) -> None:
        self.detail = _CHECKING
        self.is_stopped = threading.Event()
        self._settings = settings
        self._process = process
        self._is_one_of_several = is_one_of_several

    def run(self) -> list[Notice]:
        try:
            return list(self._notices())
        except StreamragError as error:
            return [self._failed(error.message, error.hint)]
        except Exception:  # noqa: BLE001 - a bug in the sync must not prevent the answer
            _log.exception("the sync failed")
            return [self._failed("internal error: this is a bug in streamrag", "streamrag ingest --debug")]

    def _notices(self) -> Iterator[Notice]:
        from streamrag_cli.ingest.roots import Confirmation, IngestRequest
        from streamrag_cli.ingest.sweep import Sweep

        request = IngestRequest(
            paths=(),
            working_directory=self._process.working_directory,
            home=self._process.home,
            environment=self._process.environment,
            allow_empty=False,
            confirmation=Confirmation(granted=False),
        )
        sweep = Sweep(request, self._settings)
        if sweep.request is None:
            yield from map(self._with_flags, sweep.notices)
            return
        self.detail = "updating the documents"
        from streamrag_cli.ingest import pipeline  # imports the embedders, 0.2 s

        failed: list[str] = []
        with closing(pipeline.ingest(sweep.request, self._settings)) as events:
            for event in events:
                if self.is_stopped.is_set():
                    return
                yield from self._observed(event, failed)

    def _observed(self, event: IngestEvent, failed: list[str]) -> Iterator[Notice]:
        match event:
            case FileProgress(passages=passages, all_passages=total) if passages:
                of_total = f"{passages:,} of {total:,}" if total else f"{passages:,}"
                self.detail = f"updating the documents: {of_total} passages"
            case DocumentSeen(action="failed", source=source):
                failed.append(source)
            case Notice(code=code) if code in _PASSED_ON:
                yield self._with_flags(event)
            case Error(message=message, hint=hint):
                yield self._failed(message, hint)
            case IngestDone(counts=counts):
                parts = [f"{counts[action]:,} {action}" for action in ("added", "changed", "deleted") if counts[action]]
                if parts:
                    yield Notice(message=f"updated the documents{self._where()}: {', '.join(parts)}", code="synced")
                if failed:
                    yield self._some_failed(failed)
            case _:
                pass

    def _some_failed(self, failed: list[str]) -> Notice:
        named = ", ".join(failed[:_NAMED]) + (f" and {len(failed) - _NAMED:,} more" if len(failed) > _NAMED else "")
        message = f"{counted_noun(len(failed), 'file')} could not be updated: {named}; to see why:"
        return self._with_flags(
            Notice(message=sanitise_line(f"{message} streamrag ls --failed"), code="sync_incomplete")
        )

    def _failed(self, message: str, hint: str) -> Notice:
        shown = f"the documents{self._where()} were not updated: {message}" + (
            f"; run: {hint}" if hint.startswith("streamrag ") else f"; {hint}" if hint else ""
        )
        return self._with_flags(Notice(message=sanitise_line(shown), code="not_synced"))

    def _where(self) -> str:
        return f" of the collection {self._settings.collection}" if self._is_one_of_several else ""

    def _with_flags(self, notice: Notice) -> Notice:
        """Add the flags of this process's command line to the command at the end of the notice."""
        message = notice.message
        if self._is_one_of_several:
            message = with_target_flags(message, collection=self._settings.collection)
        return replace(notice, message=self._process.with_target_flags(message))
