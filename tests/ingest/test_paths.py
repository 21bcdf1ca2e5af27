"""The files that the paths of an ingest, rebuild or removal refer to, and their names."""

import os
import subprocess
from pathlib import Path

import pytest

from streamrag_cli.events import Notice
from tests.support.ingests import Ingests


@pytest.mark.parametrize("paths", [("docs", "docs/deep"), ("docs/deep", "docs"), ("docs", "docs/../docs/deep/b.md")])
def test_a_file_below_two_paths_is_ingested_once(ingests: Ingests, paths: tuple[str, ...]) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")

    assert ingests.run(*paths) == {"docs/a.md": "added", "docs/deep/b.md": "added"}
    assert (ingests.done.counts["added"], ingests.done.chunks) == (2, 2)
    assert ingests.run("docs/deep") == {"docs/deep/b.md": "unchanged"}
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


@pytest.mark.parametrize("name", ["docs/.notes.md", "docs/ignored.md", "docs/.github/guide.md"])
def test_explicitly_named_files_stay_stored_when_their_folder_is_ingested(ingests: Ingests, name: str) -> None:
    ingests.put("docs/.gitignore", "ignored.md")
    ingests.put("docs/a.md", "first")
    ingests.put(name, "named")
    both = {"docs/a.md": "first", name: "named"}

    ingests.run(name)
    ingests.run("docs", dry_run=True)
    assert ingests.done.counts["deleted"] == 0
    ingests.run("docs")
    assert (ingests.stored(), name in ingests.reasons) == (both, False)
    ingests.run(rebuild=True)
    ingests.run("docs")
    assert ingests.stored() == both

    (ingests.home / name).unlink()
    would = ingests.run("docs", dry_run=True)
    assert (would[name], ingests.done.counts["deleted"]) == ("deleted", 1)
    assert ingests.run("docs")[name] == "deleted"


