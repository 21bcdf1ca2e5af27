"""What each command prints on each face, as transcripts in `golden/`; and the exact keys of its JSON."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import CommandLine
from tests.cli.transcripts import assert_same_transcript, in_a_pipe, json_in, on_a_terminal, side_by_side
from tests.warm_command_line import warm

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
    for name, text in LIBRARY.items():
        file = folder / "library" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def librarian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A user who has ingested three small files."""
    home = tmp_path_factory.mktemp("librarian")
    write_library(home)
    with warm(CommandLine(home=home, directory=home)) as user:
        assert user.run("ingest", "library").code == 0
        yield user


def test_ask(librarian: CommandLine) -> None:
    parts = side_by_side(
        lambda: in_a_pipe(librarian, f"streamrag ask {OPENING}"),
        lambda: in_a_pipe(librarian, f"streamrag ask -q {OPENING}"),
        lambda: in_a_pipe(librarian, f"streamrag ask --json -k 1 {OPENING}"),
        lambda: in_a_pipe(librarian, f"streamrag ask --jsonl -k 1 {OPENING}"),
        lambda: on_a_terminal(librarian, f"streamrag ask {OPENING}", columns=200),
    )
    assert_same_transcript("ask", *parts)


def test_search(librarian: CommandLine) -> None:
    parts = side_by_side(
        lambda: in_a_pipe(librarian, f"streamrag search {OPENING}"),
        lambda: in_a_pipe(librarian, f"streamrag search --json -k 1 {OPENING}"),
        lambda: in_a_pipe(librarian, "streamrag search --jsonl -k 1 books"),
        lambda: on_a_terminal(librarian, "streamrag search books"),
        lambda: on_a_terminal(librarian, "streamrag search --plain books"),
        lambda: on_a_terminal(librarian, "streamrag search books", columns=40),
    )
    assert_same_transcript("search", *parts)


def test_status(librarian: CommandLine) -> None:
    assert_same_transcript(
        "status",
        in_a_pipe(librarian, "streamrag status"),
        in_a_pipe(librarian, "streamrag status --json"),
        in_a_pipe(librarian, "streamrag status -c elsewhere"),
        on_a_terminal(librarian, "streamrag status", columns=200),
    )


def test_doctor(librarian: CommandLine) -> None:
    user = librarian.having(STREAMRAG_ENGINE="off", STREAMRAG_MODLE="m")
    parts = side_by_side(
        lambda: in_a_pipe(user, "streamrag doctor"),
        lambda: in_a_pipe(user, "streamrag doctor --json"),
        lambda: in_a_pipe(user, "streamrag doctor -c elsewhere"),
        lambda: on_a_terminal(user, "streamrag doctor", columns=200),
    )
    assert_same_transcript("doctor", *parts)


def test_copy(librarian: CommandLine) -> None:
    assert_same_transcript(
        "copy",
        in_a_pipe(librarian, "streamrag copy --from data/streamrag --to elsewhere"),
        in_a_pipe(librarian, "streamrag copy --from data/streamrag --to elsewhere"),
        in_a_pipe(librarian, "streamrag copy --from data/streamrag --to elsewhere --replace --json"),
        in_a_pipe(librarian, "streamrag copy --from elsewhere --to elsewhere"),
    )


