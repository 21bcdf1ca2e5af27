"""Connects to PostgreSQL within a time limit, and detects connections that no longer work.

psycopg cannot stop an attempt to connect, and a host name lookup cannot be stopped at all. Each attempt
therefore runs in its own thread. If the limit expires during a lookup, the thread ends after the lookup.
"""

import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from select import POLLIN, POLLOUT, poll
from threading import Thread
from typing import Any, Final, TypeVar

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_attempts, make_conninfo, timeout_from_conninfo

from streamrag_cli.store.time_limit import TimeLimit

Result = TypeVar("Result")

SILENCE_S: Final = 30.0
"""How long a statement may get no reply before its connection is checked."""
_FAILED_CHECKS: Final = 2
"""After so many failed checks in a row, the connection is dead. During the first check, a reply may be in transit."""
EPOCH_TABLES: Final = ("documents", "chunks", "words", "word_counts", "vectors")
_POLL_S: Final = 0.05


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection. `store` and `extension` are the store's and pgvector's schemas, quoted for SQL.

    These schemas are not in the search path, so statements must qualify all names. If they were in it, an operator or a
    function that another user creates in one of them could run with this user's privileges.
    """

    store = ""
    extension = ""
    is_alive: "Callable[[], bool] | None" = None
    """Checks the connection while a statement gets no reply. A statement may take hours, so it has no time limit."""

    def wait(self, gen: "Generator[Any, Any, Result]", *args: Any, **options: Any) -> Result:
        """Like psycopg's method, but raises OperationalError if the connection turns out to be dead."""
        return super().wait(self._checked(gen), *args, **options)

    def _checked(self, steps: "Generator[Any, Any, Result]") -> "Generator[Any, Any, Result]":
        """Wrap the generator `steps`, and check during a long silence whether the connection is alive.

        psycopg resumes the generator when the socket is ready, and otherwise several times a second.
        """
        checked_at_s, failed_checks = time.monotonic(), 0
        try:
            step = next(steps)
            while True:
                ready = yield step
                if ready:
                    checked_at_s, failed_checks = time.monotonic(), 0
                elif self.is_alive is not None and time.monotonic() - checked_at_s > SILENCE_S:
                    failed_checks = 0 if self.is_alive() else failed_checks + 1
                    if failed_checks == _FAILED_CHECKS:
                        self.close()  # otherwise psycopg would wait for the reply to a rollback
                        raise psycopg.OperationalError(f"no reply for more than {_FAILED_CHECKS * SILENCE_S:g} s")
                    checked_at_s = time.monotonic()
                step = steps.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result

    def table(self, name: str, epoch: int | None = None) -> str:
        """The qualified name of a table in `epoch`, or of a table that all collections share if `epoch` is None."""
        return f"{self.store}.{name}" if epoch is None else f"{self.store}.{name}_{epoch}"


def establish(parameters: Mapping[str, Any], limit: TimeLimit) -> Connection:
    """Open a connection in autocommit mode. Raises psycopg.Error, and `limit.error()` if the limit expires."""
    future: Future[Connection] = Future()
    Thread(target=_attempt, args=(parameters, limit, future), name="connect", daemon=True).start()
    while not wait([future], timeout=_POLL_S).done:
        if limit.is_expired() and future.cancel():
            raise limit.error()
    return future.result()


def _attempt(parameters: Mapping[str, Any], limit: TimeLimit, future: "Future[Connection]") -> None:
    try:
        conn = _connect(parameters, limit)
    except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
        with suppress(InvalidStateError):
            future.set_exception(error)
        return
    try:
        future.set_result(conn)
    except InvalidStateError:  # the caller no longer waits
        conn.close()


def _connect(parameters: Mapping[str, Any], limit: TimeLimit) -> Connection:
    """Try to connect to one host after another, for at most `connect_timeout` each."""
    timeout_s = timeout_from_conninfo(dict(parameters))
    failure: psycopg.Error | None = None
    for attempt in conninfo_attempts(parameters):
        try:
            pgconn = _shake_hands(make_conninfo("", **attempt), time.monotonic() + timeout_s, limit)
        except psycopg.Error as error:
            failure = error
        else:
            conn = Connection(pgconn)
            conn.autocommit = True
            conn.prepare_threshold = None
            return conn
    raise failure or psycopg.OperationalError("the address has no host")


def _shake_hands(conninfo: str, ends_at_s: float, limit: TimeLimit) -> pq.abc.PGconn:
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        while pgconn.status != pq.ConnStatus.BAD:
            status = pgconn.connect_poll()
            if status == pq.PollingStatus.OK:
                pgconn.nonblocking = 1
                return pgconn
            if status == pq.PollingStatus.FAILED:
                break
            ready = poll()
            ready.register(pgconn.socket, POLLIN if status == pq.PollingStatus.READING else POLLOUT)
            while not ready.poll(_POLL_S * 1000):
                limit.check()
                if time.monotonic() > ends_at_s:
                    raise psycopg.errors.ConnectionTimeout("connection timeout expired")
        raise psycopg.OperationalError(f"connection failed: {pgconn.error_message.decode('utf-8', 'replace')}")
    except BaseException:
        pgconn.finish()
        raise
