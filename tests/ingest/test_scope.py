"""An ingest of a scope: only the files that the caller knows to have changed."""

from dataclasses import replace

import pytest

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.scope import Scope
from streamrag_cli.events import DocumentSeen
from streamrag_cli.ingest.pipeline import ingest
from tests.support.ingests import Ingests


def run(ingests: Ingests, *changed: str) -> dict[str, str]:
    """Ingest only the `changed` files and folders of `docs`. Return the action for each file."""
    scope = Scope(str(ingests.home / each) for each in changed)
    request = replace(ingests.request("docs"), scope=scope)
    events = list(ingest(request, ingests.settings, ingests.embedder))
    return {event.source: event.action for event in events if isinstance(event, DocumentSeen)}


def test_only_files_in_the_scope_are_compared_and_reported(ingests: Ingests) -> None:
    for name in ("a.md", "b.md", "sub/c.md"):
        ingests.put(f"docs/{name}", f"The text of {name}.")
    ingests.run("docs")
    ingests.put("docs/a.md", "New text.", mtime_ns=1)
    ingests.put("docs/b.md", "New, but not in the scope.", mtime_ns=1)
    (ingests.home / "docs" / "sub" / "c.md").unlink()

    assert run(ingests, "docs/a.md", "docs/sub") == {"docs/a.md": "changed", "docs/sub/c.md": "deleted"}
    assert ingests.stored() == {"docs/a.md": "New text.", "docs/b.md": "The text of b.md."}
    assert ingests.run("docs") == {"docs/a.md": "unchanged", "docs/b.md": "changed"}


def test_ignore_rules_above_the_scope_apply(ingests: Ingests) -> None:
    ingests.put("docs/.streamragignore", "drafts/\n")
    ingests.put("docs/drafts/a.md", "Ignored.")
    ingests.put("docs/.hidden/b.md", "Hidden.")
    ingests.put("docs/id_rsa", "Secret.")
    ingests.run("docs")

    actions = run(ingests, "docs/drafts/a.md", "docs/.hidden/b.md", "docs/id_rsa")

    assert set(actions.values()) == {"skipped"}


def test_a_renamed_folder_is_added_and_deleted_in_one_ingest(ingests: Ingests) -> None:
    ingests.put("docs/old/deep/a.md", "The same text.")
    ingests.run("docs")
    (ingests.home / "docs" / "old").rename(ingests.home / "docs" / "new")

    actions = run(ingests, "docs/old", "docs/new")

    assert actions == {"docs/new/deep/a.md": "added", "docs/old/deep/a.md": "deleted"}


def test_links_in_the_scope_are_resolved_as_in_the_whole_folder(ingests: Ingests) -> None:
    ingests.put("docs/.shared/a.md", "Reached by a link.")
    ingests.put("docs/b.md", "Another file.")
    (ingests.home / "docs" / "link").symlink_to(".shared")
    (ingests.home / "docs" / "copy.md").symlink_to("b.md")
    ingests.run("docs")
    ingests.put("docs/.shared/a.md", "Changed.", mtime_ns=1)
    before = ingests.stored().keys()

    assert run(ingests, "docs/link/a.md")["docs/link/a.md"] == "changed"
    assert run(ingests, "docs/copy.md")["docs/copy.md"] == "skipped"
    assert ingests.stored().keys() == before == {"docs/link/a.md", "docs/b.md"}


def test_failed_files_outside_the_scope_stay_recorded(ingests: Ingests) -> None:
    ingests.put("docs/bad.pdf", b"%PDF-1.4 broken")
    ingests.put("docs/worse.pdf", b"%PDF-1.4 broken, too")
    ingests.run("docs")
    (ingests.home / "docs" / "bad.pdf").unlink()

    run(ingests, "docs/bad.pdf")

    from streamrag_cli.store.registry import open_store

    with open_store(ingests.settings.store).manifest("default") as manifest:
        assert manifest is not None
        assert [each.path for each in manifest.unread_files()] == [str(ingests.home / "docs" / "worse.pdf")]


@pytest.mark.fault("watch-race")
def test_a_directory_is_reported_before_it_is_listed(ingests: Ingests) -> None:
    ingests.put("docs/sub/a.md", "A file.")

    def create_in(path: str, _real: str) -> None:
        ingests.put(f"{path}/created.md", "Created after the directory was reported, so it is listed.")

    discovered = discover([ingests.home / "docs"], entered=create_in)

    assert [each.path.name for each in discovered] == ["created.md", "a.md", "created.md"]
