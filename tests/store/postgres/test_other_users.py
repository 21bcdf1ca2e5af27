"""Other database users can create schemas and objects, but must not read, change or run anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import psycopg
import pytest

from streamrag_cli.errors import StoreError
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.postgres.status import check_integrity
from streamrag_cli.store.registry import open_store
from tests.support.postgres_server import opened
from tests.support.stores import PostgresStore, Store, by_text, by_vector, document, texts

APPLES = document("fruit.md", "apples are red", "pears are green")
SHIPS = document("ships.md", "ships cross the sea")
ADVICE: Final = "use a schema of your own: add schema=NAME to the parameters in the store's address"
SPY: Final = "BEGIN EXECUTE 'INSERT INTO public.spied VALUES (current_user)'; {}; END"
Database = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Users:
    """Roles that may log in and create schemas: `docs` ingests, `mallory` is another user."""

    place: PostgresUrl
    database: Database
    docs: str
    mallory: str

    def store(self, role: str) -> Store:
        return Store(self.address(role))

    def address(self, role: str) -> PostgresUrl:
        return PostgresUrl(self.place.with_secret().replace("postgresql://postgres:", f"postgresql://{role}:"))

    def run_as(self, role: str, *statements: str) -> None:
        with opened(self.address(role)) as conn:
            for statement in statements:
                conn.execute(statement)

    def spied_on(self) -> set[str]:
        """The users as whom mallory's code has run."""
        return {str(name) for (name,) in self.database.execute("SELECT name FROM public.spied")}


@pytest.fixture
def users(store: PostgresStore, database: Database) -> Iterator[Users]:
    mark = token_hex(4)
    users = Users(store.place, database, f"docs_{mark}", f"mallory_{mark}")
    database.execute("CREATE TABLE public.spied (name text); GRANT ALL ON public.spied TO PUBLIC")
    for role in (users.docs, users.mallory):
        database.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE postgres TO {role}")
    try:
        yield users
    finally:
        store.remove()
        database.execute("DROP TABLE public.spied")
        for role in (users.docs, users.mallory):
            database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def squat(users: Users) -> None:
    """Let mallory create the schema before its intended owner, open to everyone and with a trigger."""
    users.store(users.mallory).put(SHIPS)
    users.run_as(
        users.mallory,
        f"GRANT ALL ON SCHEMA {users.place.schema} TO PUBLIC",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {users.place.schema} TO PUBLIC",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {users.place.schema} TO PUBLIC",
        f"CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ {SPY.format('RETURN NEW')} $$",
        "CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON epochs FOR EACH ROW EXECUTE FUNCTION spy()",
    )
    users.database.execute("DELETE FROM public.spied")


def refusal(users: Users, role: str, *, reading: bool = False) -> tuple[str, int, str, str]:
    with pytest.raises(StoreError) as caught:
        if reading:
            with users.store(role).reading() as reader, reader.snapshot():
                pass
        else:
            users.store(role).put(APPLES)
    return caught.value.code, caught.value.exit_code, caught.value.message, caught.value.hint


@pytest.mark.fault("postgres-schema-of-another-user")
@pytest.mark.parametrize("is_superuser", [False, True], ids=["a user", "a superuser"])
def test_nothing_is_ingested_into_the_schema_of_another_user(users: Users, *, is_superuser: bool) -> None:
    squat(users)
    role = "postgres" if is_superuser else users.docs

    schema, mallory = users.place.schema, users.mallory
    assert refusal(users, role) == (
        "store_not_trusted",
        5,
        f"the schema {schema!r} in {users.address(role)} belongs to the database user {mallory!r}, who could read and"
        " change what you ingest",
        f'{ADVICE}; or, if you trust {mallory!r}, run: GRANT "{mallory}" TO "{role}";',
    )
    with pytest.raises(StoreError, match="belongs to the database user"):
        open_store(users.address(role)).remove("default")
    if not is_superuser:
        summary = check_integrity(users.address(role), "default").summary
        assert summary.endswith(f"; the schema belongs to {mallory!r}")
    assert users.spied_on() == set()
    assert users.store(mallory).leftovers() == ["default"]