def test_ingest(newcomer: CommandLine) -> None:
    write_library(newcomer.directory)
    library = newcomer.directory / "library"
    parts = [
        in_a_pipe(newcomer, "streamrag ingest --dry-run library"),
        in_a_pipe(newcomer, "streamrag ingest library"),
    ]
    (library / "garden.md").write_text("# Garden\n\nTomatoes are watered at dusk.\n", encoding="utf-8")
    (library / "rules" / "hours.txt").unlink()
    (library / "empty.txt").touch()
    (library / "picture.md").write_bytes(b"\0\1\2")
    (library / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    parts += [
        in_a_pipe(newcomer, "streamrag ingest -v library"),
        in_a_pipe(newcomer, "streamrag ingest --json library"),
        in_a_pipe(newcomer, "streamrag ingest --jsonl library"),
        in_a_pipe(newcomer, "streamrag ingest -q library"),
        in_a_pipe(newcomer, "streamrag ingest --remove library/rules"),
        in_a_pipe(newcomer, "streamrag ingest nowhere"),
    ]
    assert_same_transcript("ingest", *parts)


def test_ingest_says_what_it_left_out_and_why(newcomer: CommandLine) -> None:
    write_library(newcomer.directory)
    library = newcomer.directory / "library"
    (library / "db-secret.yaml").write_text("user: librarian\n", encoding="utf-8")
    (library / "budget.xlsx").write_bytes(b"PK\3\4")
    (library / "slides.pptx").write_bytes(b"PK\3\4")
    (library / "package-lock.json").write_text("{}", encoding="utf-8")
    (library / ".streamragignore").write_text("garden.md\n", encoding="utf-8")

    assert_same_transcript(
        "ingest-skipped",
        in_a_pipe(newcomer, "streamrag ingest --exclude rules/hours.txt library"),
        in_a_pipe(newcomer, "streamrag ingest -v --exclude rules/ library"),
        in_a_pipe(newcomer, "streamrag ingest library/budget.xlsx"),
        in_a_pipe(newcomer, "streamrag ingest --exclude / library"),
    )


def test_ingest_on_a_terminal_leaves_one_line(newcomer: CommandLine) -> None:
    write_library(newcomer.directory)

    assert_same_transcript("ingest-terminal", on_a_terminal(newcomer, "streamrag ingest library"))


def test_eval(newcomer: CommandLine) -> None:
    folder = newcomer.directory / "questions"
    folder.mkdir()
    for name, entries in EVALUATION.items():
        (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t1\n2\tc\t1\n", encoding="utf-8")

    assert_same_transcript(
        "eval",
        in_a_pipe(newcomer, "streamrag eval questions"),
        in_a_pipe(newcomer, "streamrag eval --json --quiet --limit 1 questions"),
    )
    assert not newcomer.store.exists()


def test_a_search_in_a_pipe_is_a_line_a_hit_with_three_fields(librarian: CommandLine) -> None:
    outcome = librarian.run("search", "books")

    fields = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    assert [len(each) for each in fields] == [3] * len(fields)
    assert fields[0][0] == "library/rules/lending.md:3"
    assert [float(score) for _, score, _ in fields] == sorted((float(score) for _, score, _ in fields), reverse=True)


def test_the_json_in_the_transcripts_has_exactly_its_keys() -> None:
    source = ["n", "source", "page", "line_start", "line_end", "title", "content", "score", "chunk_id"]
    collection = ["collection", "documents", "chunks", "embedding", "dimension", "size_bytes", "last_ingest"]
    done = ["counts", "chunks_written", "chunks", "elapsed_ms", "dry_run", "skipped", "unsupported"]
    metrics = ["ndcg@10", "recall@5", "mrr@10", "answer_rate", "ms_per_query", "documents", "chunks", "queries"]
    (found,), (hit,) = json_in("search", "search --json "), json_in("search", "search --jsonl ")
    (doctor,), check = json_in("doctor", "doctor --json"), ["check", "state", "found", "hint", "code", "collection"]
    (status,), (report,) = json_in("status", "status --json"), json_in("eval", "eval --json")
    (ingested,), lines = json_in("ingest", "ingest --json "), json_in("ingest", "ingest --jsonl ")

    assert list(found) == ["version", "query", "hits", "error"]
    assert (list(found["hits"][0]), list(hit)) == ([*source, "path"], source)
    assert list(status) == ["version", "store", "collections"]
    assert list(status["collections"][0]) == [*collection, "generation", "roots"]
    assert list(report) == metrics
    assert list(doctor) == ["version", "exit_code", "checks"]
    assert [list(each) for each in doctor["checks"]] == [[*check, "figures"]] * 10
    assert list(ingested) == ["version", "failed", "error", *done]
    assert [list(line) for line in lines] == [
        ["type", "documents", "collection", "embedding"],
        *[["type", "source", "action", "chunks", "reason", "code"]] * 5,
        ["type", "done", *done],
    ]


def test_json_escapes_what_a_terminal_would_obey_and_loses_none_of_it(newcomer: CommandLine) -> None:
    name = "a\x9b2J\u202eb"
    shutil.copytree(Path(__file__).parent / "golden", newcomer.directory / name)
    newcomer.run("ingest", name)
    outcome = newcomer.run("status", "--json")

    assert b"\\u009b2J\\u202e" in outcome.stdout
    assert json.loads(outcome.stdout)["collections"][0]["roots"] == [str(newcomer.directory / name)]


def test_an_empty_collection_is_called_empty_and_never_damaged(newcomer: CommandLine) -> None:
    (newcomer.directory / "nothing").mkdir()
    ingested = newcomer.run("ingest", "nothing", "-c", "blank")
    asked = [newcomer.run(command, "Where is it?", "-c", "blank") for command in ("ask", "search")]

    assert ingested.code == 0
    said = "streamrag: the store is empty: nothing was ingested\nhint: streamrag ingest PATH -c blank\n"
    assert [(each.code, each.stderr) for each in asked] == [(5, said)] * 2
