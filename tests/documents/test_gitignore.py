import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import FoundFile, SkippedPath, UnreadableDirectory
from streamrag_cli.documents.gitignore import IGNORE_FILE_LIMIT_BYTES
from tests.support.files import write

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle")

DIRECTORIES = st.sampled_from(["", "a/", "b/", "ab/", "a/a/", "a/b/", "a/ab/", "a/b/a/", "b/a/b/"])
FILES = st.builds(
    lambda directory, name: directory + name,
    DIRECTORIES,
    st.sampled_from(["a.md", "b.md", "ab.md", "abb.md", "[a].md", "é.md", "a b.md", "!a.md", "#a.md", "-.md", "a .md"]),
)
WHOLE_PATTERNS = st.sampled_from(
    [
        "a",
        "a/",
        "/a",
        "*.md",
        "*.md/",
        "a.md/",
        "a/**",
        "**/b",
        "a/**/b",
        "!a.md",
        "!a/",
        "!*.md",
        "/*",
        "!/a",
        "*/",
        "**",
    ]
)
PATTERN_PIECES = st.sampled_from(
    ["a", "b", "*", "**", "***", "?", "/", ".md", "[ab]", "[!a]", "[^b]", "[a-b]", "[b-a]", "[]a]", "[-a]",
     "[[:alpha:]]", "[[:x:]]", "[\\a]", "[", "]", "\\", "\\ ", " ", "#", "!", "é", "\r", "-"]
)  # fmt: skip
PATTERNS = st.one_of(WHOLE_PATTERNS, st.lists(PATTERN_PIECES, min_size=1, max_size=6).map("".join)).flatmap(
    lambda pattern: st.sampled_from([pattern, pattern, "!" + pattern])
)
IGNORE_FILES = st.dictionaries(DIRECTORIES, st.lists(PATTERNS, min_size=1, max_size=5), max_size=3)


@pytest.fixture(scope="module")
def work_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files=st.sets(FILES, min_size=1, max_size=12), ignore_files=IGNORE_FILES)
def test_discovery_finds_exactly_the_files_that_git_would_add(
    work_tree: Path, files: set[str], ignore_files: Mapping[str, list[str]]
) -> None:
    for entry in work_tree.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for file in files:
        write(work_tree / file, "")
    for directory, patterns in ignore_files.items():
        write(work_tree / directory / ".gitignore", "\n".join(patterns))

    assert found_under(work_tree) == added_by_git(work_tree)
    for part in ("a", "a/b"):
        if (work_tree / part).is_dir() and not ignored_by_git(work_tree, part):
            assert found_under(work_tree / part) == added_by_git(work_tree / part)


def test_a_named_directory_is_read_even_if_ignored(work_tree: Path, tmp_path: Path) -> None:
    write(tmp_path / ".git", "")
    write(tmp_path / ".gitignore", "build/\n*.txt\n")
    write(tmp_path / "build" / "a.md", "")
    write(tmp_path / "build" / "b.txt", "")

    assert found_under(tmp_path) == set()
    assert found_under(tmp_path / "build") == {"a.md"}


def test_outer_rules_do_not_apply_inside_a_nested_work_tree(tmp_path: Path) -> None:
    write(tmp_path / ".git", "")
    write(tmp_path / ".gitignore", "*.md\n")
    write(tmp_path / "nested" / ".git", "")
    write(tmp_path / "nested" / "a.md", "")
    write(tmp_path / "plain" / "a.md", "")

    assert found_under(tmp_path) == {"nested/a.md"}
    assert found_under(tmp_path / "nested") == {"a.md"}


def test_rules_of_parent_directories_apply_through_a_link_into_the_work_tree(tmp_path: Path) -> None:
    write(tmp_path / "repository" / ".git", "")
    write(tmp_path / "repository" / ".gitignore", "/docs/draft.md\n")
    write(tmp_path / "repository" / "docs" / "draft.md", "")
    write(tmp_path / "repository" / "docs" / "final.md", "")
    (tmp_path / "link").symlink_to("repository/docs")

    assert found_under(tmp_path / "link") == {"final.md"}


def test_an_ignored_directory_is_reported_once_and_not_entered(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "node_modules\n")
    write(tmp_path / "node_modules" / "a" / "readme.md", "")

    assert [item for item in discover([tmp_path]) if item.path.name != ".gitignore"] == [
        SkippedPath(name=str(tmp_path / "node_modules"), code="gitignored")
    ]


