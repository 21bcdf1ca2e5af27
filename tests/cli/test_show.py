"""`show` prints what was ingested: documents, lines, pages, passages, sources from the last answer, and that answer."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import EVIL_NAME, EVIL_TEXT
from tests.support.command_line import LIMIT_S, CommandLine, Outcome
from tests.support.files import write_files
from tests.support.openai_replies import Cut, answer
from tests.support.openai_server import OpenAIServer
from tests.support.postgres_server import fresh_schema
from tests.support.pseudo_terminal import on_terminal, shown
from tests.support.warm_command_line import WarmCommandLine, warm

HOURS = "# Hours\n\nThe **library** opens at `nine`.\n\n## Winter\n\nIt closes at four.\n\n\nThe door is locked.\n"
LONG = "".join(
    f"## Rule {n}\n\nRule number {n} is about shelf {n}. {'It has more words.' * 20}\n\n" for n in range(1, 31)
)
FILES = {
    "rules/hours.md": HOURS,
    "rules/long.md": LONG,
    "garden/hours.md": "# Garden\n\nThe garden is open all day.\n",
    "notes.txt": "Keys **hang** by the door.\nLamps too.\n",
}
SAMPLES = Path(__file__).parents[1] / "documents" / "samples"


@pytest.fixture(scope="module", params=["directory", "postgres"])
def user(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommandLine]:
    """A user with documents in a store of each kind, and a log. Tests must not change the files."""
    home = tmp_path_factory.mktemp("show")
    with (
        fresh_schema() if request.param == "postgres" else nullcontext() as place,
        warm(CommandLine(home=home, directory=home / "work")) as without_log,
    ):
        store = {} if place is None else {"STREAMRAG_STORE": place.with_secret()}
        write_files(home / "work", FILES)
        (home / "work" / "columns.pdf").write_bytes((SAMPLES / "columns-chromium.pdf").read_bytes())
        (home / "work" / "timber.xlsx").write_bytes((SAMPLES / "timber-libreoffice.xlsx").read_bytes())
        (home / "work" / EVIL_NAME).write_text(EVIL_TEXT, encoding="utf-8")
        user = without_log.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(home / "state"), **store)
        assert user.run("ingest", ".").code == 0
        (home / "work" / "new.md").write_text("# New\n", encoding="utf-8")
        yield user


def text_of(outcome: Outcome) -> str:
    assert (outcome.code, outcome.stderr) == (0, ""), outcome
    return outcome.stdout.decode()


def failure(outcome: Outcome) -> tuple[int, str, str]:
    assert outcome.stdout == b""
    message, _, hint = outcome.stderr.removesuffix("\n").partition("\nhint: ")
    return outcome.code, message, hint


def test_a_document_is_printed_as_it_was_ingested(user: WarmCommandLine) -> None:
    for name in ("rules/hours.md", str(user.directory / "rules/hours.md"), "./rules/hours.md"):
        assert text_of(user.run("show", name)) == HOURS
    assert text_of(user.run("show", "long.md")) == LONG.rstrip() + "\n"
    assert text_of(user.run("show", "NOTES.txt")) == FILES["notes.txt"]


def test_a_line_range_is_printed_and_stops_at_the_end_of_the_document(user: WarmCommandLine) -> None:
    lines = LONG.split("\n")

    assert text_of(user.run("show", "long.md:1-1")) == "## Rule 1\n"
    assert text_of(user.run("show", "long.md:7-75")).rstrip("\n") == "\n".join(lines[6:75]).rstrip()
    assert text_of(user.run("show", "rules/hours.md:7-900")) == "It closes at four.\n\n\nThe door is locked.\n"
    assert text_of(user.run("show", "rules/hours.md:7")) == HOURS


def test_a_line_number_selects_the_passage_that_contains_it(user: WarmCommandLine) -> None:
    passage = json.loads(user.run("show", "long.md:71", "--json").stdout)

    assert passage["line_start"] <= 71 <= passage["line_end"] < LONG.count("\n")
    assert passage["text"] in LONG
    assert text_of(user.run("show", passage["chunk_id"][:12])) == f"{passage['text']}\n"


@pytest.mark.fault("document-not-found")
@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        ("rules/hours.md:11", "rules/hours.md had 10 lines when it was ingested", "streamrag show rules/hours.md:1-10"),
        ("rules/hours.md:0", "rules/hours.md had 10 lines when it was ingested", "streamrag show rules/hours.md:1-10"),
        ("rules/hours.md:4-2", "4-2 is not a valid line range", "streamrag show rules/hours.md:1-10"),
        (
            "columns.pdf:3",
            "the format of columns.pdf has no line numbers; to show a page: streamrag show columns.pdf:p1",
            "streamrag show columns.pdf",
        ),
        ("notes.txt:p2", "cannot show page 2: notes.txt has no pages", "streamrag show notes.txt"),
        (
            "hours.md",
            "2 documents are named 'hours.md': garden/hours.md, rules/hours.md",
            "streamrag show garden/hours.md",
        ),
        ("rules", "rules is a folder with 2 documents", "streamrag ls rules"),
        ("./new.md:2", "new.md has not been ingested", "streamrag ingest new.md"),
        pytest.param("a" * 5000, f"no document is named '{'a' * 200}'", "streamrag ls", id="too long for a file"),
        ("note.txt", "no document is named 'note.txt'; similar: notes.txt", "streamrag show notes.txt"),
        (
            "rules/hour.md:3-4",
            "no document is named 'rules/hour.md'; similar: rules/hours.md, rules/long.md, garden/hours.md",
            None,
        ),
        ("0" * 32, f"no passage has the id '{'0' * 32}'", None),
        (
            "timber.xlsx sheet Costs, row 2",
            "cannot show sheet Costs, row 2: timber.xlsx has text on these sheets: Prices, Delivery",
            "streamrag show timber.xlsx",
        ),
        (
            "timber.xlsx sheet Prices, row 900",
            "cannot show sheet Prices, row 900: timber.xlsx has no text in these rows",
            "streamrag show timber.xlsx",
        ),
        ("  ", "SOURCE is empty", "streamrag show PATH"),
    ],
)
def test_an_invalid_location_is_a_usage_error_with_a_suggested_command(
    where: str, message: str, hint: str | None, user: WarmCommandLine
) -> None:
    code, error_line, advice = failure(user.run("show", where))

    assert (code, error_line) == (2, f"streamrag: {message}")
    assert hint in {None, advice}


def test_hints_keep_the_collection(user: WarmCommandLine) -> None:
    *_, hint = failure(user.run("show", "note.txt", "-c", "default"))
    code, message, _ = failure(user.run("show", "notes.txt", "-c", "elsewhere"))

    assert hint == "streamrag show notes.txt -c default"
    assert (code, message.startswith("streamrag: there is no collection 'elsewhere' in ")) == (5, True)


def test_pages_of_a_pdf_are_printed(user: WarmCommandLine) -> None:
    page, whole = (text_of(user.run("show", place)) for place in ("columns.pdf:p1", "columns.pdf"))

    assert page.strip()
    assert page.strip() in whole
    assert text_of(user.run("show", "columns.pdf p. 1")) == text_of(user.run("show", "columns.pdf", "p.", "1")) == page


@pytest.mark.parametrize(
    ("where", "first"),
    [
        ("timber.xlsx sheet Prices, row 5", "Plank: oak, planed; "),
        ("timber.xlsx sheet prices, rows 5–6", "Plank: oak, planed; "),
        ("timber.xlsx sheet Delivery", "Region: coast; Days: 2"),
        ("…/long.md:3", "## Rule 1"),
        ("…ong.md:3", "## Rule 1"),
    ],
)
def test_show_accepts_a_location_as_printed_with_a_source(where: str, first: str, user: WarmCommandLine) -> None:
    quoted, words = user.run("show", where), user.run("show", *where.split(" "))

    assert (quoted, text_of(quoted)) == (words, text_of(words))
    assert first in text_of(quoted)


def test_a_row_is_marked_and_its_place_printed_on_a_terminal(user: WarmCommandLine) -> None:
    screen = shown(user, "show", "timber.xlsx", "sheet", "Prices,", "row", "5").lines

    assert screen[0].startswith("timber.xlsx sheet Prices, row 5")
    assert [row[:20] for row in screen if row.startswith("> ")] == ["> - Plank: oak, plan"]


def test_json_has_the_text_its_place_and_the_path(user: WarmCommandLine) -> None:
    passage = json.loads(text_of(user.run("show", "garden/hours.md", "--json")))

    assert passage.pop("ingested_at").endswith("+00:00")
    assert passage == {
        "version": 1,
        "source": "garden/hours.md",
        "title": "Garden",
        "page": None,
        "line_start": 1,
        "line_end": 3,
        "text": "# Garden\n\nThe garden is open all day.",
        "chunk_id": "",
        "path": str(user.directory / "garden/hours.md"),
        "notices": [],
        "error": None,
    }


def test_hostile_names_and_texts_are_harmless(user: WarmCommandLine) -> None:
    piped = user.run("show", EVIL_NAME)
    ambiguous = user.run("show", "\x1b[31mzz")
    screen = shown(user, "show", EVIL_NAME)
    named = json.loads(user.run("show", EVIL_NAME, "--json").stdout)

    assert b"\x1b" not in piped.stdout + piped.stderr.encode() + ambiguous.stderr.encode()
    assert "zebra" in piped.stdout.decode()
    assert "[bold]" in screen.words
    assert named["text"].isprintable() or "\x1b" not in named["text"]
    assert (ambiguous.code, "\u202e" in piped.stdout.decode()) == (2, False)


def test_sources_of_the_last_answer_are_shown_by_their_number(user: WarmCommandLine) -> None:
    answered = json.loads(user.run("ask", "When does the library open?", "--json").stdout)
    sources = answered["sources"]

    for source in sources:
        assert text_of(user.run("show", str(source["n"]))) == f"{source['text']}\n"
    assert text_of(user.run("show", "[1]")) == f"{sources[0]['text']}\n"
    code, message, hint = failure(user.run("show", str(len(sources) + 1)))
    assert code == 2
    assert message.endswith(f"so there is no source {len(sources) + 1}")
    assert hint == "streamrag show last"


def test_after_a_search_on_a_terminal_numbers_refer_to_its_hits(user: WarmCommandLine) -> None:
    ask, show = "ask -q When does the library open", "show 1 --plain"
    commands = [ask, "search garden", show, "search -q library", show, ask, show, "search zebra", "show 9"]
    program = " ".join(user.program)
    script = "".join(f"echo ={number}=; {program} {each}\n" for number, each in enumerate(commands))

    with on_terminal(replace(user.cold, program=("/bin/sh", "-c", script))) as (terminal, process):
        terminal.wait_for_end(process, limit_s=5 * LIMIT_S)
    outputs = re.split(r"=\d=", "\n".join(terminal.lines))[1:]

    were_shown = [("# Garden" in outputs[at], "# Hours" in outputs[at]) for at in (2, 4, 6)]
    assert were_shown == [(True, False), (True, False), (False, True)], outputs
    assert "the last search has" in outputs[8]
    [remembered] = (user.home / "state").rglob("shown.json")
    assert remembered.stat().st_mode & 0o777 == 0o600
    assert "Garden" not in remembered.read_text(encoding="utf-8")


def test_the_last_answer_is_shown_again_as_markdown_with_its_footnotes(user: WarmCommandLine) -> None:
    first = user.run("ask", "When does the library open?", "--footnotes")
    again = user.run("show", "last")
    screen = shown(user, "show", "last")
    turn = json.loads(user.run("show", "last", "--json").stdout)

    assert (again.code, again.stderr) == (0, "")
    assert again.stdout == first.stdout
    assert b"\n\nSources:\n\n- [1] `rules/hours.md:" in again.stdout  # not a part of a list that ends the answer
    assert "─────" in screen.words
    assert "rules/hours.md:" in screen.lines[-1]
    assert turn["question"] == "When does the library open?"


def test_an_incomplete_answer_is_shown_again_with_the_sources_that_it_cites(user: WarmCommandLine) -> None:
    started = answer("The library opens at nine [1].")
    with OpenAIServer(chat=replace(started, steps=(*started.steps[:2], Cut(reset=False)))) as server:
        failed = user.run("ask", "When does the library open?", "--base-url", server.base_url, "-m", "test-model")
    again = user.run("show", "last")

    assert failed.code == 4
    assert again.stderr.startswith("note: this answer is not complete: ")
    assert again.stdout.startswith(b"The library opens at nine [1].\n\nSources:\n\n- [1] `rules/hours.md:")


def test_without_a_log_there_is_no_last_answer(user: WarmCommandLine, tmp_path: Path) -> None:
    empty = user.having(XDG_STATE_HOME=str(tmp_path))

    assert failure(empty.run("show", "last")) == (
        2,
        "streamrag: there is no answer in the log yet",
        'streamrag ask "QUESTION"',
    )
    code, message, _ = failure(empty.having(STREAMRAG_LOG_QUESTIONS="off").run("show", "2"))
    assert (code, message.startswith("streamrag: there is no answer in the log: ")) == (2, True)


def test_the_requested_line_is_marked_only_on_a_terminal(user: WarmCommandLine) -> None:
    marked = shown(user, "show", "rules/hours.md:9", columns=80).lines
    terminal = shown(user, "show", "notes.txt:2")

    lines = HOURS.rstrip().split("\n")
    expected = [f"{'>' if at == 9 else ' '} {line}".rstrip() for at, line in enumerate(lines, start=1)]
    assert marked[0].startswith("rules/hours.md:")
    assert marked[1:] == expected[-len(marked) + 1 :]
    assert terminal.lines == ["notes.txt:1-2   work", "  Keys **hang** by the door.", "> Lamps too."]
    assert b"\x1b[1m> Lamps too.\x1b[0m" in terminal.raw
    assert text_of(user.run("show", "notes.txt:2")) == FILES["notes.txt"]


def test_markdown_is_rendered_on_a_terminal_only(user: WarmCommandLine) -> None:
    screens = {columns: shown(user, "show", "rules/hours.md", columns=columns).lines for columns in (80, 40)}
    text = shown(user, "show", "notes.txt").lines

    assert [line.strip() for line in screens[80] if line] == [
        "rules/hours.md:1-10   Hours",
        "Hours",
        "The library opens at nine.",
        "Winter",
        "It closes at four.",
        "The door is locked.",
    ]
    assert screens[40][0] == "rules/hours.md:1-10   Hours"
    assert text == ["notes.txt:1-2   work", "Keys **hang** by the door.", "Lamps too."]
    assert shown(user, "show", "rules/hours.md", "--plain").lines == HOURS.rstrip().split("\n")


@pytest.fixture
def own(cli: WarmCommandLine) -> WarmCommandLine:
    """A user with one document, whose file tests may change."""
    write_files(cli.directory, {"a/tide.md": "# Tide\n\nIt rises at six.\n"})
    assert cli.run("ingest", "a").code == 0
    return cli


def test_a_document_without_text_is_reported(own: WarmCommandLine) -> None:
    (own.directory / "a" / "empty.md").touch()
    assert own.run("ingest", "a").code == 0
    outcome = own.run("show", "empty.md")

    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"", "note: the document contains no text\n")


def test_long_lines_and_notes_wrap_between_words_on_a_terminal(own: WarmCommandLine) -> None:
    text = "To refill the water open the blue valve in the cellar.\n"
    write_files(own.directory, {"a/valve.txt": text, "a/valve.py": "def refill_the_water_in_the_cellar():\n    pass\n"})
    assert own.run("ingest", "a").code == 0
    whole = shown(own, "show", "valve.txt", columns=30).lines
    marked = shown(own, "show", "valve.txt:1", columns=30).lines
    (own.directory / "a" / "valve.txt").unlink()
    noted = shown(own, "show", "valve.txt", columns=30).lines
    searched = shown(own, "search", "valve", columns=30).lines

    assert whole[1:] == ["To refill the water open the", "blue valve in the cellar."]
    assert marked[1:] == ["> To refill the water open", "the blue valve in the cellar."]
    assert shown(own, "show", "valve.py", columns=30).lines[1:] == [
        "def refill_the_water_in_the_ce",
        "llar():",
        "    pass",
    ]
    assert "note: a/valve.txt no longer" in noted
    assert "note: a/valve.txt no longer" in searched


@pytest.mark.fault("document-changed")
def test_a_changed_or_missing_file_is_reported_and_the_ingested_text_shown(own: WarmCommandLine) -> None:
    file = own.directory / "a" / "tide.md"
    file.touch()
    touched = own.run("show", "tide.md")
    file.write_text("# Tide\n\nIt rises at ten.\n", encoding="utf-8")
    changed = own.run("show", "tide.md")
    file.unlink()
    missing = own.run("show", "tide.md", "--json")
    own.run("ingest", "a", "--allow-empty")

    assert (touched.stderr, touched.stdout) == ("", changed.stdout)
    assert changed.stdout.decode() == "# Tide\n\nIt rises at six.\n"
    assert changed.stderr == (
        "note: a/tide.md has changed since it was ingested; to update it: streamrag ingest a/tide.md\n"
    )
    assert [each["code"] for each in json.loads(missing.stdout)["notices"]] == ["source_gone"]
    assert own.run("show", "tide.md").code == 2


def test_a_source_that_was_ingested_again_is_shown_at_its_old_place(own: WarmCommandLine) -> None:
    user = own.having(STREAMRAG_LOG_QUESTIONS="on", XDG_STATE_HOME=str(own.home / "state"))
    assert user.run("ask", "When does the tide rise?").code == 0
    (own.directory / "a" / "tide.md").write_text("# Tide\n\nIt rises at ten.\n", encoding="utf-8")
    assert user.run("ingest", "a").code == 0
    outcome = user.run("show", "1")

    assert outcome.stdout.decode() == "# Tide\n\nIt rises at ten.\n"
    assert outcome.stderr == (
        "note: the document has been ingested again since that answer; this passage is now in the same place\n"
    )


def test_a_damaged_store_is_reported(own: WarmCommandLine) -> None:
    for catalog in own.store.rglob("catalog*"):
        catalog.write_bytes(b"not a database" * 100)

    outcomes = [own.run(*words) for words in (("show", "tide.md"), ("ls",), ("collections",))]

    assert [outcome.code for outcome in outcomes] == [5, 5, 0]
    assert all("damaged" in outcome.stderr for outcome in outcomes)
    assert outcomes[2].stdout.decode() == "default\t\t\tdamaged\t\n"


@pytest.mark.fault("document-not-found")
def test_the_hint_names_the_collection_that_contains_the_document(cli: WarmCommandLine) -> None:
    write_files(cli.directory, {"sea/tides.txt": "High water is at six.\n", "land/soil.txt": "The soil is sandy.\n"})
    assert [cli.run("ingest", "-q", each, *to).code for each, to in (("land", ()), ("sea", ("-c", "coast")))] == [0, 0]

    failures = [failure(cli.run("show", name)) for name in ("sea/tides.txt", "TIDES.txt:1", "soils.txt")]

    message = "streamrag: the collection 'default' has no document named '{}'"
    assert failures == [
        (2, message.format("sea/tides.txt"), "streamrag show sea/tides.txt -c coast"),
        (2, message.format("TIDES.txt"), "streamrag show TIDES.txt:1 -c coast"),
        (2, "streamrag: no document is named 'soils.txt'; similar: land/soil.txt", "streamrag show land/soil.txt"),
    ]
