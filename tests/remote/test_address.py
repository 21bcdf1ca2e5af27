"""Addresses that users type, their stored form, and what is above them."""

import pytest

from streamrag_cli.addresses import Address, is_address, location, names_above, shown_address
from streamrag_cli.errors import UsageError
from streamrag_cli.remote.address import GitAddress, git_address, has_scheme, parse_address, piped_address


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("git+https://Git.Example.ORG:443/a/b.git", "git+https://git.example.org/a/b.git"),
        ("GIT+HTTPS://host/a/b@main//docs/guide/", "git+https://host/a/b@main//docs/guide"),
        ("git+https://host:8443/a/b@feature/new-docs//", "git+https://host:8443/a/b@feature/new-docs"),
        ("git+ssh://git@host/a/b@v1.2//docs", "git+ssh://git@host/a/b@v1.2//docs"),
        ("git+file:///srv/a b/repo.git@main", None),
        ("git+file:///srv/repo.git/@main//docs/a.md", "git+file:///srv/repo.git@main//docs/a.md"),
        ("git+file://localhost/srv/repo", "git+file:///srv/repo"),
        ("git+http://[::1]:80/a", "git+http://[::1]/a"),
        ("https://Docs.Example.org", "https://docs.example.org/"),
        ("https://docs.example.org/a?page=2#top", "https://docs.example.org/a?page=2"),
        ("stdin://./notes//today.md", "stdin://notes/today.md"),
    ],
)
def test_equivalent_addresses_are_stored_in_the_same_form(typed: str, stored: str | None) -> None:
    if stored is None:
        with pytest.raises(UsageError):
            parse_address(typed)
    else:
        assert str(parse_address(typed)) == stored
        assert parse_address(stored) == Address(stored)


@pytest.mark.fault("bad-address")
@pytest.mark.parametrize(
    "typed",
    [
        "ftp://host/a", "git://host/a", "ssh://host/a", "git+ext://sh/a", "git+https://", "git+https:///a",
        "git+https://host", "git+https://host/a@", "git+https://host/a@--upload-pack=id", "git+https://host/a@x..y",
        "git+https://host/a@x y", "git+https://host/a@-x//docs", "git+https://host/a@x.lock", "git+https://host/a@x~1",
        "git+https://host/../a", "git+https://host/a//docs/../..", "git+https://host/a//x//y", "git+file://srv/repo",
        "git+https://host/a?x=1", "git+https://host:99999/a", "https://ho st/", "https://host/\x1b[31m", "https://[::1/a",
        "git+ssh://-oProxyCommand=id/a", "git+https://host/a#main",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_ingested_is_refused(typed: str) -> None:
    assert has_scheme(typed)
    with pytest.raises(UsageError) as caught:
        parse_address(typed)
    assert caught.value.code == "bad_address"


@pytest.mark.fault("credentials-in-address")
@pytest.mark.parametrize(
    "typed",
    [
        "https://ada:wren-7@host/a", "git+https://wren-7@host/a", "git+ssh://git:wren-7@host/a", "https://host/a?token=wren-7",
        "https://host/a?x=1&access_token=wren-7", "https://host/a?X-Amz-Signature=wren-7", "git+http://:wren-7@host/a",
    ],
)  # fmt: skip
def test_credentials_in_an_address_are_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(typed)

    assert caught.value.code == "credentials_in_address"
    assert "wren-7" not in f"{caught.value.message} {caught.value.hint}"
    assert "~/.netrc" in caught.value.hint


def test_a_repository_address_is_split_into_its_parts() -> None:
    whole = git_address(Address("git+https://host/a/b"))
    part = git_address(Address("git+file:///srv/a.git@feature/x//docs/guide"))

    assert whole == GitAddress("https://host/a/b", "", "")
    assert part == GitAddress("file:///srv/a.git", "feature/x", "docs/guide")
    assert (whole.name_of("x.md"), part.name_of("docs/guide/x.md")) == (
        "git+https://host/a/b//x.md",
        "git+file:///srv/a.git@feature/x//docs/guide/x.md",
    )


@pytest.mark.parametrize("name", ["", "/etc/notes.md", "../notes.md", "a/../b.md", "~/a.md", "a\nb.md"])
def test_piped_text_without_a_valid_relative_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        piped_address(name)
    assert caught.value.code == "bad_name"


def test_names_of_files_and_addresses_are_distinguished() -> None:
    names = ["/srv/https://x", "https://x/y", "git+https://x/y", "stdin://a", "httpsx://a", "git+ext://a", "a/b"]

    assert [is_address(name) for name in names] == [False, True, True, True, False, False, False]
    assert [str(location(name)) for name in names[:4]] == ["/srv/https:/x", *names[1:4]]


def test_the_parents_of_an_address_are_listed() -> None:
    assert names_above("git+file:///srv/repo@main//docs/a.md") == [
        "git+file:///srv/repo@main//docs",
        "git+file:///srv/repo@main",
        "git+file:///srv",
    ]
    assert Address("https://host/guide/a").is_relative_to(Address("https://host/guide/"))
    assert not Address("https://host/guidebook").is_relative_to(Address("https://host/guide"))


def test_a_shortened_address_is_accepted_by_commands() -> None:
    assert [shown_address(each) for each in ("git+ssh://git@host/a//b.md", "https://host/a", "stdin://n/a.md")] == [
        "git@host/a//b.md",
        "https://host/a",
        "n/a.md",
    ]
