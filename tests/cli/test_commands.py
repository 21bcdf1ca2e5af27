"""Output of every command in a pipe, as JSON and on a terminal, compared with the transcripts in `golden/`."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.files import write_files
from tests.support.transcripts import assert_same_transcript, concurrently, in_a_pipe, json_in, on_a_terminal
from tests.support.warm_command_line import warm

LIBRARY = {
    "rules/lending.md": (
        "# Lending\n\nA book may be kept for four weeks.\n\n"
        "## Late books\n\nWhoever returns a book late pays twenty cents a day.\n"
    ),
    "rules/hours.txt": "The library opens at nine in the morning.\n",
    "garden.md": "# Garden\n\nTomatoes are watered at dawn.\n",
}
OPENING = '"When does the library open?"'
EVALUATION: dict[str, list[dict[str, Any]]] = {
    "corpus.jsonl": [
        {"_id": "a", "title": "Lending", "text": "A book may be kept for four weeks."},
        {"_id": "b", "title": "", "text": "The library opens at nine in the morning."},
        {"_id": "c", "title": "Garden", "text": "Tomatoes are watered at dawn."},
    ],
    "queries.jsonl": [
        {"_id": "1", "text": "When does the library open?", "answers": ["nine"]},
        {"_id": "2", "text": "When are tomatoes watered?", "answers": ["at dusk"]},
    ],
}


def write_library(folder: Path) -> None:
    write_files(folder / "library", LIBRARY)


@pytest.fixture(scope="module")
def cli_with_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user with three small ingested files."""
    home = tmp_path_factory.mktemp("cli")
    write_library(home)
    with warm(CommandLine(home=home, directory=home)) as user:
        assert user.run("ingest", "library").code == 0
        yield user


def test_ask_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    parts = concurrently(
        lambda: in_a_pipe(cli_with_library, f"streamrag ask {OPENING}"),
        lambda: in_a_pipe(cli_with_library, f"streamrag ask -q {OPENING}"),
        lambda: in_a_pipe(cli_with_library, f"streamrag ask --json -k 1 {OPENING}"),
        lambda: in_a_pipe(cli_with_library, f"streamrag ask --jsonl -k 1 {OPENING}"),
        lambda: on_a_terminal(cli_with_library, f"streamrag ask {OPENING}", columns=200),
    )
    assert_same_transcript("ask", *parts)


def test_search_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    parts = concurrently(
        lambda: in_a_pipe(cli_with_library, f"streamrag search {OPENING}"),
        lambda: in_a_pipe(cli_with_library, f"streamrag search --json -k 1 {OPENING}"),
        lambda: in_a_pipe(cli_with_library, "streamrag search --jsonl -k 1 books"),
        lambda: on_a_terminal(cli_with_library, "streamrag search books"),
        lambda: on_a_terminal(cli_with_library, "streamrag search --plain books"),
        lambda: on_a_terminal(cli_with_library, "streamrag search books", columns=40),
    )
    assert_same_transcript("search", *parts)


def test_show_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    assert_same_transcript(
        "show",
        in_a_pipe(cli_with_library, "streamrag show lending.md"),
        in_a_pipe(cli_with_library, "streamrag show library/rules/lending.md:5-6"),
        in_a_pipe(cli_with_library, "streamrag show hours.txt --json"),
        in_a_pipe(cli_with_library, "streamrag show opening.txt"),
        in_a_pipe(cli_with_library, "streamrag show lending.md:90"),
        on_a_terminal(cli_with_library, "streamrag show lending.md", columns=80),
        on_a_terminal(cli_with_library, "streamrag show lending.md", columns=40),
    )


def test_ls_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    assert_same_transcript(
        "ls",
        in_a_pipe(cli_with_library, "streamrag ls"),
        in_a_pipe(cli_with_library, "streamrag ls rules --json"),
        in_a_pipe(cli_with_library, "streamrag ls --failed"),
        in_a_pipe(cli_with_library, "streamrag collections"),
        in_a_pipe(cli_with_library, "streamrag collections --json"),
        *(on_a_terminal(cli_with_library, "streamrag ls", columns=columns) for columns in (40, 80, 100, 200)),
        on_a_terminal(cli_with_library, "streamrag collections", columns=80),
        on_a_terminal(cli_with_library, "streamrag collections", columns=40),
    )


