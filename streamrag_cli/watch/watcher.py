"""Keeps a collection in sync with its files until it is interrupted, and reports its actions as events.

This process only waits: for events from the kernel, for its worker, and for due times. The worker (`worker.py`)
ingests. A change is pending until it was part of a successful batch, so a failure loses nothing, and a repeated batch
writes nothing twice.
"""

import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from streamrag_cli.addresses import Address, Location
from streamrag_cli.documents.discovery_results import FoundFile, UnreadableDirectory
from streamrag_cli.documents.scope import Scope
from streamrag_cli.errors import ExitCode, ResourceError, StreamragError
from streamrag_cli.events import (
    BatchDone,
    DocumentSeen,
    Error,
    Event,
    IngestDone,
    IngestEvent,
    IngestStarted,
    Notice,
    Watching,
    as_event,
)
from streamrag_cli.ingest.roots import IngestRequest, has_utf_8_name, recorded_roots, roots_to_ingest
from streamrag_cli.missing_files import is_missing
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line
from streamrag_cli.watch.files import WatchedFiles
from streamrag_cli.watch.jobs import Question, Worker
from streamrag_cli.watch.messages import Job
from streamrag_cli.watch.options import WatchOptions
from streamrag_cli.watch.pending import Pending, own_output
from streamrag_cli.watch.record import WatchRecord
from streamrag_cli.watch.reports import Reports
from streamrag_cli.watch.schedule import Schedule
from streamrag_cli.watch.snapshot import IGNORE_FILES

_SAVING_S: Final = 20.0
_ENDING_S: Final = 0.5
_GIT_PAUSE_S: Final = 0.1
_NEEDS_THE_USER: Final = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class _Batch:
    """The changed paths that a running job syncs. `is_first` marks the first sync."""

    paths: frozenset[str]
    is_whole: bool
    is_first: bool = False


