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
def translate_errors(address: PostgresUrl, *, writing: bool = False) -> Iterator[None]:
    """Turn what psycopg raises inside into a StoreError; what is left is a bug in a statement."""
    try:
        yield
    except psycopg.Error as error:
        failure = _as_store_error(error, address, writing=writing)
        if failure is None:
            raise
        raise failure from error


def _as_store_error(error: psycopg.Error, address: PostgresUrl, *, writing: bool) -> StoreError | None:
    state, said = error.sqlstate or "", _first_line(error, address)
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(
            f"the store at {address} cannot be {'written' if writing else 'read'}: {said}",
            code="store_not_writable" if writing else "store_not_readable",
            hint=missing_privilege(address, writing=writing),
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return _not_writable(address, said, "connect to the primary server, not to a replica")
    if state.startswith(_NO_ROOM):
        return _not_writable(address, said, "free disk space on the database server")
    if state.startswith(_TRY_AGAIN) or isinstance(error, errors.QueryCanceled):
        return busy(said)
    if state.startswith(_BROKEN):
        return damaged(f"the collection in {address} is damaged: {said}")
    if state.startswith(_LOST) or (not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))):
        return StoreError(
            f"the connection to {address} was lost: {said}",
            code="store_unreachable",
            hint="run the command again: what was committed is kept",
            retryable=True,
        )
    return None


def connection_error(error: psycopg.Error, address: PostgresUrl) -> StoreError:
    """Why there is no connection. libpq gives no code for that, only the server's words."""
    said = _first_line(error, address)
    if "password" in said or "authentication" in said or "pg_hba.conf" in said:
        return StoreError(
            f"{address} refused the login: {said}",
            code="store_login_refused",
            hint="correct the user or password in STREAMRAG_STORE, PGPASSWORD or ~/.pgpass",
        )
    if "role " in said and "does not exist" in said:
        return StoreError(
            f"{address} refused the login: {said}",
            code="store_login_refused",
            hint="create the user (createuser NAME), or use another one",
        )
    if "database " in said and "does not exist" in said:
        return StoreError(
            f"the database at {address} does not exist: {said}", code="store_missing", hint="createdb NAME"
        )
    if "too many" in said or "starting up" in said or "reserved" in said:
        return busy(said)
    return StoreError(
        f"{address} cannot be reached: {said}",
        code="store_unreachable",
        hint="start the server, or use another store: --store STORE",
        retryable=True,
    )


def extension_missing(address: PostgresUrl, said: str = "") -> StoreError:
    return StoreError(
        f"pgvector is not installed in the database at {address}{said and ': '}{said}",
        code="store_extension_missing",
        hint="install pgvector on the server; then, as a superuser: psql -c 'CREATE EXTENSION vector'",
    )


def extension_error(error: psycopg.Error, address: PostgresUrl) -> StoreError:
    return extension_missing(address, _first_line(error, address))


def _not_writable(address: PostgresUrl, said: str, hint: str) -> StoreError:
    return StoreError(f"the store at {address} cannot be written: {said}", code="store_not_writable", hint=hint)


def _first_line(error: psycopg.Error, address: PostgresUrl) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[-1] if lines[0].startswith("connection failed") and "FATAL" in lines[-1] else lines[0]
    said = said.rpartition("FATAL:")[2].strip()
    return said.replace(address.password, "***") if address.password else said
