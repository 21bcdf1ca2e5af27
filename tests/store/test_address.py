"""Addresses of stores as users type them; a password in an address is never shown."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from streamrag_cli.codec import to_line
from streamrag_cli.engine.messages import Request, read_request
from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.settings import Settings, read_settings
from streamrag_cli.store.postgres.address import PostgresUrl
from streamrag_cli.store.registry import store_address

SECRET = "s3cret%2Fw0rd"


def test_an_address_without_a_known_scheme_is_a_directory() -> None:
    assert [store_address("here"), store_address("~/x"), store_address("postgres")] == [
        Path("here"),
        Path("~/x").expanduser(),
        Path("postgres"),
    ]


@pytest.mark.parametrize(
    ("address", "shown", "schema"),
    [
        ("postgresql://db/docs", "postgresql://db/docs", "streamrag"),
        (f"postgres://me:{SECRET}@db:5433/docs", "postgresql://me:***@db:5433/docs", "streamrag"),
        (f"postgresql://db/docs?password={SECRET}&user=me", "postgresql://db/docs?password=***&user=me", "streamrag"),
        ("postgresql:///docs?host=/run/pg&schema=try", "postgresql:///docs?host=%2Frun%2Fpg&schema=try", "try"),
        (f"postgresql://me:{SECRET}@a:1,b:2/docs", "postgresql://me:***@a:1,b:2/docs", "streamrag"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str, schema: str) -> None:
    place = store_address(address)

    assert isinstance(place, PostgresUrl)
    assert (str(place), repr(place), place.schema) == (shown, f"PostgresUrl({shown!r})", schema)
    assert place.password == ("s3cret/w0rd" if SECRET in address else "")
    assert store_address(place.with_secret()) == place


def test_libpq_parses_the_address_correctly() -> None:
    place = PostgresUrl(f"postgresql://me:{SECRET}@db/docs?schema=x&options=-c%20a%3Db&host=%2Frun%2Fpg")

    assert conninfo_to_dict(place.url) == {
        "user": "me",
        "password": "s3cret/w0rd",
        "dbname": "docs",
        "options": "-c a=b",
        "host": "/run/pg",
    }


@pytest.mark.parametrize("schema", ["Public", "a-b", "pg_catalog", 'x"; DROP', ""])
def test_invalid_schema_names_are_rejected(schema: str) -> None:
    address = f"postgresql://me:{SECRET}@db/docs?schema={schema}"

    with pytest.raises(UsageError) as flag:
        read_settings({"store": address}, {"HOME": "/"})
    with pytest.raises(ConfigurationError) as variable:
        read_settings({}, {"HOME": "/", "STREAMRAG_STORE": address})

    advice = "its schema must consist of at most 63 characters a-z, 0-9 and _, and not begin with pg_ or a digit"
    assert (flag.value.message, variable.value.message) == (f"--store: {advice}", f"STREAMRAG_STORE: {advice}")


def test_settings_contain_an_address_but_hide_its_password() -> None:
    settings = read_settings({"store": f"postgresql://me:{SECRET}@db/docs"}, {"HOME": "/"})

    address = PostgresUrl(f"postgresql://me:{SECRET}@db/docs")
    assert settings == Settings(store=address, state_directory="/.local/state/streamrag")
    assert SECRET not in repr(settings)


def test_a_request_to_the_engine_contains_the_whole_address() -> None:
    settings = Settings(store=PostgresUrl(f"postgresql://me:{SECRET}@db/docs?schema=other"))

    assert read_request(to_line(Request(wants="status", settings=settings))).settings == settings