def test_status_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    assert_same_transcript(
        "status",
        in_a_pipe(cli_with_library, "streamrag status"),
        in_a_pipe(cli_with_library, "streamrag status --json"),
        in_a_pipe(cli_with_library, "streamrag status -c elsewhere"),
        *(on_a_terminal(cli_with_library, "streamrag status", columns=columns) for columns in (40, 80, 100, 200)),
    )


def test_doctor_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    user = cli_with_library.having(STREAMRAG_ENGINE="off", STREAMRAG_MODLE="m")
    parts = concurrently(
        lambda: in_a_pipe(user, "streamrag doctor"),
        lambda: in_a_pipe(user, "streamrag doctor --json"),
        lambda: in_a_pipe(user, "streamrag doctor -c elsewhere"),
        *(partial(on_a_terminal, user, "streamrag doctor", columns=columns) for columns in (40, 80, 100, 200)),
        lambda: on_a_terminal(user, "streamrag doctor -v"),
    )
    assert_same_transcript("doctor", *parts)


def test_copy_prints_the_expected_transcript(cli_with_library: CommandLine) -> None:
    assert_same_transcript(
        "copy",
        in_a_pipe(cli_with_library, "streamrag copy --from data/streamrag --to elsewhere"),
        in_a_pipe(cli_with_library, "streamrag copy --from data/streamrag --to elsewhere"),
        in_a_pipe(cli_with_library, "streamrag copy --from data/streamrag --to elsewhere --replace --json"),
        in_a_pipe(cli_with_library, "streamrag copy --from elsewhere --to elsewhere"),
    )


