"""The process that ingests for a watcher: `python -m streamrag_cli.watch.worker`.

It reads jobs from stdin and writes events to stdout. The embedder and the store's libraries stay loaded until the
watcher closes stdin; the process then exits, which frees their memory. Because importing the libraries takes 2 s, the
watcher then starts another worker that only imports them. If a library crashes, only one attempt fails, not the
watcher.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import BinaryIO, NoReturn

from streamrag_cli.codec import event_line, to_line
from streamrag_cli.errors import ExitCode, StreamragError
from streamrag_cli.events import Error, IngestEvent
from streamrag_cli.system_errors import exhausted_resource
from streamrag_cli.watch.messages import Job, read_job


class _Stopped(BaseException):
    """Raised on SIGTERM. The embedded passages are then saved."""


class _Termination:
    """Raises `_Stopped` on SIGTERM; within a block of `deferred`, only at the end of the block."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_pending = False
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, *_: object) -> None:
        if self._depth:
            self._is_pending = True
        else:
            raise _Stopped

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._is_pending and not self._depth:
            self._is_pending = False
            raise _Stopped


def main() -> None:
    """Run jobs until stdin is closed."""
    jobs = sys.stdin.buffer
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries' output must not be read as events
    termination = _Termination()
    with suppress(_Stopped, BrokenPipeError):
        while line := jobs.readline():
            job = read_job(line)
            if job.only_loads:
                _load(job)
            else:
                _run(job, jobs, out, termination)
    _exit()


def _run(job: Job, jobs: BinaryIO, out: BinaryIO, termination: _Termination) -> None:
    from streamrag_cli.ingest import pipeline
    from streamrag_cli.ingest.roots import Confirmation

    def send(line: bytes) -> None:
        out.write(line)
        out.flush()

    def ask(question: str) -> bool:
        send(to_line({"question": question}))
        return bool(json.loads(jobs.readline() or b"false"))

    confirmation = Confirmation(granted=job.confirmed, ask=ask if job.asks else None)
    request = replace(job.request(confirmation), environment=os.environ, uninterrupted=termination.deferred)
    events = pipeline.ingest(request, job.settings)
    with closing(events):
        try:
            for event in events:
                send(event_line(event))
        except Exception as error:
            if isinstance(error, BrokenPipeError):  # the watcher has exited
                raise
            send(event_line(_failure(error)))


def _failure(error: Exception) -> IngestEvent:
    """Return a job's last event for an exception that is not an expected ingest error."""
    from streamrag_cli.events import as_event

    if (expected := exhausted_resource(error)) is not None:
        return as_event(expected)
    message = f"internal error: {type(error).__name__}: {error}"
    return Error(message=message, code="internal_error", hint="", retryable=True, exit_code=ExitCode.BUG)


def _load(job: Job) -> None:
    """Load the libraries that most jobs need, before the watcher sends the first batch."""
    from streamrag_cli.ingest import pipeline  # noqa: F401 - 0.2 s
    from streamrag_cli.retrieval.embedder import has_tokens
    from streamrag_cli.retrieval.retriever import embedder_for
    from streamrag_cli.store.interface import bound_embedding
    from streamrag_cli.store.registry import open_store

    with suppress(StreamragError, OSError):
        store = open_store(job.settings.store)
        store.load_libraries()
        if job.only_loads == "libraries":
            return
        with store.manifest(job.settings.collection) as manifest:
            made_with = bound_embedding(manifest) if manifest else None
        embedder = embedder_for(job.settings, made_with=made_with)
        if has_tokens(embedder):  # it runs in this process
            embedder.embed_query("")


def _exit() -> NoReturn:
    """Exit without waiting for threads, which may be embedding."""
    os._exit(0)


if __name__ == "__main__":
    main()