@pytest.mark.fault("postgres-schema-of-another-user")
def test_the_sql_in_the_hint_makes_the_schema_usable(users: Users) -> None:
    users.store(users.mallory).put(SHIPS)
    users.run_as(users.mallory, f"GRANT ALL ON SCHEMA {users.place.schema} TO {users.docs}")
    hint = refusal(users, users.docs)[-1]
    users.database.execute(hint.partition(f"trust {users.mallory!r}, run: ")[2])

    users.store(users.docs).put(APPLES, rebuild=True)

    with users.store(users.mallory).reading() as reader:
        assert texts(reader) == {"apples are red", "pears are green"}


@pytest.mark.fault("postgres-schema-of-another-user")
@pytest.mark.parametrize("table", ["migrations", "collections", "epochs", "vectors_1"])
def test_tables_of_another_user_in_a_shared_schema_are_refused(users: Users, table: str) -> None:
    users.database.execute(f"CREATE SCHEMA {users.place.schema}; GRANT ALL ON SCHEMA {users.place.schema} TO PUBLIC")
    users.run_as(users.mallory, f"CREATE TABLE {table} (name text)", f"GRANT ALL ON {table} TO PUBLIC")

    code, _, message, hint = refusal(users, users.docs)
    assert (code, hint) == ("store_not_trusted", ADVICE)
    assert message.endswith(f"is not trusted: the table {table!r} belongs to {users.mallory!r}")


SNARES = {
    "a view": ("ALTER TABLE chunks_1 RENAME TO kept; CREATE VIEW chunks_1 AS TABLE kept", "is not an ordinary table"),
    "a rule": ("CREATE RULE r AS ON INSERT TO epochs DO ALSO NOTIFY spied", "has a rule"),
    "a type": ("CREATE TYPE t AS (t text); ALTER TABLE documents_1 ADD extra t", "whose type belongs to {}"),
    "an index": (
        "CREATE FUNCTION f() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 7; END';"
        " CREATE INDEX ON chunks_1 ((ordinal + f()))",
        "has an index with a function that is owned by {}",
    ),
    "an operator": (
        "CREATE FUNCTION f(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 7; END';"
        " CREATE OPERATOR #+# (FUNCTION = f, LEFTARG = int, RIGHTARG = int);"
        " CREATE INDEX ON chunks_1 ((ordinal #+# 1))",
        "has an index with a function that is owned by {}",
    ),
    "row security": ("ALTER TABLE chunks_1 ENABLE ROW LEVEL SECURITY", "has row security enabled"),
}


@pytest.mark.fault("postgres-schema-of-another-user")
@pytest.mark.parametrize(("statement", "message"), SNARES.values(), ids=SNARES)
def test_a_reader_refuses_tables_that_run_their_owners_code(users: Users, statement: str, message: str) -> None:
    users.store(users.mallory).put(SHIPS)
    users.run_as(
        users.mallory,
        statement,
        f"GRANT USAGE ON SCHEMA {users.place.schema} TO PUBLIC",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {users.place.schema} TO PUBLIC",
    )

    code, _, reported, hint = refusal(users, users.docs, reading=True)
    assert (code, hint) == ("store_not_trusted", ADVICE)
    assert reported.endswith(message.format(repr(users.mallory)))


def test_triggers_of_other_users_are_refused_but_not_triggers_of_the_owner(users: Users) -> None:
    users.store(users.docs).put(SHIPS)
    trigger = "CREATE TRIGGER t AFTER UPDATE ON epochs FOR EACH ROW EXECUTE FUNCTION {}.audit()"
    audit = "CREATE FUNCTION {}.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    users.run_as(users.docs, audit.format(users.place.schema), trigger.format(users.place.schema))
    users.store(users.docs).put(APPLES)
    elsewhere = f"of_{users.mallory}"
    users.run_as(users.mallory, f"CREATE SCHEMA {elsewhere}", audit.format(elsewhere))
    users.run_as(users.mallory, f"GRANT USAGE ON SCHEMA {elsewhere} TO PUBLIC")
    users.run_as(users.docs, "DROP TRIGGER t ON epochs", trigger.format(elsewhere))

    assert refusal(users, users.docs)[2].endswith(
        f"the table 'epochs' has a trigger whose function is owned by {users.mallory!r}"
    )