def test_a_directory_with_an_oversized_gitignore_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a" / ".gitignore", "x" * (IGNORE_FILE_LIMIT_BYTES + 1))
    write(tmp_path / "a" / "secret.md", "")

    assert list(discover([tmp_path])) == [
        UnreadableDirectory(path=tmp_path / "a", reason=".gitignore: the file is larger than 1 MB")
    ]


def test_a_gitignore_that_is_not_a_regular_file_is_ignored(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".gitignore")
    write(tmp_path / "a.md", "")

    assert found_under(tmp_path) == {"a.md"}


def test_a_file_can_be_included_again_if_its_directory_is_included(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "/*\n!/docs/\n/docs/**\n!/docs/keep.md\nbuild\n")
    write(tmp_path / "docs" / "build.md" / ".gitignore", "!x.md")
    for name in ("other.md", "docs/keep.md", "docs/drop.md", "docs/build.md/x.md"):
        write(tmp_path / name, "")

    assert found_under(tmp_path) == {"docs/keep.md"}


@pytest.mark.timeout(20)
def test_patterns_with_many_wildcards_are_matched_within_the_time_limit(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*a" * 40 + "b\n" + "**/a/" * 40 + "b\n")
    write(tmp_path / ("a/" * 60) / ("a" * 200 + ".md"), "")

    assert len(found_under(tmp_path)) == 1


def found_under(root: Path) -> set[str]:
    return {str(Path(item.name).relative_to(root)) for item in discover([root]) if isinstance(item, FoundFile)}


def added_by_git(root: Path) -> set[str]:
    listed = git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return {name for name in os.fsdecode(listed).split("\0") if name.endswith(".md")}


def ignored_by_git(root: Path, path: str) -> bool:
    return bool(git(root, "check-ignore", path))


def git(root: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(root), "-c", "core.excludesFile=", *arguments]
    return subprocess.run(command, check=False, capture_output=True).stdout


@pytest.mark.fault("ignored-files")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.sets(FILES, min_size=1, max_size=10),
    ignore_files=IGNORE_FILES,
    excludes=st.tuples(*[st.lists(PATTERNS, max_size=3)] * 2),
    fold_case=st.booleans(),
)
def test_repository_and_user_excludes_apply_as_in_git(
    work_tree: Path,
    files: set[str],
    ignore_files: Mapping[str, list[str]],
    excludes: tuple[list[str], list[str]],
    fold_case: bool,
) -> None:
    for entry in work_tree.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    environment = user(work_tree.parent)
    for file in files:
        write(work_tree / file, "")
    for directory, patterns in ignore_files.items():
        write(work_tree / directory / ".gitignore", "\n".join(patterns))
    write(work_tree / ".git" / "info" / "exclude", "\n".join(excludes[0]))
    write(
        Path(environment["HOME"]) / ".config/git/ignore",
        "\n".join(excludes[1]).upper() if fold_case else "\n".join(excludes[1]),
    )
    git_as(environment, work_tree, "config", "core.ignoreCase", str(fold_case).lower())
    try:
        listed = os.fsdecode(git_as(environment, work_tree, "ls-files", "--others", "--exclude-standard", "-z"))
        expected = {name for name in listed.split("\0") if name.endswith(".md")}
        assert found_as(environment, work_tree) == expected
    finally:
        write(work_tree / ".git" / "info" / "exclude", "")
        git_as(environment, work_tree, "config", "core.ignoreCase", "false")


CONFIGS = {
    "the default": ("", ".config/git/ignore"),
    "the file it names": ("[core]\n\texcludesFile = ~/mine\n", "mine"),
    "in quotes, with a comment": ('[Core] ExcludesFile = "~/my ignore" ; mine\n', "my ignore"),
    "over two lines": ("[core]\nexcludesfile = ~/mi\\\nne\n", "mine"),
    "the last one": ("[core]\nexcludesfile = ~/no\n[user]\nname = x\n[core]\nexcludesfile = ~/mine\n", "mine"),
    "included": ("[include]\npath = more.inc\n", "mine"),
    "included for this place": ('[includeIf "gitdir:~/work/"]\npath = more.inc\n', "mine"),
    "included for a place of this name": ('[includeIf "gitdir/i:REPOSITORY/"]\npath = ~/more.inc\n', "mine"),
    "included on this branch": ('[includeIf "onbranch:ma*"]\npath = more.inc\n', "mine"),
    "not included for another place": ('[includeIf "gitdir:~/other/"]\npath = more.inc\n', "mine"),
    "not included on another branch": ('[includeIf "onbranch:feature/"]\npath = more.inc\n', "mine"),
    "switched off": ("[core]\nexcludesFile =\n", ".config/git/ignore"),
}


