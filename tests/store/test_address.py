"""Store addresses as users type them; a password in an address is never shown."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from streamrag_cli.codec import to_line
from streamrag_cli.engine.messages import Request, read_request
from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.settings import Settings, read_settings
from streamrag_cli.store.postgres.address import KEYWORDS, PostgresUrl
from streamrag_cli.store.registry import open_store, store_address

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
        (f"PostgreSQL://me:{SECRET}@db/docs", "postgresql://me:***@db/docs", "streamrag"),
        (f" postgres://me:{SECRET}@[::1]:7/d ", "postgresql://me:***@[::1]:7/d", "streamrag"),
        (
            f"postgresql://db/docs?sslpassword={SECRET}&sslmode=require",
            "postgresql://db/docs?sslpassword=***",
            "streamrag",
        ),
        (
            f"postgresql://?scram_client_key={SECRET}&service=kb",
            "postgresql://?scram_client_key=***&service=kb",
            "streamrag",
        ),
        (
            f"postgresql://db/d?oauth_client_secret={SECRET}&options=-c%20x",
            "postgresql://db/d?oauth_client_secret=***",
            "streamrag",
        ),
        ("postgresql:///docs?host=/run/pg&schema=try", "postgresql:///docs?host=%2Frun%2Fpg&schema=try", "try"),
        (f"postgresql://me:{SECRET}@a:1,b:2/docs", "postgresql://me:***@a:1,b:2/docs", "streamrag"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str, schema: str) -> None:
    place = store_address(address)

    assert isinstance(place, PostgresUrl)
    assert (str(place), repr(place), place.schema) == (shown, f"PostgresUrl({shown!r})", schema)
    assert place.secrets == (("s3cret/w0rd",) if SECRET in address else ())
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

    advice = (
        "the name of the schema must consist of at most 63 characters a-z, 0-9 and _, and must not begin with pg_ or"
        " a digit"
    )
    assert (flag.value.message, variable.value.message) == (f"--store: {advice}", f"STREAMRAG_STORE: {advice}")


@pytest.mark.parametrize(
    "password", ["a#b", "a?b", "?", "a&b=c", "a:b:c", "pass word", "x;password=y", "%25", "%40%2F", "#"]
)
def test_a_password_may_contain_all_characters_that_libpq_accepts(password: str) -> None:
    place = PostgresUrl(f"postgresql://me:{password}@db:7/docs?schema=kb")

    assert place.parameters == {
        "user": "me",
        "password": unquote(password),
        "host": "db",
        "port": "7",
        "dbname": "docs",
    }
    assert str(place) == "postgresql://me:***@db:7/docs?schema=kb"
    assert (PostgresUrl(place.with_secret()), PostgresUrl(place.in_schema("kb").with_secret())) == (place, place)
    if " " not in password:  # libpq requires %20
        assert conninfo_to_dict(place.url) == place.parameters


HIDDEN = "Zw4"
UNUSABLE = [
    f"host=127.0.0.1 user=me password={HIDDEN}",
    f"postgresql://me:a/{HIDDEN}@db/docs",
    f"postgresql://me:5432/{HIDDEN}@db/docs",
    f"postgresql://me:5/{HIDDEN}/x@db/docs",
    f"postgresql://me:a@{HIDDEN}@db/docs",
    f"postgresql://me:a@{HIDDEN}/x@db/docs",
    f"postgresql://me:1?{HIDDEN}/x@db/docs",
    f"postgresql://me:1?user={HIDDEN}=/x@db/docs",
    f"postgresql://me:{HIDDEN}%@db/docs",
    f"postgresql://me:{HIDDEN}%zz@db/docs",
    f"postgresql://me:{HIDDEN}%00@db/docs",
    f"postgresql://me:{HIDDEN}%ff@db/docs",
    f"postgresql://db/docs;password={HIDDEN}",
    f"postgresql://db/docs&password={HIDDEN}",
    f"postgresql://db/docs#password={HIDDEN}",
    f"postgresql://db/docs?sslmode=require;password={HIDDEN}",
    f"postgresql://db/docs?sslmode=require#{HIDDEN}",
    f"postgresql://db/docs?pass={HIDDEN}",
    f"postgresql://db/docs?pass={HIDDEN}&pass={HIDDEN}",
    f"postgresql://db/docs?{HIDDEN}",
    f"postgresql://db/docs?password={HIDDEN}=",
    f"postgresql://db/docs?password={HIDDEN} x",
    f"postgresql://me:{HIDDEN}@db:none/docs",
    f"postgresql://me:{HIDDEN}@db:0/docs",
    f"postgresql://me:{HIDDEN}@db:70000/docs",
    f"postgresql://me:{HIDDEN}@[::1/docs",
    f"postgresql:me:{HIDDEN}@db/docs",
    f"postgresql+psycopg://me:{HIDDEN}@db/docs",
    f"jdbc:postgresql://me:{HIDDEN}@db/docs",
    f"mysql://me:{HIDDEN}@db/docs",
    f" s3://{HIDDEN}",
]


@pytest.mark.fault("store-address-unusable")
@pytest.mark.parametrize("address", UNUSABLE)
def test_an_unusable_address_is_refused_without_showing_any_of_it(address: str) -> None:
    with pytest.raises(UsageError) as flag:
        read_settings({"store": address}, {"HOME": "/"})
    with pytest.raises(ConfigurationError) as variable:
        read_settings({}, {"HOME": "/", "STREAMRAG_STORE": address})

    for error, name in ((flag.value, "--store"), (variable.value, "STREAMRAG_STORE")):
        assert error.message.startswith(f"{name}: ")
        assert HIDDEN not in f"{error.message} {error.hint}"


@pytest.mark.fault("store-address-unusable")
def test_unknown_parameters_and_schemes_are_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="the parameter 'pass' is not known to libpq"):
        store_address("postgresql://db/docs?pass=x")
    with pytest.raises(ValueError, match="the scheme postgresql\\+psycopg:// is unknown; use postgresql://"):
        store_address("postgresql+psycopg://db/docs")
    assert store_address("./s3://x") == Path("s3:/x")
    with pytest.raises(ValueError, match=r"must be a URL: postgresql://USER@HOST/DATABASE$"):
        store_address("host=db password=secret")
    assert store_address("./host=db") == Path("host=db")


@pytest.mark.fault("store-address-unusable")
def test_blanks_around_an_address_are_ignored_when_it_is_shown() -> None:
    address = " postgresql://me:secret@db/docs "

    assert open_store(store_address(address)).display_address(address) == "postgresql://me:***@db/docs"


def test_the_known_parameters_match_the_installed_libpq() -> None:
    installed = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}

    assert installed - KEYWORDS == set()


def test_settings_contain_an_address_but_hide_its_password() -> None:
    settings = read_settings({"store": f"postgresql://me:{SECRET}@db/docs"}, {"HOME": "/"})

    address = PostgresUrl(f"postgresql://me:{SECRET}@db/docs")
    assert settings == Settings(store=address, state_directory="/.local/state/streamrag")
    assert SECRET not in repr(settings)


def test_a_request_to_the_engine_contains_the_whole_address() -> None:
    settings = Settings(store=PostgresUrl(f"postgresql://me:{SECRET}@db/docs?schema=other"))

    assert read_request(to_line(Request(wants="status", settings=settings))).settings == settings
