"""Connects to PostgreSQL within a time limit.

psycopg cannot stop an attempt to connect, and the lookup of a host name cannot be stopped at all. Each attempt
therefore runs in its own thread. If the limit expires during a lookup, the thread ends after the lookup.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from select import POLLIN, POLLOUT, poll
from threading import Thread
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_attempts, make_conninfo, timeout_from_conninfo

from streamrag_cli.store.time_limit import TimeLimit

EPOCH_TABLES: Final = ("documents", "chunks", "words", "word_counts", "vectors")
_POLL_S: Final = 0.05


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection. `store` and `extension` are the schemas of the store and of pgvector, quoted for SQL.

    These schemas are not in the search path, so statements must qualify all names. Otherwise operators and functions
    that other users create there would run as this user, if their types matched better than those of PostgreSQL.
    """

    store = ""
    extension = ""

    def table(self, name: str, epoch: int | None = None) -> str:
        """The qualified name of a table of `epoch`. If `epoch` is None, of a table that all collections share."""
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