def test_a_hidden_file_passed_with_its_folder_stays_until_it_is_removed(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/.notes.md", "named")

    assert ingests.run("docs", "docs/.notes.md") == {"docs/.notes.md": "added", "docs/a.md": "added"}
    assert ingests.remove("docs/.notes.md") == {"docs/.notes.md": "deleted"}
    assert ingests.run("docs") == {"docs/.notes.md": "skipped", "docs/a.md": "unchanged"}


def test_a_removal_shows_how_to_keep_documents_from_being_added_again(ingests: Ingests) -> None:
    names = ("docs/a.md", "docs/b [1].md", "docs/old/c.md", "other/d.md")
    for name in names:
        ingests.put(name, name)
    ingests.run("docs", "other")
    (ingests.home / "docs/a.md").unlink()

    ingests.remove("docs/a.md", "docs/b [1].md", "docs/old", "other")
    notices = [event for event in ingests.events if isinstance(event, Notice)]

    beginning = "the next ingest of docs adds"
    assert [notice.message for notice in notices] == [
        rf"{beginning} docs/b [1].md again; to prevent this: echo '/b\ \[1].md' >> docs/.streamragignore",
        f"{beginning} docs/old again; to prevent this: echo /old/ >> docs/.streamragignore",
    ]
    for notice in notices:
        subprocess.run(notice.message.partition("prevent this: ")[2], shell=True, cwd=ingests.home, check=True)
    ingests.put("docs/e.md", "kept")
    actions = ingests.run("docs")
    assert [actions[name] for name in ("docs/b [1].md", "docs/old", "docs/e.md")] == ["skipped", "skipped", "added"]


def test_documents_outside_the_path_are_not_changed(ingests: Ingests) -> None:
    ingests.put("one/a.md", "first")
    ingests.put("one-more/b.md", "second")
    ingests.run("one", "one-more")
    (ingests.home / "one/a.md").unlink()
    (ingests.home / "one-more/b.md").unlink()

    assert ingests.run("one") == {"one/a.md": "deleted"}
    assert ingests.stored() == {"one-more/b.md": "second"}


def test_shown_names_are_valid_paths_and_stored_names_start_at_the_folder(ingests: Ingests, tmp_path: Path) -> None:
    ingests.put("a.md", "first")
    file = Path(os.path.normpath(ingests.put("../elsewhere/deep/b.md", "second")))
    shown = ingests.run("a.md", str(tmp_path / "elsewhere"))

    assert shown == {"a.md": "added", str(file): "added"}
    assert ingests.stored() == {"a.md": "first", "elsewhere/deep/b.md": "second"}
    file.unlink()
    assert ingests.run(str(tmp_path / "elsewhere")) == {str(file): "deleted"}


def test_stored_names_are_updated_for_another_working_directory(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.run("docs")
    elsewhere = Ingests(ingests.home / "docs", ingests.settings)

    assert elsewhere.run(".") == {"a.md": "unchanged"}
    assert elsewhere.stored() == {"a.md": "first"}


def test_a_rebuild_ingests_removed_documents_again_unless_their_root_was_removed(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/deep/b.md", "second")
    ingests.put("other/c.md", "third")
    ingests.run("docs", "other")

    assert ingests.remove("docs/deep", "other") == {"docs/deep/b.md": "deleted", "other/c.md": "deleted"}
    assert (ingests.done.counts["deleted"], ingests.done.chunks) == (2, 1)
    assert ingests.stored() == {"docs/a.md": "first"}
    ingests.run(rebuild=True)
    assert ingests.stored() == {"docs/a.md": "first", "docs/deep/b.md": "second"}


def test_removing_a_path_that_was_never_ingested_is_an_error(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.remove("docs")
    assert (ingests.error.code, ingests.error.exit_code) == ("store_missing", 5)
    ingests.run("docs")
    ingests.remove("elsewhere")

    assert (ingests.error.code, ingests.error.exit_code) == ("not_ingested", 2)
    assert ingests.stored() == {"docs/a.md": "first"}


def test_a_rebuild_without_paths_ingests_the_recorded_roots(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("more/b.md", "second")
    ingests.put("never/c.md", "third")
    ingests.run("docs")
    ingests.run("more")

    assert ingests.run(rebuild=True) == {"docs/a.md": "added", "more/b.md": "added"}
    assert ingests.stored() == {"docs/a.md": "first", "more/b.md": "second"}


def test_a_rebuild_reports_recorded_roots_that_are_missing(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    gone = ingests.put("more/b.md", "second")
    ingests.run("docs")
    ingests.run("more")
    gone.unlink()
    gone.parent.rmdir()

    assert ingests.run(rebuild=True) == {"docs/a.md": "added"}
    assert [event.code for event in ingests.events if isinstance(event, Notice)] == ["root_gone"]


def test_a_first_ingest_without_a_path_is_a_usage_error_even_with_rebuild(ingests: Ingests) -> None:
    ingests.run()
    assert (ingests.error.code, ingests.error.exit_code) == ("no_path", 2)
    ingests.run(rebuild=True)
    assert (ingests.error.code, ingests.error.exit_code) == ("no_path", 2)


def test_control_characters_in_names_are_sanitised(ingests: Ingests) -> None:
    ingests.put("docs/a\x1b[31m\nb.md", "first")

    assert ingests.run("docs") == {"docs/a\N{REPLACEMENT CHARACTER}[31m b.md": "added"}
    assert ingests.run("docs") == {"docs/a\N{REPLACEMENT CHARACTER}[31m b.md": "unchanged"}


def test_a_file_name_that_is_not_utf_8_does_not_affect_other_files(ingests: Ingests) -> None:
    ingests.put("docs/a.md", "first")
    name = os.fsdecode(b"docs/\xff.md")
    ingests.put(name, "second")

    results = ingests.run("docs")
    assert results["docs/a.md"] == "added"
    assert ingests.done.counts["added"] + ingests.done.counts["failed"] == 2
