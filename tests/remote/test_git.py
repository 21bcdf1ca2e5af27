"""Ingests from git repositories over HTTP and from files."""

import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.errors import DocumentError
from streamrag_cli.ingest.pipeline import ingest
from streamrag_cli.ingest.sweep import Sweep
from streamrag_cli.remote import git_program
from streamrag_cli.remote.copies import Copies
from streamrag_cli.remote.git_tree import entries_of
from streamrag_cli.store.registry import open_store
from tests.support.files import write_files
from tests.support.git_server import GitServer, Repository, git_server, run_git
from tests.support.ingests import Ingests

PAGES = {"docs/owl.md": "It hunts at night.\n", "README.md": "Birds of the valley.\n"}


@pytest.fixture
def birds(server: GitServer) -> Repository:
    repository = server.repository("ada/birds")
    repository.commit(PAGES)
    return repository


def shown(server: GitServer, file: str, at: str = "") -> str:
    """The displayed name of a file in the repository `ada/birds`."""
    return f"127.0.0.1:{server.port}/ada/birds{at}//{file}"


def copies_of(ingests: Ingests) -> list[Path]:
    return list(Copies.of(ingests.settings.state_directory, str(ingests.store), "default").directory.glob("*"))


def failure(ingests: Ingests) -> tuple[str, str]:
    """The code and the reason for the only failed document."""
    [failed] = [each for each in ingests.events if getattr(each, "action", "") == "failed"]
    return getattr(failed, "code", ""), getattr(failed, "reason", "")