@pytest.mark.fault("ignored-files")
@pytest.mark.parametrize("config", CONFIGS)
def test_the_user_ignore_file_is_found_as_git_finds_it(tmp_path: Path, config: str) -> None:
    settings_text, ignore_file = CONFIGS[config]
    environment = user(tmp_path)
    root = tmp_path / "work" / "repository"
    git_as(environment, tmp_path, "init", "-q", "-b", "main", str(root))
    write(tmp_path / ".gitconfig", settings_text)
    write(tmp_path / "more.inc", "[core]\nexcludesFile = ~/mine\n")
    write(tmp_path / ignore_file, "private/\n")
    write(root / "private" / "a.md", "")
    write(root / "b.md", "")

    ignored = bool(git_as(environment, root, "check-ignore", "private"))
    assert found_as(environment, root) == ({"b.md"} if ignored else {"b.md", "private/a.md"})
    assert ignored != config.startswith(("not", "switched"))


@pytest.mark.fault("ignored-files")
def test_linked_work_trees_and_submodules_have_the_same_excludes_as_in_git(tmp_path: Path) -> None:
    environment = user(tmp_path)
    main, linked, module = tmp_path / "main", tmp_path / "linked", tmp_path / "main" / "module"
    for root in (main, tmp_path / "origin"):
        git_as(environment, tmp_path, "init", "-q", str(root))
        git_as(environment, root, "commit", "-q", "--allow-empty", "-m", "first")
    git_as(environment, main, "worktree", "add", "-q", str(linked))
    git_as(environment, main, "submodule", "add", "-q", str(tmp_path / "origin"), "module")
    write(main / ".git" / "info" / "exclude", "private.md\n")
    write(main / ".git" / "modules" / "module" / "info" / "exclude", "own.md\n")
    for root in (linked, module):
        write(root / "private.md", "")
        write(root / "own.md", "")

    assert [(each / ".git").is_file() for each in (linked, module)] == [True, True]
    assert found_as(environment, linked) == {"own.md"}
    assert found_as(environment, module) == {"private.md"}
    assert found_as(environment, main) == {"module/private.md"}


def test_repository_settings_run_no_programs_and_invalid_lines_are_ignored(tmp_path: Path) -> None:
    environment = user(tmp_path)
    git_as(environment, tmp_path, "init", "-q", str(tmp_path / "r"))
    touched = tmp_path / "touched"
    write(tmp_path / "r/.git/config", f"[core]\nfsmonitor = touch {touched}\npager = touch {touched}\n]]broken\n")
    write(tmp_path / "r/.git/info/exclude", "b.md\n")
    write(tmp_path / "r/a.md", "")
    write(tmp_path / "r/b.md", "")

    assert (found_as(environment, tmp_path / "r"), touched.exists()) == ({"a.md"}, False)


def test_a_work_tree_with_an_oversized_exclude_file_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / ".git" / "info" / "exclude", "x" * (IGNORE_FILE_LIMIT_BYTES + 1))
    write(tmp_path / "secret.md", "")

    [item] = discover([tmp_path])
    assert isinstance(item, UnreadableDirectory)
    assert item.reason.endswith("exclude: the file is larger than 1 MB")


@pytest.mark.fault("ignored-files")
def test_a_streamragignore_works_without_git_and_across_work_trees(tmp_path: Path) -> None:
    write(tmp_path / ".streamragignore", "drafts/\n*.log.md\n!keep.log.md\n")
    write(tmp_path / "nested" / ".git", "")
    write(tmp_path / "nested" / ".streamragignore", "/own.md\n")
    for name in (
        "a.md",
        "drafts/b.md",
        "x.log.md",
        "keep.log.md",
        "nested/drafts/c.md",
        "nested/own.md",
        "nested/d.md",
    ):
        write(tmp_path / name, "")

    assert found_under(tmp_path) == {"a.md", "keep.log.md", "nested/d.md"}
    assert found_under(tmp_path / "nested") == {"d.md"}
    assert {item.reason for item in discover([tmp_path]) if item.path.name == "drafts"} == {  # type: ignore[union-attr]
        "ignored by .streamragignore"
    }


def user(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}


def found_as(environment: Mapping[str, str], root: Path) -> set[str]:
    items = discover([root], environment=environment)
    return {str(Path(item.name).relative_to(root)) for item in items if isinstance(item, FoundFile)}


def git_as(environment: Mapping[str, str], root: Path, *arguments: str) -> bytes:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=False, capture_output=True, env=environment).stdout
