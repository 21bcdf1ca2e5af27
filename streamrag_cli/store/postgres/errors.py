"""PostgreSQL's failures in the store's words: every exception of psycopg is translated here, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors

from streamrag_cli.errors import StoreError
from streamrag_cli.store.interface import busy, damaged
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.privileges import missing_privilege

_LOST: Final = ("08", "57P")  # connection exceptions; shut down, crashed, starting up
_NO_ROOM: Final = ("53100", "53200")
_TRY_AGAIN: Final = ("40", "53300", "55P03")  # deadlock or serialisation, too many connections, lock not had
_BROKEN: Final = ("XX", "42P01", "42703", "58")  # corruption, no such table or column, a file that cannot be read


@contextmanager
def translated(place: PostgresUrl, *, writing: bool = False) -> Iterator[None]:
    """Turn what psycopg raises inside into a StoreError; what is left is a bug in a statement."""
    try:
        yield
    except psycopg.Error as error:
        failure = _failure(error, place, writing=writing)
        if failure is None:
            raise
        raise failure from error


def _failure(error: psycopg.Error, place: PostgresUrl, *, writing: bool) -> StoreError | None:
    state, said = error.sqlstate or "", _first_line(error, place)
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(
            f"the store at {place} cannot be {'written' if writing else 'read'}: {said}",
            code="store_not_writable" if writing else "store_not_readable",
            hint=missing_privilege(place, writing=writing),
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return _not_writable(place, said, "write to the primary server, not to a copy of it")
    if state.startswith(_NO_ROOM):
        return _not_writable(place, said, "make room on the database's server")
    if state.startswith(_TRY_AGAIN) or isinstance(error, errors.QueryCanceled):
        return busy(said)
    if state.startswith(_BROKEN):
        return damaged(f"the collection in {place} is damaged: {said}")
    if state.startswith(_LOST) or (not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))):
        return StoreError(
            f"the connection to {place} was lost: {said}",
            code="store_unreachable",
            hint="run the command again: what was committed is kept",
            retryable=True,
        )
    return None


def refused(error: psycopg.Error, place: PostgresUrl) -> StoreError:
    """Why there is no connection. libpq gives no code for that, only the server's words."""
    said = _first_line(error, place)
    if "password" in said or "authentication" in said or "pg_hba.conf" in said:
        return StoreError(
            f"{place} refuses the login: {said}",
            code="store_login_refused",
            hint="correct the user or password in STREAMRAG_STORE, PGPASSWORD or ~/.pgpass",
        )
    if "role " in said and "does not exist" in said:
        return StoreError(
            f"{place} refuses the login: {said}", code="store_login_refused", hint="createuser NAME, or name another"
        )
    if "database " in said and "does not exist" in said:
        return StoreError(f"there is no database at {place}: {said}", code="store_missing", hint="createdb NAME")
    if "too many" in said or "starting up" in said or "reserved" in said:
        return busy(said)
    return StoreError(
        f"{place} cannot be reached: {said}",
        code="store_unreachable",
        hint="start the server, or name another store: --store",
        retryable=True,
    )


def no_extension(place: PostgresUrl, said: str = "") -> StoreError:
    return StoreError(
        f"the database at {place} has no pgvector{said and ': '}{said}",
        code="store_extension_missing",
        hint="install pgvector on the server; then, as a superuser: psql -c 'CREATE EXTENSION vector'",
    )


def extension_refused(error: psycopg.Error, place: PostgresUrl) -> StoreError:
    return no_extension(place, _first_line(error, place))


def _not_writable(place: PostgresUrl, said: str, hint: str) -> StoreError:
    return StoreError(f"the store at {place} cannot be used: {said}", code="store_not_writable", hint=hint)


def _first_line(error: psycopg.Error, place: PostgresUrl) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[-1] if lines[0].startswith("connection failed") and "FATAL" in lines[-1] else lines[0]
    said = said.rpartition("FATAL:")[2].strip()
    return said.replace(place.password, "***") if place.password else said
