"""Translates psycopg's exceptions to errors that name the store and suggest a fix."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors

from streamrag_cli.errors import ConfigurationError, StoreError, StreamragError
from streamrag_cli.store.interface import busy, damaged
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.privileges import missing_privilege

_CONNECTION_LOST: Final = (
    "08",
    "57P",
)  # connection exceptions; the server is shutting down, has crashed or is starting up
_OUT_OF_RESOURCES: Final = ("53100", "53200")
_RETRYABLE: Final = ("40", "53300", "55P03")  # deadlock or serialisation failure, too many connections, lock timeout
_DAMAGED: Final = ("XX", "42P01", "42703", "42883", "42804", "58")
"""The codes for corruption, missing tables or columns, columns with the wrong type, and unreadable files."""
_UNWRITABLE: Final = ("23", "42P10")
"""The codes for failed writes to a row or constraint that is not as the store created it."""

_UNUSABLE: Final = re.compile(
    r"\binvalid (?:\w+ )?(?:value|number)\b|\bunrecognized configuration|could not match \d+ "
)
"""Matches messages from libpq or the server about parameters that it cannot use."""


@contextmanager
def translate_errors(address: PostgresUrl, *, writing: bool = False) -> Iterator[None]:
    """Translate psycopg's exceptions in the `with` block to StoreError, except exceptions caused by a bug."""
    try:
        yield
    except psycopg.Error as error:
        store_error = _as_store_error(error, address, writing=writing)
        if store_error is None:
            raise
        raise store_error from error


@contextmanager
def translate_malformed(address: PostgresUrl) -> Iterator[None]:
    """Translate exceptions that malformed rows cause in the `with` block to StoreError `store_damaged`.

    The block must do nothing except read and convert rows, because a bug in other code would be reported as damage.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, psycopg.DataError) as error:
        raise damaged(f"the collection in {address} is damaged: it has missing or malformed rows") from error


def _as_store_error(error: psycopg.Error, address: PostgresUrl, *, writing: bool) -> StoreError | None:
    state, message = error.sqlstate or "", _first_line(error, address)
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(
            f"the store at {address} cannot be {'written to' if writing else 'read'}: {message}",
            code="store_not_writable" if writing else "store_not_readable",
            hint=missing_privilege(address, writing=writing),
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return _not_writable(address, message, "connect to the primary server, not to a replica")
    if state.startswith(_OUT_OF_RESOURCES):
        return _not_writable(address, message, "free disk space on the database server")
    if isinstance(error, errors.LockNotAvailable):
        return busy(
            f"another session has locked a table in {address}",
            hint="end that session, or wait until it ends; to list the sessions:"
            " psql -c 'SELECT pid, state, query FROM pg_stat_activity'",
        )
    if state.startswith(_RETRYABLE) or isinstance(error, errors.QueryCanceled):
        return busy(message)
    if state.startswith(_DAMAGED) or (writing and state.startswith(_UNWRITABLE)):
        return damaged(f"the collection in {address} is damaged: {message}")
    if state.startswith(_CONNECTION_LOST) or (
        not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    ):
        return StoreError(
            f"the connection to {address} was lost: {message}",
            code="store_unreachable",
            hint="run the command again: committed documents are kept",
            retryable=True,
        )
    return None


def connection_error(error: psycopg.Error, address: PostgresUrl) -> StreamragError:
    """The error for a failed connection. It is derived from the message, because libpq reports no error code."""
    message = _first_line(error, address)
    if isinstance(error, psycopg.ProgrammingError) or _UNUSABLE.search(message):
        return ConfigurationError(
            f"the parameters in {address} cannot be used: {message}",
            code="bad_setting",
            hint="correct the store's address (docs/postgres.md)",
        )
    if "password" in message or "authentication" in message or "pg_hba.conf" in message:
        return StoreError(
            f"{address} refused the login: {message}",
            code="store_login_refused",
            hint="correct the user or password in STREAMRAG_STORE, PGPASSWORD or ~/.pgpass",
        )
    if "role " in message and "does not exist" in message:
        return StoreError(
            f"{address} refused the login: {message}",
            code="store_login_refused",
            hint="create the user (createuser NAME), or log in as another user",
        )
    if "database " in message and "does not exist" in message:
        return StoreError(
            f"the database at {address} does not exist: {message}", code="store_missing", hint="createdb NAME"
        )
    if "too many" in message or "starting up" in message or "reserved" in message:
        return busy(message)
    return StoreError(
        f"{address} cannot be reached: {message}",
        code="store_unreachable",
        hint="start the server, or use another store: --store STORE",
        retryable=True,
    )


def extension_missing(address: PostgresUrl, message: str = "") -> StoreError:
    return StoreError(
        f"pgvector is not installed in the database at {address}{message and ': '}{message}",
        code="store_extension_missing",
        hint="install pgvector on the server; then, as a superuser: psql -c 'CREATE EXTENSION vector'",
    )


def extension_error(error: psycopg.Error, address: PostgresUrl) -> StoreError:
    return extension_missing(address, _first_line(error, address))


def _not_writable(address: PostgresUrl, message: str, hint: str) -> StoreError:
    return StoreError(f"the store at {address} cannot be written to: {message}", code="store_not_writable", hint=hint)


def _first_line(error: psycopg.Error, address: PostgresUrl) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    message = lines[-1] if lines[0].startswith("connection failed") and "FATAL" in lines[-1] else lines[0]
    message = message.rpartition("FATAL:")[2].strip()
    for secret in address.secrets:
        message = message.replace(secret, "***")
    return message
