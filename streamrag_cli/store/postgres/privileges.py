"""The SQL that gives a user the rights it lacks: to ask, or to ingest, and no more than that."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streamrag_cli.store.postgres.address import PostgresUrl

_FOUND = (
    "SELECT current_user, current_database(), pg_get_userbyid(datdba), rolname, coalesce(rolsuper, false)"
    " FROM pg_database LEFT JOIN pg_namespace ON nspname = %s LEFT JOIN pg_roles ON pg_roles.oid = nspowner"
    " WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class _Roles:
    """`schema_owner` is None if the schema does not exist; `is_superuser` is about that owner."""

    user: str
    database: str
    database_owner: str
    schema_owner: str | None
    is_superuser: bool


def missing_privilege(address: PostgresUrl, *, writing: bool) -> str:
    """What the owner has to run, as one line that psql takes as it stands."""
    roles = _roles(address)
    if roles is None:
        return "see the privileges in docs/postgres.md"
    if roles.schema_owner is None:
        return f"as {roles.database_owner}: {_sql('GRANT CREATE ON DATABASE {} TO {};', roles.database, roles.user)}"
    if writing and roles.is_superuser:
        return f"ingest as {roles.schema_owner}, or into a schema of your own: schema=NAME in the store's address"
    if writing:
        # A rebuild drops and makes tables and indexes, which only their owner may.
        return f"as {roles.schema_owner}: {_sql('GRANT {} TO {};', roles.schema_owner, roles.user)}"
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
    return f"as {roles.schema_owner}: {' '.join(grants)}"


def _roles(address: PostgresUrl) -> _Roles | None:
    """Asked on a connection of its own: the one that was refused is in a failed transaction."""
    given: dict[str, Any] = {"connect_timeout": 10, **conninfo_to_dict(address.url)}
    with suppress(psycopg.Error), psycopg.connect(make_conninfo("", **given), autocommit=True) as conn:
        found = conn.execute(_FOUND, (address.schema,)).fetchone()
        return _Roles(*found) if found else None
    return None


def _sql(statement: str, *names: str) -> str:
    return sql.SQL(statement).format(*map(sql.Identifier, names)).as_string(None)
