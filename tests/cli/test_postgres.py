"""Commands on a store in PostgreSQL."""

import json
from collections.abc import Iterator

import pytest

from streamrag_cli.store.postgres.address import PostgresUrl
from tests.support.command_line import CommandLine
from tests.support.postgres_server import fresh_schema

pytestmark = pytest.mark.postgres

PASSWORD = "n0t-to-be-shown"
FILES = {"a.md": "# Harbour\n\nThe fuel dock opens at seven.\n", "b.md": "# Galley\n\nSimmer the clams.\n"}
QUESTION = "When does the fuel dock open?"


@pytest.fixture
def place() -> Iterator[PostgresUrl]:
    with fresh_schema() as place:
        yield place


@pytest.fixture
def user(cli: CommandLine, place: PostgresUrl) -> CommandLine:
    """A user with two files and a store in PostgreSQL."""
    for name, text in FILES.items():
        (cli.directory / name).write_text(text, encoding="utf-8")
    return cli.having(STREAMRAG_STORE=place.with_secret().replace("postgres:@", f"postgres:{PASSWORD}@"))


def counts(user: CommandLine, *arguments: str) -> dict[str, int]:
    outcome = user.run("ingest", "--json", *arguments)
    assert outcome.code == 0, outcome
    return {name: count for name, count in json.loads(outcome.stdout)["counts"].items() if count}


def test_ingest_ask_update_and_status_work_with_postgres(user: CommandLine, place: PostgresUrl) -> None:
    assert counts(user, "--dry-run", ".") == {"added": 2}
    assert counts(user, ".") == {"added": 2}
    searched = user.run("search", "--json", QUESTION)
    assert json.loads(searched.stdout)["hits"][0]["source"] == "a.md"
    assert b"seven" in user.run("ask", QUESTION).stdout
    (user.directory / "b.md").unlink()
    (user.directory / "a.md").write_text("# Harbour\n\nThe fuel dock opens at eight.\n", encoding="utf-8")
    assert counts(user, "--dry-run", ".") == {"changed": 1, "deleted": 1}
    assert counts(user, ".") == {"changed": 1, "deleted": 1}
    assert counts(user, "--rebuild") == {"added": 1}
    assert b"eight" in user.run("ask", QUESTION).stdout

    shown = user.run("status", "--json")
    status = json.loads(shown.stdout)
    collection = status["collections"][0]
    assert status["store"] == str(place)
    assert (collection["documents"], collection["chunks"], collection["dimension"]) == (1, 1, 384)
    assert (collection["roots"], collection["size_bytes"] > 10_000) == ([str(user.directory)], True)
    assert PASSWORD not in shown.stdout.decode() + user.run("status").stdout.decode()


def test_ask_and_status_report_that_the_collection_is_missing(user: CommandLine, place: PostgresUrl) -> None:
    answered, shown = user.run("ask", QUESTION), user.run("status")

    assert (answered.code, answered.stderr) == (
        5,
        f"streamrag: there is no collection 'default' in {place}\nhint: streamrag ingest PATH\n",
    )
    assert (shown.code, shown.stderr) == (
        5,
        f"streamrag: nothing has been ingested into {place}\nhint: streamrag ingest PATH\n",
    )


def test_an_unreachable_database_exits_with_5_and_hides_the_password(cli: CommandLine) -> None:
    user = cli.having(STREAMRAG_STORE=f"postgresql://me:{PASSWORD}@127.0.0.1:1/docs")

    for command in (("ask", QUESTION), ("ingest", "."), ("status",)):
        outcome = user.run(*command, "--debug")
        assert (outcome.code, PASSWORD in outcome.stderr) == (5, False)
        assert "postgresql://me:***@127.0.0.1:1/docs cannot be reached" in outcome.stderr


@pytest.mark.fault("store-address-unusable")
@pytest.mark.parametrize(
    "parameters", ["sslmode=none", "connect_timeout=soon", "port=70000", "options=-c%20nothing%3D1"]
)
def test_parameters_that_libpq_or_the_server_refuses_are_a_configuration_error(
    user: CommandLine, parameters: str
) -> None:
    address = user.variables["STREAMRAG_STORE"]
    outcome = user.having(STREAMRAG_STORE=f"{address}&{parameters}").run("status")

    assert (outcome.code, PASSWORD in outcome.stderr) == (3, False)
    [message, hint] = outcome.stderr.splitlines()
    shown = "postgresql://postgres:***@/postgres?host="
    assert message.startswith(f"streamrag: the parameters in {shown}")
    assert " cannot be used: " in message
    assert hint == "hint: correct the store's address (docs/postgres.md)"


@pytest.mark.fault("store-address-unusable")
@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "POSTGRES+asyncpg", "mysql"])
def test_an_address_with_an_unknown_scheme_creates_no_directory(cli: CommandLine, scheme: str) -> None:
    (cli.directory / "a.md").write_text("# Harbour\n", encoding="utf-8")
    before = sorted(cli.directory.rglob("*"))
    outcome = cli.having(STREAMRAG_STORE=f"{scheme}://me:{PASSWORD}@127.0.0.1:1/docs").run("ingest", ".", "--debug")

    assert (outcome.code, PASSWORD in outcome.stdout.decode() + outcome.stderr) == (3, False)
    assert f"the scheme {scheme}:// is unknown; use postgresql://" in outcome.stderr
    assert sorted(cli.directory.rglob("*")) == before


def test_a_copied_collection_returns_the_same_search_results(user: CommandLine, place: PostgresUrl) -> None:
    assert counts(user, ".") == {"added": 2}
    copied = user.run("copy", "--from", place.with_secret(), "--to", "there")
    again = user.run("copy", "--from", place.with_secret(), "--to", "there", "--json")
    replaced = user.run("copy", "--from", place.with_secret(), "--to", "there", "--json", "--replace")

    assert (copied.code, copied.stderr) == (0, "copied 'default': 2 documents, 2 passages\n")
    assert (again.code, again.stderr.splitlines()[1]) == (
        5,
        "hint: add --replace to replace it, or copy another collection: -c NAME",
    )
    assert json.loads(replaced.stdout) == {"version": 1, "collection": "default", "documents": 2, "chunks": 2}
    searches = [
        user.run("search", "--json", QUESTION).stdout,
        user.run("search", "--json", "--store", "there", QUESTION).stdout,
    ]
    assert searches[0] == searches[1]


def test_an_evaluation_drops_its_schema(user: CommandLine) -> None:
    folder = user.directory / "questions"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"_id": "a", "title": "", "text": "The dock opens at seven."}\n')
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "When does the dock open?"}\n')
    (folder / "qrels.tsv").write_text("1\ta\t1\n")

    outcome = user.run("eval", "--json", "questions")

    assert (outcome.code, json.loads(outcome.stdout)["ndcg@10"]) == (0, 1.0)
    schemas = schemas_of(user)
    assert [each for each in schemas if each.startswith("streamrag_scratch")] == []


def schemas_of(user: CommandLine) -> list[str]:
    import psycopg

    with psycopg.connect(PostgresUrl(user.variables["STREAMRAG_STORE"]).url) as conn:
        return [name for (name,) in conn.execute("SELECT nspname FROM pg_namespace")]
