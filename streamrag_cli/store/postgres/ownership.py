"""Refuses a schema that another database user has prepared.

Users with the privilege CREATE on a database can create a schema before its intended owner does. The owner of a schema
or table can read it and change it. Triggers, rules, row security policies, casts of columns and functions in index
expressions run as the user who writes or reads.

A writer therefore requires a schema that belongs to itself, to a role that it is a member of, or to a superuser.
Superusers are always trusted, because they can do everything anyway. If the writer is a superuser, only explicit
memberships count. A reader accepts any owner of the schema, because that owner has granted it access.
"""

from typing import Any, Final

from psycopg import sql

from streamrag_cli.errors import StoreError
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.establish import Connection
from streamrag_cli.store.postgres.privileges import missing_privilege

_QUERY: Final = """
WITH RECURSIVE
own AS (  -- the user, and the roles that it is a member of
    SELECT oid FROM pg_roles WHERE rolname = current_user
    UNION SELECT roleid FROM pg_auth_members JOIN own ON member = own.oid
),
home AS (
    SELECT pg_namespace.oid, CASE rolname WHEN 'pg_database_owner' THEN datdba ELSE nspowner END AS owner, rolsuper
    FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner JOIN pg_database ON datname = current_database()
    WHERE nspname = %(schema)s
),
tables AS (
    SELECT pg_class.* FROM pg_class JOIN home ON relnamespace = home.oid
    WHERE relname ~
        '^(migrations|collections|epochs|roots|watchers|(documents|chunks|words|word_counts|vectors)_[0-9]+)$'
),
owners AS (  -- roles that may own the tables: the owner of the schema and its members
    SELECT owner AS oid FROM home
    UNION SELECT relowner FROM tables, home WHERE relname = 'migrations' AND rolsuper AND NOT %(writing)s
    UNION SELECT member FROM pg_auth_members JOIN owners ON roleid = owners.oid
),
trusted AS (SELECT oid FROM own UNION SELECT oid FROM pg_roles WHERE rolsuper),
problems AS (
    SELECT 1 AS rank, '' AS name, '' AS what, owner FROM home WHERE %(writing)s AND owner NOT IN (TABLE trusted)
    UNION ALL SELECT 2, relname, 'table', relowner FROM tables
    WHERE relowner NOT IN (TABLE trusted UNION TABLE owners)
    UNION ALL SELECT 3, relname, 'kind', relowner FROM tables WHERE relkind <> 'r'
    UNION ALL SELECT 4, relname, 'trigger', proowner
    FROM tables JOIN pg_trigger ON tgrelid = tables.oid JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal AND proowner NOT IN (TABLE trusted UNION TABLE owners)
    UNION ALL SELECT 5, relname, 'rule', relowner FROM tables JOIN pg_rewrite ON ev_class = tables.oid
    UNION ALL SELECT 6, relname, 'policy', relowner FROM tables WHERE relrowsecurity AND relowner NOT IN (TABLE trusted)
    UNION ALL SELECT 7, relname, 'type', typowner
    FROM tables JOIN pg_attribute ON attrelid = tables.oid JOIN pg_type ON pg_type.oid = atttypid
    WHERE typowner NOT IN (TABLE trusted)
    UNION ALL SELECT 8, relname, 'index', coalesce(proowner, oprowner)
    FROM tables JOIN pg_index ON indrelid = tables.oid
    JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = indexrelid
    LEFT JOIN pg_proc ON refclassid = 'pg_proc'::regclass AND pg_proc.oid = refobjid
    LEFT JOIN pg_operator ON refclassid = 'pg_operator'::regclass AND pg_operator.oid = refobjid
    WHERE coalesce(proowner, oprowner) NOT IN (TABLE trusted)
)
SELECT name, what, pg_get_userbyid(owner), current_user,
    (SELECT has_schema_privilege(oid, 'CREATE') FROM home)
FROM problems ORDER BY rank, name LIMIT 1
"""
_WHAT: Final = {
    "table": "the table {name!r} belongs to {owner!r}",
    "kind": "{name!r}, which belongs to {owner!r}, is not an ordinary table",
    "trigger": "the table {name!r} has a trigger whose function is owned by {owner!r}",
    "rule": "the table {name!r}, which belongs to {owner!r}, has a rule",
    "policy": "the table {name!r}, which belongs to {owner!r}, has row security enabled",
    "type": "the table {name!r} has a column whose type belongs to {owner!r}",
    "index": "the table {name!r} has an index with a function that is owned by {owner!r}",
}


def foreign_owner(conn: Connection, address: PostgresUrl) -> str | None:
    """The owner of the schema if this user may not ingest into it because of its owner; otherwise None."""
    row: Any = conn.execute(_QUERY, {"schema": address.schema, "writing": True}).fetchone()
    return str(row[2]) if row and not row[1] else None


def require_trusted(conn: Connection, address: PostgresUrl, *, writing: bool) -> None:
    """Raise StoreError if the user cannot trust the schema (`store_not_trusted`) or write to it (`store_not_writable`).

    The search path of `conn` must be safe. Does nothing if the schema does not exist.
    """
    row: Any = conn.execute(_QUERY, {"schema": address.schema, "writing": writing}).fetchone()
    if row is None:
        return
    name, what, owner, user, may_create = row
    advice = "use a schema of your own: add schema=NAME to the parameters in the store's address"
    if what:
        raise StoreError(
            f"the schema {address.schema!r} in {address} is not trusted: {_WHAT[what].format(name=name, owner=owner)}",
            code="store_not_trusted",
            hint=advice,
        )
    if not may_create:
        raise StoreError(
            f"the store at {address} cannot be written to: {user!r} may not create tables in the schema, which"
            f" belongs to {owner!r}",
            code="store_not_writable",
            hint=missing_privilege(address, writing=True),
        )
    grant = sql.SQL("GRANT {} TO {};").format(sql.Identifier(owner), sql.Identifier(user)).as_string(None)
    raise StoreError(
        f"the schema {address.schema!r} in {address} belongs to the database user {owner!r}, who could read and change"
        " what you ingest",
        code="store_not_trusted",
        hint=f"{advice}; or, if you trust {owner!r}, run: {grant}",
    )