def test_a_schema_that_a_superuser_created_for_another_user_can_be_used(users: Users) -> None:
    users.database.execute(
        f"CREATE SCHEMA {users.place.schema}; GRANT ALL ON SCHEMA {users.place.schema} TO {users.docs};"
        f" GRANT USAGE ON SCHEMA {users.place.schema} TO {users.mallory}"
    )
    users.store(users.docs).put(APPLES)
    users.run_as(users.docs, f"GRANT SELECT ON ALL TABLES IN SCHEMA {users.place.schema} TO {users.mallory}")

    for role in (users.docs, users.mallory):
        with users.store(role).reading() as reader:
            assert texts(reader) == {"apples are red", "pears are green"}
    assert check_integrity(users.address(users.mallory), "default").summary.endswith("; generation 1")
    assert open_store(users.address(users.mallory)).collections(non_empty=True) == ["default"]


def test_a_running_server_detects_that_its_schema_was_taken_over(users: Users) -> None:
    with users.store(users.docs).reading() as reader:
        with pytest.raises(StoreError, match="no collection"), reader.snapshot():
            pass
        users.store(users.mallory).put(SHIPS)
        users.run_as(
            users.mallory,
            SNARES["a view"][0],
            f"GRANT USAGE ON SCHEMA {users.place.schema} TO PUBLIC",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {users.place.schema} TO PUBLIC",
        )
        with pytest.raises(StoreError, match="not an ordinary table"), reader.snapshot():
            pass


SIGNATURES = [
    ("OPERATOR", "-", "integer", "double precision", "double precision", "RETURN 5"),
    ("OPERATOR", "=", "name", "text", "boolean", "RETURN true"),
    ("OPERATOR", "+", "bigint", "integer", "bigint", "RETURN 5"),
    ("OPERATOR", "*", "bigint", "double precision", "double precision", "RETURN 5"),
    ("OPERATOR", "*", "integer", "double precision", "double precision", "RETURN 5"),
    ("OPERATOR", "*", "double precision", "integer", "double precision", "RETURN 5"),
    ("OPERATOR", "+", "integer", "double precision", "double precision", "RETURN 5"),
    ("OPERATOR", "/", "double precision", "bigint", "double precision", "RETURN 5"),
    ("FUNCTION", "quote_ident", "name", "", "text", "RETURN 'public'"),
    ("FUNCTION", "hashtextextended", "text", "integer", "bigint", "RETURN 5"),
    ("FUNCTION", "format", "text", "bigint", "text", "RETURN ''"),
    ("FUNCTION", "format", "text", "text", "text", "RETURN ''"),
]


@pytest.mark.fault("postgres-functions-of-another-user")
def test_no_function_or_operator_of_another_user_runs(users: Users) -> None:
    users.database.execute(f"CREATE SCHEMA {users.place.schema}; GRANT ALL ON SCHEMA public TO {users.mallory}")
    users.database.execute(f"GRANT ALL ON SCHEMA {users.place.schema} TO PUBLIC")
    for schema in ("public", users.place.schema):
        for number, (kind, name, left, right, result, body) in enumerate(SIGNATURES):
            function = f"{schema}.{name if kind == 'FUNCTION' else f'spy_{number}'}"
            parameters = ", ".join(filter(None, (left, right)))
            code = f"LANGUAGE plpgsql AS $$ {SPY.format(body)} $$"
            users.run_as(users.mallory, f"CREATE FUNCTION {function}({parameters}) RETURNS {result} {code}")
            if kind == "OPERATOR":
                operands = f"FUNCTION = {function}, LEFTARG = {left}, RIGHTARG = {right}"
                users.run_as(users.mallory, f"CREATE OPERATOR {schema}.{name} ({operands})")
    users.database.execute("DELETE FROM public.spied")
    docs = users.store(users.docs)

    docs.put(APPLES, SHIPS)
    docs.put(SHIPS, rebuild=True)
    docs.put(APPLES)
    with docs.reading() as reader:
        assert by_vector(reader) == {"apples are red", "pears are green", "ships cross the sea"}
        assert by_text(reader, "apples") == {"apples are red"}
        assert reader.catalog.languages() == [""]
    assert open_store(docs.place).status("default").chunks == 3
    assert check_integrity(users.address(users.docs), "default").problems == ()
    open_store(docs.place).remove("default")

    assert users.spied_on() == set()


def test_a_connection_resolves_names_only_in_the_schemas_of_postgres(store: PostgresStore) -> None:
    from streamrag_cli.store.postgres.connection import connected

    with connected(store.place) as conn:
        assert conn.execute("SHOW search_path").fetchone() == ("pg_catalog, pg_temp",)
