"""Generates the SQL that grants a user the missing privileges for reading or writing."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from streamrag_cli.store.postgres.address import PostgresUrl

SAFE_SEARCH_PATH = "SET search_path = pg_catalog, pg_temp"
"""Sets a search path without schemas in which other users could create functions and operators."""

_ROLES_QUERY = (
    "SELECT current_user, current_database(), pg_get_userbyid(datdba), rolname, coalesce(rolsuper, false)"
    " FROM pg_database LEFT JOIN pg_namespace ON nspname = %s LEFT JOIN pg_roles ON pg_roles.oid = nspowner"
    " WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class _Roles:
    """The names in the SQL. `schema_owner` is None if there is no schema."""

    user: str
    database: str
    database_owner: str
    schema_owner: str | None
    is_superuser: bool


def missing_privilege(address: PostgresUrl, *, writing: bool) -> str:
    """A hint for a user without the privilege: usually one line of SQL for psql, and the role that must run it."""
    roles = _roles(address)
    if roles is None:
        return "grant the privileges in docs/postgres.md"
    if roles.schema_owner is None:
        return (
            f"run as {roles.database_owner}: {_sql('GRANT CREATE ON DATABASE {} TO {};', roles.database, roles.user)}"
        )
    if writing and roles.is_superuser:
        return f"ingest as {roles.schema_owner}, or use a schema of your own: add schema=NAME to the store's address"
    if writing:
        # A rebuild drops and creates tables and indexes, which only their owner can do.
        return f"run as {roles.schema_owner}: {_sql('GRANT {} TO {};', roles.schema_owner, roles.user)}"
    grants = (
        _sql("GRANT USAGE ON SCHEMA {} TO {};", address.schema, roles.user),
        _sql("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};", address.schema, roles.user),
        _sql(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {};",
            roles.schema_owner,
            address.schema,
            roles.user,
        ),
    )
    return f"run as {roles.schema_owner}: {' '.join(grants)}"


def _roles(address: PostgresUrl) -> _Roles | None:
    """Query the roles on a new connection, because the refused connection is in a failed transaction."""
    parameters: dict[str, Any] = {"connect_timeout": 10, **address.parameters}
    with suppress(psycopg.Error), psycopg.connect(make_conninfo("", **parameters), autocommit=True) as conn:
        conn.execute(SAFE_SEARCH_PATH)
        row = conn.execute(_ROLES_QUERY, (address.schema,)).fetchone()
        return _Roles(*row) if row else None
    return None


def _sql(statement: str, *names: str) -> str:
    return sql.SQL(statement).format(*map(sql.Identifier, names)).as_string(None)