class Watcher:
    """Watches the paths of `request`, or all recorded roots if there are no paths. `run` yields its events."""

    def __init__(self, request: IngestRequest, settings: Settings, options: WatchOptions) -> None:
        self._request = request
        self._settings = settings
        self._options = options
        self._pending = Pending(options.settle_s)
        self._worker: Worker | None = None
        self._batch: _Batch | None = None
        self._retries = 0
        self._recorded: frozenset[str] = frozenset()
        """The roots that the store had recorded after everything was last synced."""
        self._reports = Reports(request)
        self._is_in_sync = False
        self._is_refused = False
        """Whether the last complete ingest was refused until the user confirms it or corrects something."""
        self.was_busy = False
        """Whether changes were still pending when `run` ended."""

    @property
    def totals(self) -> IngestDone:
        """The totals of all batches so far."""
        return self._reports.totals

    def run(self) -> Iterator[IngestEvent]:
        """Sync the roots, then wait for changes. Ends only if the first sync fails, with an `Error`."""
        try:
            yield from self._run()
        except StreamragError as error:
            yield as_event(error)
        except _FirstSyncFailedError as failure:
            yield failure.error

    def _run(self) -> Iterator[IngestEvent]:
        request, settings = self._request, self._settings
        roots = self._roots()
        self._store = open_store(settings.store)
        self._lease = self._store.watch_lease(settings.collection, [str(root) for root in roots])
        own = [settings.state_directory, *([str(self._store)] if self._store.has_local_files else [])]
        self._shown_roots = tuple(sanitise_line(request.shown_name(root)) for root in roots)
        local = [root for root in roots if not isinstance(root, Address)]
        self._has_addresses = len(local) < len(roots)
        self._files = WatchedFiles(
            local,
            named=[path for path in request.absolute_paths() if not isinstance(path, Address)],
            own=[Path(each) for each in own if each],
            exclude=settings.exclude,
            environment=request.environment,
            polls=self._options.polls,
        )
        self._record = WatchRecord(self._store, settings.collection, self._files, self._options)
        try:
            yield from self._stand_by()
            self._schedule = Schedule(self._options, is_on_network=self._files.is_on_network())
            self._files.register()
            yield from self._reports.fallback(self._files)
            self._begin(_Batch(frozenset(), is_whole=True, is_first=True))
            while True:
                yield from self._step()
        finally:
            self._end()

    def _roots(self) -> list[Location]:
        """Return the roots to watch. If the request has no paths, these are all recorded roots, even missing ones."""
        existing = roots_to_ingest(self._request, self._settings)
        recorded = [] if self._request.paths else recorded_roots(self._settings)
        return list(dict.fromkeys([*existing, *recorded]))

    def _stand_by(self) -> Iterator[IngestEvent]:
        """Wait until no other process watches the roots."""
        is_first = True
        while not self._lease.acquire():
            if is_first:
                where = ", ".join(map(self._request.shown_name, self._files.roots))
                message = f"another process is already watching {where}; this one will take over when the other stops"
                yield Notice(message=sanitise_line(message), code="watch_standby")
            is_first = False
            self._wait_for_output(self._options.standby_every_s)

    def _wait_for_output(self, seconds: float) -> None:
        """Wait for `seconds`, and raise BrokenPipeError as soon as the reader of the output closes the pipe."""
        output = self._options.output
        if select.select([output] if output is not None else [], [], [], seconds)[0]:
            raise BrokenPipeError

    def _end(self) -> None:
        self.was_busy = self._batch is not None or self._pending.first_at is not None or not self._is_in_sync
        with self._request.uninterrupted():
            if self._worker:
                self._worker.stop(_SAVING_S if self._worker.is_busy else _ENDING_S)
            self._files.close()
            self._record.forget()
            self._lease.close()

    # One step: wait for the next event or due time, and react

    def _step(self) -> Iterator[IngestEvent]:
        self._wait()
        now = self._options.monotonic()
        yield from self._take_worker_events()
        self._take_changes(now)
        yield from self._take_times(now)
        if self._is_due(now):
            yield from self._begin_batch(now)
        if self._schedule.beat_is_due(now):
            yield from self._beat(now)
        self._retire_worker(now)

    def _wait(self) -> None:
        now = self._options.monotonic()
        times = [self._schedule.next_at]
        if self._batch is None and (due_at := self._pending.due_at) is not None:
            times.append(max(due_at, self._schedule.retry_at))
        watched = [self._files.fileno(), self._options.output, self._worker.fileno() if self._worker else None]
        descriptors = [each for each in watched if each is not None]
        self._ready = select.select(descriptors, [], [], max(0.0, min(times) - now))[0]
        if self._options.output in self._ready:
            raise BrokenPipeError  # a pipe is readable when its reader has closed it

    def _take_changes(self, now: float) -> None:
        if self._files.fileno() not in self._ready:
            return
        for changed in self._files.read():
            self._record.has_event = True
            if changed.is_uncertain:
                self._pending.add_whole(now)
                continue
            self._pending.add(changed.path, now)
            if changed.path.rpartition("/")[2] in IGNORE_FILES:
                self._pending.add_whole(now)
        if self._pending.first_at is not None:
            self._prepare_worker()

    def _take_times(self, now: float) -> Iterator[IngestEvent]:
        schedule = self._schedule
        if schedule.tick_is_due(now):
            if schedule.clock_has_jumped() or self._files.has_changed_outside():
                self._pending.add_whole(now)
            yield from self._reports.missing_roots(self._files)
        if self._has_addresses and schedule.addresses_are_due(now):
            self._pending.add_whole(now)
        if schedule.poll_is_due(now, polls=self._files.method == "polling"):
            has_changed, took_s = self._files.has_changed()
            if has_changed:
                self._record.has_event = True
                self._pending.add_whole(now)
                self._prepare_worker()
            schedule.polled(now, took_s, is_settling=self._pending.first_at is not None)
        if schedule.sweep_is_due(now) and self._batch is None:
            self._record.swept()
            if self._files.retry_inotify():
                self._pending.add_whole(now)  # which also watches everything
                yield self._watching()
            has_changed, _ = self._files.has_changed()
            if has_changed or schedule.whole_is_due(now) or self._retries or self._has_lost_roots():
                self._pending.add_whole(now)

    def _is_due(self, now: float) -> bool:
        due_at = self._pending.due_at
        if self._batch is not None or due_at is None or now < max(due_at, self._schedule.retry_at):
            return False
        if self._pending.waits_for_git(now):
            self._schedule.retry_at = now + _GIT_PAUSE_S
            return False
        return True

    # Batches

    def _begin_batch(self, now: float) -> Iterator[IngestEvent]:
        paths, is_whole = self._pending.take()
        paths -= own_output(paths)
        if not (paths or is_whole or not self._is_in_sync):
            return
        try:
            is_whole = is_whole or not self._is_in_sync or self._has_lost_roots()
            if not is_whole:
                scope = Scope(paths)
                results = self._files.register(scope)
                is_whole = scope.has_links
                is_found = any(isinstance(each, FoundFile | UnreadableDirectory) for each in results)
                if not (is_whole or is_found or self._are_stored(scope)):
                    vanished = list(self._reports.vanished(sorted(paths)))
                    yield from vanished
                    if vanished:
                        chunks = self._reports.totals.chunks
                        yield BatchDone(counts={"deleted": len(vanished)}, chunks=chunks, elapsed_ms=0.0)
                    return
            if is_whole:
                self._files.register()
            yield from self._reports.fallback(self._files)
            if self._has_addresses or self._files.existing_roots():  # otherwise they are synced when they come back
                self._begin(_Batch(frozenset(paths), is_whole, is_first=not self._is_in_sync))
        except StreamragError as error:
            yield from self._failed_batch(_Batch(frozenset(paths), is_whole), as_event(error), now)

    def _has_lost_roots(self) -> bool:
        """Whether the store, its collection or a root was removed although the documents have not changed."""
        try:
            stored = self._stored_roots()
        except StreamragError:
            return False  # the next batch reports it
        return not self._recorded <= stored

    def _stored_roots(self) -> frozenset[str]:
        return frozenset(self._store.roots(self._settings.collection)).intersection(map(str, self._files.roots))

    def _are_stored(self, scope: Scope) -> bool:
        """Whether the store has documents in the scope, which must be removed if their files no longer exist."""
        with self._store.manifest(self._settings.collection) as manifest:
            tops = [top for top in scope.tops if has_utf_8_name(Path(top))]  # no other name is stored
            return manifest is not None and any(True for top in tops for _ in manifest.documents_under(top))

    def _begin(self, batch: _Batch) -> None:
        request = self._request
        self._batch = batch
        self._reports.documents = 0
        named = (
            request.absolute_paths()
            if batch.is_first
            else [path for path in request.absolute_paths() if isinstance(path, Address) or not is_missing(path)]
        )
        job = Job(
            settings=self._settings,
            paths=tuple(map(str, named)),
            changed=None if batch.is_whole else tuple(sorted(batch.paths)),
            working_directory=None if request.working_directory is None else str(request.working_directory),
            home=None if request.home is None else str(request.home),
            rebuild=request.rebuild and batch.is_first,
            # Events prove that files were deleted. Without them, a whole disk may be missing.
            allow_empty=request.allow_empty or not batch.is_whole,
            confirmed=request.confirmation.granted,
            asks=batch.is_first and request.confirmation.ask is not None,
            follow=request.follow,
            max_pages=request.max_pages,
            starts=tuple((str(root), page) for root, page in request.starts.items()),
        )
        try:
            self._running_worker().begin(job)
        except OSError as error:
            self._batch = None
            message = f"cannot start the ingest process: {error.strerror}"
            raise ResourceError(message, code="worker_ended", retryable=True) from error

    def _take_worker_events(self) -> Iterator[IngestEvent]:
        worker = self._worker
        if worker is None or worker.fileno() not in self._ready:
            return
        now = self._options.monotonic()
        for event in worker.receive():
            if isinstance(event, Question):
                ask = self._request.confirmation.ask
                worker.answer(confirmed=ask is not None and ask(event))
            elif self._batch is not None:
                yield from self._job_event(event, self._batch, now)
        if worker.has_ended and self._worker is worker:
            worker.stop(_ENDING_S)
            self._worker = None

    def _job_event(self, event: Event, batch: _Batch, now: float) -> Iterator[IngestEvent]:
        match event:
            case IngestDone():
                self._batch = None
                yield from self._succeeded(event, batch, now)
            case Error():
                self._batch = None
                yield from self._failed_batch(batch, event, now)
            case DocumentSeen():
                yield from self._reports.document(event, is_first=batch.is_first)
            case Notice():
                yield from self._reports.once(event)
            case IngestStarted() if not batch.is_first:
                pass
            case _:
                yield event  # type: ignore[misc]  # the worker sends only ingest events

    def _succeeded(self, done: IngestDone, batch: _Batch, now: float) -> Iterator[IngestEvent]:
        has_recovered, self._retries = self._retries > 0, 0
        self._is_refused = self._is_refused and not batch.is_whole
        if self._is_refused:
            self._pending.add_whole(now)  # the reason for the refusal may not exist any more
        else:
            self._record.problem = ""
        self._schedule.retry_at = now
        self._reports.add(done)
        if batch.is_whole:
            self._record.swept()
            self._schedule.swept(now)
            with suppress(StreamragError):
                self._recorded = self._stored_roots()
        if batch.is_first or self._reports.documents or has_recovered:
            yield BatchDone(counts=done.counts, chunks=done.chunks, elapsed_ms=done.elapsed_ms)
        if not self._is_in_sync and batch.is_whole:
            self._is_in_sync = True
            yield self._watching()
        self._schedule.beat_soon(now)
        self._schedule.used_worker(now)

    def _failed_batch(self, batch: _Batch, error: Error, now: float) -> Iterator[IngestEvent]:
        if batch.is_first and not error.retryable:
            raise _FirstSyncFailedError(error)
        needs_the_user = error.exit_code == _NEEDS_THE_USER
        self._is_refused = needs_the_user
        if not needs_the_user:
            self._retries += 1
            self._schedule.retry_later(now, self._retries)
            self._pending.put_back(batch.paths, is_whole=batch.is_whole, now=now)
        elif batch.is_whole and batch.paths:
            self._pending.put_back(batch.paths, is_whole=False, now=now)
        advice = error.hint if needs_the_user else "trying again"
        before_advice = ": " if advice.startswith("streamrag ") else "; " if advice else ""
        message = f"the changes are not in the store yet: {error.message}{before_advice}{advice}"
        if message != self._record.problem:
            self._record.problem = message
            yield Notice(message=message, code="watch_failing")
        self._schedule.beat_soon(now)

    def _watching(self) -> Watching:
        return Watching(roots=self._shown_roots, method=self._files.method)

    def _beat(self, now: float) -> Iterator[IngestEvent]:
        self._schedule.beat_at = now + self._options.beat_every_s
        with suppress(StreamragError):
            self._record.save()
            if not self._lease.acquire():
                yield from self._stand_by()
                self._pending.add_whole(self._options.monotonic())

    # The worker

    def _running_worker(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(debug=self._options.debug)
        return self._worker

    def _prepare_worker(self) -> None:
        """Load the embedder before the batch is due, so that the changes are in the store sooner."""
        is_prepared = self._worker is not None and self._worker.has_embedder
        if not is_prepared and self._options.monotonic() >= self._schedule.retry_at:
            self._load("embedder")
            self._schedule.used_worker(self._options.monotonic())

    def _retire_worker(self, now: float) -> None:
        """Replace an idle worker with one that has not loaded an embedder, which uses less memory."""
        if self._batch is None and self._schedule.worker_is_idle(now) and self._worker and self._worker.has_embedder:
            self._worker.stop(_ENDING_S)
            self._worker = None
            self._load("libraries")

    def _load(self, what: Literal["libraries", "embedder"]) -> None:
        with suppress(OSError):  # the next batch reports it
            self._running_worker().begin(Job(settings=self._settings, paths=(), only_loads=what))


class _FirstSyncFailedError(Exception):
    """Ends the watcher, because the first sync failed for a reason that waiting does not fix."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error