def test_the_files_of_a_branch_are_ingested_under_their_addresses(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    birds.commit({"docs/owl.md": "Another branch.\n"}, branch="night/owls")

    assert ingests.run(f"{server.url}/ada/birds") == {
        shown(server, "docs/owl.md"): "added",
        shown(server, "README.md"): "added",
    }
    assert ingests.run(f"{server.url}/ada/birds@night/owls//docs/") == {
        shown(server, "docs/owl.md", "@night/owls"): "added"
    }
    assert ingests.stored() == {
        shown(server, "docs/owl.md"): "It hunts at night.",
        shown(server, "README.md"): "Birds of the valley.",
        shown(server, "docs/owl.md", "@night/owls"): "Another branch.",
    }


def test_tags_commits_and_single_files_can_be_ingested(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    run_git(birds.directory, "tag", "-a", "v1", "-m", "first", "main")
    first = birds.commit({"docs/owl.md": "Changed.\n"})
    birds.commit({})

    assert ingests.run(f"{server.url}/ada/birds@v1//docs/owl.md") == {shown(server, "docs/owl.md", "@v1"): "added"}
    assert ingests.run(f"{server.url}/ada/birds@{first}") == {shown(server, "docs/owl.md", f"@{first}"): "added"}
    assert set(ingests.stored().values()) == {"It hunts at night.", "Changed."}


def test_an_unknown_commit_fails(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    ingests.run(f"{server.url}/ada/birds@{'12' * 20}")

    assert failure(ingests) == ("no_such_ref", "the repository has no such branch, tag or commit")


def test_an_unchanged_repository_costs_one_request_for_its_refs(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    ingests.run(f"{server.url}/ada/birds@main")
    server.requests.clear()

    assert set(ingests.run().values()) == {"unchanged"}
    assert server.requests == [
        "GET /ada/birds/info/refs?service=git-upload-pack",
        "POST /ada/birds/git-upload-pack",
    ]


def test_a_new_commit_changes_and_removes_documents(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    birds.commit(PAGES | {"docs/wren.md": "Small.\n"})
    ingests.run(f"{server.url}/ada/birds")
    birds.commit({"docs/owl.md": "It hunts at dusk.\n", "docs/wren.md": "Small.\n"})

    assert ingests.run() == {
        shown(server, "docs/owl.md"): "changed",
        shown(server, "docs/wren.md"): "unchanged",
        shown(server, "README.md"): "deleted",
    }


def test_a_change_that_keeps_size_and_commit_time_is_noticed(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    birds.commit({"a.md": "black"})
    ingests.run(f"{server.url}/ada/birds")
    birds.commits -= 1
    birds.commit({"a.md": "white"})

    assert ingests.run() == {shown(server, "a.md"): "changed"}


@pytest.mark.fault("repository-gone")
@pytest.mark.parametrize("cause", ["branch", "folder", "host", "repository"])
def test_documents_are_kept_if_the_branch_or_host_no_longer_exists(
    ingests: Ingests, server: GitServer, birds: Repository, cause: str
) -> None:
    root = f"{server.url}/ada/birds@main//docs"
    ingests.run(root)
    stored = ingests.stored()
    match cause:
        case "branch":
            run_git(birds.directory, "branch", "-m", "main", "trunk")
        case "folder":
            birds.commit({"README.md": "Birds.\n"})
        case "host":
            server.ended.set()
            server.redirect_to = "http://127.0.0.1:9"
        case _:
            birds.directory.rename(birds.directory.with_name("moved"))
    name = f"127.0.0.1:{server.port}/ada/birds@main//docs"

    for rebuild in (False, True):
        assert ingests.run(rebuild=rebuild)[name] == "failed"
        assert (ingests.stored(), ingests.done.counts["failed"]) == (stored, 1)
    assert (
        failure(ingests)
        == {
            "branch": ("no_such_ref", "the repository has no branch or tag named main"),
            "folder": ("no_such_folder", "the repository has no folder or file named docs"),
            "host": ("redirected", "the server redirects to another address; ingest that address"),
            "repository": ("no_such_repository", "there is no repository at this address"),
        }[cause]
    )


@pytest.mark.fault("repository-gone")
def test_a_rebuild_without_a_copy_does_not_drop_the_documents(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    ingests.run(f"{server.url}/ada/birds")
    stored = ingests.stored()
    birds.directory.rename(birds.directory.with_name("moved"))
    elsewhere = replace(ingests, settings=replace(ingests.settings, state_directory=str(ingests.home / "state")))
    request = replace(elsewhere.request(rebuild=True), allow_empty=False)

    [error] = ingest(request, elsewhere.settings, elsewhere.embedder)
    assert getattr(error, "code", "") == "not_fetched"
    assert ingests.stored() == stored


def test_a_repository_that_was_never_fetched_is_not_recorded(ingests: Ingests, server: GitServer) -> None:
    ingests.put("a.md", "apples")

    assert ingests.run("a.md", f"{server.url}/ada/none") == {
        "a.md": "added",
        f"127.0.0.1:{server.port}/ada/none": "failed",
    }
    assert ingests.run() == {"a.md": "unchanged"}
    assert copies_of(ingests) == []
    with open_store(ingests.settings.store).manifest("default") as manifest:
        assert manifest is not None
        assert (manifest.roots(), manifest.unread_files()) == ([str(ingests.home / "a.md")], [])


def test_removing_a_repository_removes_its_copy(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    root = f"{server.url}/ada/birds@main"
    ingests.run(root)
    assert len(copies_of(ingests)) == 1

    assert set(ingests.remove(root).values()) == {"deleted"}
    assert (ingests.stored(), copies_of(ingests)) == ({}, [])


def test_a_dry_run_changes_nothing(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    root = f"{server.url}/ada/birds"

    assert set(ingests.run(root, dry_run=True).values()) == {"added"}
    assert (ingests.store.exists(), copies_of(ingests)) == (False, [])

    ingests.run(root)
    birds.commit({"README.md": "Fish.\n"})
    assert ingests.run(dry_run=True) == {shown(server, "README.md"): "changed", shown(server, "docs/owl.md"): "deleted"}
    assert ingests.run() == {shown(server, "README.md"): "changed", shown(server, "docs/owl.md"): "deleted"}


def test_all_rules_for_folders_except_gitignore_apply_to_repositories(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    birds.commit({
        ".gitignore": "*.md\n", ".streamragignore": "drafts/\n", "kept.md": "kept", "drafts/a.md": "draft",
        "x/id_rsa": "secret", "logo.png": b"\x89PNG", "node_modules/m/readme.md": "vendored",
        "huge.md": "x" * 1_500_000, "huge.png": b"x" * 1_500_000,
    })  # fmt: skip
    small = replace(ingests, settings=replace(ingests.settings, max_file_mb=1))

    actions = small.run(f"{server.url}/ada/birds")
    assert {name for name, action in actions.items() if action != "skipped"} == {
        shown(server, "kept.md"),
        shown(server, "huge.md"),
    }
    assert ingests.reasons[shown(server, "huge.md")] == "the file is larger than 1 MB"
    assert ingests.run()[shown(server, "huge.md")] == "added"


def test_an_exclude_pattern_is_relative_to_the_folder(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    excluding = replace(ingests, settings=replace(ingests.settings, exclude=("/owl.md",)))

    assert excluding.run(f"{server.url}/ada/birds//docs") == {shown(server, "docs/owl.md"): "skipped"}


@pytest.mark.fault("hostile-repository")
def test_links_submodules_and_entries_outside_the_repository_are_left_out(
    ingests: Ingests, server: GitServer, birds: Repository, tmp_path: Path
) -> None:
    (tmp_path / "private.md").write_text("private")
    blob, link = birds.blob(b"fine"), birds.blob(str(tmp_path / "private.md").encode())
    pointer = birds.blob(b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n")
    outside = birds.raw_tree([("100644", b"up.md", blob)])
    tree = birds.raw_tree([
        ("100644", b"-x.md", blob), ("40000", b"..", outside), ("40000", b".GIT", outside), ("100644", b"A.md", blob),
        ("100644", b"caf\xe9.md", blob), ("120000", b"link.md", link), ("100644", b"a\nb\x1b[31m.md", blob),
        ("100644", b"lfs.md", pointer), ("160000", b"module", "12" * 20),
    ])  # fmt: skip
    birds.commit_tree(tree)

    actions = ingests.run(f"{server.url}/ada/birds")
    assert {name.partition("//")[2]: action for name, action in actions.items()} == {
        "-x.md": "added",
        "A.md": "added",
        "a b\ufffd[31m.md": "added",
        "../up.md": "failed",
        ".GIT/up.md": "failed",
        "caf\ufffd.md": "failed",
        "link.md": "skipped",
        "lfs.md": "skipped",
        "module": "skipped",
    }
    assert set(ingests.stored().values()) == {"fine"}
    assert not list(tmp_path.rglob("up.md"))


@pytest.mark.fault("hostile-repository")
def test_hooks_filters_and_configuration_of_a_repository_have_no_effect(
    ingests: Ingests, birds: Repository, tmp_path: Path
) -> None:
    marker = tmp_path / "was-run"
    command = f"touch {marker}"
    hook = birds.directory / "hooks" / "post-checkout"
    write_files(birds.directory, {"hooks/post-checkout": f"#!/bin/sh\n{command}\n"})
    hook.chmod(0o755)
    with (birds.directory / "config").open("a") as config:
        config.write(f'[uploadpack]\npackObjectsHook = {command}\n[filter "f"]\nsmudge = {command}\n[core]\n')
        config.write(f"fsmonitor = {command}\nsshCommand = {command}\n")
    birds.commit({"a.md": "plain", ".gitattributes": "* filter=f\n", ".gitmodules": '[submodule "x"]\nurl = ext::sh\n'})

    root = f"git+file://{birds.directory}"
    assert ingests.run(root)[f"{birds.directory}//a.md"] == "added"
    assert not marker.exists()


@pytest.mark.fault("hostile-git-server")
def test_a_redirect_is_not_followed(ingests: Ingests, server: GitServer, birds: Repository, tmp_path: Path) -> None:
    with git_server(tmp_path / "repositories") as other:
        server.redirect_to = f"http://localhost:{other.port}"
        ingests.run(f"{server.url}/ada/birds")

    assert failure(ingests) == ("redirected", "the server redirects to another address; ingest that address")
    assert other.requests == []


@pytest.mark.fault("hostile-git-server")
def test_fetching_stops_if_the_server_never_answers(
    ingests: Ingests, server: GitServer, birds: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.remote.git._LS_REMOTE_LIMIT_S", 0.5)
    server.is_silent = True
    ingests.run(f"{server.url}/ada/birds")

    assert failure(ingests)[0] == "timed_out"


@pytest.mark.fault("hostile-git-server")
def test_a_repository_that_is_too_large_is_not_fetched(
    ingests: Ingests, server: GitServer, birds: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.remote.git_tree.MAX_BYTES", 20)
    ingests.run(f"{server.url}/ada/birds")

    assert failure(ingests)[0] == "too_large"


@pytest.mark.fault("hostile-repository")
def test_a_file_in_too_many_nested_folders_is_left_out(ingests: Ingests, birds: Repository) -> None:
    blob = birds.blob(b"fine")
    tree = birds.raw_tree([("100644", b"deep.md", blob)])
    for _ in range(10):
        tree = birds.raw_tree([("40000", b"b", tree)])
    tree = birds.raw_tree([("100644", b"a.md", blob), ("40000", b"b", tree)])
    for _ in range(90):
        tree = birds.raw_tree([("40000", b"b", tree)])
    birds.commit_tree(tree)

    assert ingests.run(f"git+file://{birds.directory}") == {
        f"{birds.directory}//{'b/' * 90}a.md": "added",
        f"{birds.directory}//{'b/' * 101}deep.md": "failed",
    }
    assert failure(ingests)[1] == "the file is in more than 100 nested folders"


@pytest.mark.fault("hostile-repository")
def test_a_tree_that_repeats_a_subtree_many_times_is_rejected_without_listing_it(
    birds: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamrag_cli.remote.git_tree._MAX_FILES", 1000)
    inner, mode = birds.blob(b"fine"), "100644"
    for _ in range(4):
        inner, mode = birds.raw_tree([(mode, b"%c" % letter, inner) for letter in b"abcdefghijkl"]), "40000"
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="more than 1,000 files"):
            entries_of(birds.directory, inner, "", git_program.git_environment(os.environ))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 12**4 * 150


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text(
        "#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\n"
        "echo 'fatal: fetch-pack: invalid index-pack output' >&2\nexit 128\n"
    )
    git.chmod(0o755)

    with pytest.raises(DocumentError) as caught:
        git_program.run_git(["fetch"], tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"}, limit_s=20)

    assert caught.value.code == "copy_not_writable"
    assert caught.value.message == "the copy of the repository cannot be written: no space left on device"


@pytest.mark.fault("git-login")
def test_credentials_come_from_netrc_without_a_prompt(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    server.login = "ada:wren-7"
    root = f"{server.url}/ada/birds"
    assert set(ingests.run(root).values()) == {"failed"}
    assert failure(ingests) == (
        "login_required",
        "the server requires a login; put the user name and password into ~/.netrc",
    )

    (ingests.home / ".netrc").write_text("machine 127.0.0.1 login ada password wren-7\n")
    assert set(ingests.run(root).values()) == {"added"}
    state = Path(ingests.settings.state_directory)
    assert not [each for each in state.rglob("*") if each.is_file() and b"wren-7" in each.read_bytes()]


def test_an_unchanged_file_keeps_the_time_of_its_first_commit(
    ingests: Ingests, server: GitServer, birds: Repository
) -> None:
    ingests.run(f"{server.url}/ada/birds")
    [copy] = copies_of(ingests)
    before = (copy / "files/README.md").stat().st_mtime_ns
    birds.commit(PAGES | {"docs/new.md": "New.\n"})
    ingests.run()

    assert (copy / "files/README.md").stat().st_mtime_ns == before
    assert (copy / "files/docs/new.md").stat().st_mtime_ns > before
    assert (copy.stat().st_mode & 0o777, (copy / "files/README.md").stat().st_mode & 0o777) == (0o700, 0o600)


def test_an_interrupted_copy_is_written_again(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    ingests.run(f"{server.url}/ada/birds")
    [copy] = copies_of(ingests)
    metadata = json.loads((copy / "metadata.json").read_text())
    (copy / "metadata.json").write_text(json.dumps({"address": metadata["address"]}))
    (copy / "files/README.md").unlink()

    assert ingests.run()[shown(server, "README.md")] == "unchanged"


def test_a_sync_before_a_question_fetches_nothing(ingests: Ingests, server: GitServer, birds: Repository) -> None:
    ingests.put("notes/a.md", "apples")
    ingests.run("notes", f"{server.url}/ada/birds")
    ingests.put("notes/b.md", "plums")
    birds.commit({"README.md": "Fish.\n"})
    server.requests.clear()

    request = Sweep(replace(ingests.request(), allow_empty=False), ingests.settings).request
    assert request is not None
    events = list(ingest(request, ingests.settings, ingests.embedder))
    assert ingests.stored().keys() == {
        "notes/a.md",
        "notes/b.md",
        shown(server, "README.md"),
        shown(server, "docs/owl.md"),
    }
    assert (getattr(events[-1], "counts", {}).get("added"), server.requests) == (1, [])