def test_ingest_prints_the_expected_transcript(cli: CommandLine) -> None:
    write_library(cli.directory)
    library = cli.directory / "library"
    parts = [
        in_a_pipe(cli, "streamrag ingest --dry-run library"),
        in_a_pipe(cli, "streamrag ingest library"),
    ]
    (library / "garden.md").write_text("# Garden\n\nTomatoes are watered at dusk.\n", encoding="utf-8")
    (library / "rules" / "hours.txt").unlink()
    (library / "empty.txt").touch()
    (library / "picture.md").write_bytes(b"\0\1\2")
    (library / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    parts += [
        in_a_pipe(cli, "streamrag ingest -v library"),
        in_a_pipe(cli, "streamrag ingest --json library"),
        in_a_pipe(cli, "streamrag ingest --jsonl library"),
        in_a_pipe(cli, "streamrag ingest -q library"),
        in_a_pipe(cli, "streamrag ingest --remove library/rules"),
        in_a_pipe(cli, "streamrag ingest nowhere"),
    ]
    assert_same_transcript("ingest", *parts)


def test_ingest_reports_skipped_files_and_reasons(cli: CommandLine) -> None:
    write_library(cli.directory)
    library = cli.directory / "library"
    (library / "db-secret.yaml").write_text("user: librarian\n", encoding="utf-8")
    (library / "budget.numbers").write_bytes(b"PK\3\4")
    (library / "slides.ppt").write_bytes(b"PK\3\4")
    (library / "package-lock.json").write_text("{}", encoding="utf-8")
    (library / ".streamragignore").write_text("garden.md\n", encoding="utf-8")

    assert_same_transcript(
        "ingest-skipped",
        in_a_pipe(cli, "streamrag ingest --exclude rules/hours.txt library"),
        in_a_pipe(cli, "streamrag ingest -v --yes --exclude rules/ library"),
        in_a_pipe(cli, "streamrag ingest library/budget.numbers"),
        in_a_pipe(cli, "streamrag ingest --exclude / library"),
    )


def test_the_summary_of_an_ingest_stays_on_the_terminal(cli: CommandLine) -> None:
    write_library(cli.directory)

    assert_same_transcript(
        "ingest-terminal",
        *(
            on_a_terminal(cli, f"streamrag ingest library -c w{columns}", columns=columns)
            for columns in (40, 80, 100, 200)
        ),
        on_a_terminal(cli, "streamrag ingest -c w80"),
    )


def test_help_prints_the_expected_transcript(cli: CommandLine) -> None:
    parts = [on_a_terminal(cli, "streamrag --help", columns=columns) for columns in (40, 80, 100, 200)]

    parts += [on_a_terminal(cli, "streamrag ask --help", columns=columns) for columns in (40, 80, 100, 200)]
    assert_same_transcript("help", *parts, on_a_terminal(cli, "streamrag ingest --help", columns=80))


def test_eval_prints_the_expected_transcript(cli: CommandLine) -> None:
    folder = cli.directory / "questions"
    folder.mkdir()
    for name, entries in EVALUATION.items():
        (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t1\n2\tc\t1\n", encoding="utf-8")

    assert_same_transcript(
        "eval",
        in_a_pipe(cli, "streamrag eval questions"),
        in_a_pipe(cli, "streamrag eval --json --quiet --limit 1 questions"),
    )
    assert not cli.store.exists()


def test_search_in_a_pipe_prints_three_fields_per_hit(cli_with_library: CommandLine) -> None:
    outcome = cli_with_library.run("search", "books")

    fields = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    assert [len(each) for each in fields] == [3] * len(fields)
    assert fields[0][0] == "library/rules/lending.md:3"
    assert [float(score) for _, score, _ in fields] == sorted((float(score) for _, score, _ in fields), reverse=True)


def test_json_output_has_exactly_the_documented_keys() -> None:
    source = ["n", "source", "page", "line_start", "line_end", "title", "content", "score", "chunk_id"]
    collection = ["collection", "documents", "chunks", "embedding", "dimension", "size_bytes", "last_ingest"]
    done = ["counts", "chunks_written", "chunks", "elapsed_ms", "dry_run", "skipped", "unsupported"]
    metrics = ["ndcg@10", "recall@5", "mrr@10", "answer_rate", "ms_per_query", "documents", "chunks", "queries"]
    (searched,), (hit,) = json_in("search", "search --json "), json_in("search", "search --jsonl ")
    (doctor,), check = json_in("doctor", "doctor --json"), ["check", "state", "found", "hint", "code", "collection"]
    (status,), (report,) = json_in("status", "status --json"), json_in("eval", "eval --json")
    (ingested,), lines = json_in("ingest", "ingest --json "), json_in("ingest", "ingest --jsonl ")

    assert list(searched) == ["version", "query", "hits", "error"]
    assert (list(searched["hits"][0]), list(hit)) == ([*source, "text", "path"], source)
    assert list(status) == ["version", "store", "collections"]
    assert list(status["collections"][0]) == [*collection, "generation", "roots"]
    assert list(report) == metrics
    assert list(doctor) == ["version", "exit_code", "checks"]
    assert [list(each) for each in doctor["checks"]] == [[*check, "figures"]] * 11
    assert list(ingested) == ["version", "failed", "error", *done]
    assert [list(line) for line in lines] == [
        ["type", "documents", "collection", "embedding", "new_documents"],
        *[["type", "source", "action", "chunks", "reason", "code"]] * 5,
        ["type", "done", *done],
    ]


def test_json_escapes_control_characters_without_losing_them(cli: CommandLine) -> None:
    name = "a\x9b2J\u202eb"
    shutil.copytree(Path(__file__).parent / "golden", cli.directory / name)
    cli.run("ingest", name)
    outcome = cli.run("status", "--json")

    assert b"\\u009b2J\\u202e" in outcome.stdout
    assert json.loads(outcome.stdout)["collections"][0]["roots"] == [str(cli.directory / name)]


def test_an_empty_collection_is_reported_as_empty(cli: CommandLine) -> None:
    (cli.directory / "nothing").mkdir()
    ingested = cli.run("ingest", "nothing", "-c", "blank")
    outcomes = [cli.run(command, "Where is it?", "-c", "blank") for command in ("ask", "search")]

    assert ingested.code == 0
    message = "streamrag: nothing has been ingested into the collection\nhint: streamrag ingest PATH -c blank\n"
    assert [(each.code, each.stderr) for each in outcomes] == [(5, message)] * 2
