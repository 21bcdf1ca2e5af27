"""Stored names of documents and of ingested roots: the absolute path of a local file or folder, or an address.

Only this module decides whether a name is a path or an address. Call `is_address` before you convert a stored name to a
`Path`, because `Path("https://host/page")` is `https:/host/page`. `remote/address.py` checks and normalises the
addresses that users type.

    https://host/guide/install                        a web page
    git+https://host/owner/repo@main//docs/a.md       a file in a git repository
    stdin://notes/today.md                            text that was piped into `streamrag ingest -`
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias
from urllib.parse import urlsplit

_ADDRESS: Final = re.compile(r"(?:(?:git\+)?https?|git\+(?:ssh|file)|stdin)://")
_PAGE_SUFFIX: Final = ".html"
_WITHOUT_SCHEME: Final = re.compile(r"((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})/\S+|www\.\S+")
_COPIED_FROM_GIT: Final = re.compile(r"([\w.-]+@[A-Za-z0-9.-]+):(\S+)")
_GIT_HOSTS: Final = frozenset({"github.com", "gitlab.com", "codeberg.org", "bitbucket.org"})


def is_address(name: str) -> bool:
    """Whether a stored name is an address rather than a path.

    >>> [is_address(each) for each in ("https://host/a", "git+file:///srv/repo//docs", "stdin://a.md", "/srv/https:")]
    [True, True, True, False]
    """
    return _ADDRESS.match(name) is not None


def likely_address(name: str) -> str:
    """Return the address that a user probably meant by a path that does not exist; "" if it looks like a path.

    >>> likely_address("docs.example.org/guide"), likely_address("git@example.org:birds/heron.git")
    ('https://docs.example.org/guide', 'git+ssh://git@example.org/birds/heron.git')
    >>> likely_address("notes.md"), likely_address("docs/a.md")
    ('', '')
    """
    if match := _COPIED_FROM_GIT.fullmatch(name):
        return f"git+ssh://{match[1]}/{match[2].lstrip('/')}"
    if match := _WITHOUT_SCHEME.fullmatch(name):
        return f"git+https://{name}" if match[1] in _GIT_HOSTS or name.endswith(".git") else f"https://{name}"
    return ""


def is_web_address(name: str) -> bool:
    """Whether a stored name is the address of a web page."""
    return name.startswith(("https://", "http://"))


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A stored address. Its attributes have the same names and meanings as those of a `Path`."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def scheme(self) -> str:
        return self.text.partition("://")[0]

    @property
    def name(self) -> str:
        """The part after the last slash, without a URL's query."""
        return format_path(self.text).name

    @property
    def suffix(self) -> str:
        return format_path(self.text).suffix

    @property
    def parents(self) -> "tuple[Address, ...]":
        """The addresses above this one, from the bottom up.

        >>> [str(each) for each in Address("git+https://host/repo@main//docs/a.md").parents]
        ['git+https://host/repo@main//docs', 'git+https://host/repo@main', 'git+https://host']
        """
        return tuple(map(Address, names_above(self.text)))

    def is_relative_to(self, other: "Location") -> bool:
        return is_at_or_below(self.text, str(other))


Location: TypeAlias = Path | Address
"""The path or address of a root or document."""


def location(name: str) -> Location:
    """Convert a stored name to an `Address` or a `Path`."""
    return Address(name) if is_address(name) else Path(name)


def is_at_or_below(name: str, root: str) -> bool:
    """Whether the document `name` is `root` or below `root`. Both are stored names; every name is below "".

    >>> [is_at_or_below(each, "https://host/guide/") for each in ("https://host/guide/", "https://host/guide/a")]
    [True, True]
    >>> is_at_or_below("https://host/guidebook", "https://host/guide"), is_at_or_below("https://host/a", "/")
    (False, False)
    """
    return name == root or not root or name.startswith(root.rstrip("/") + "/")


def names_above(name: str) -> list[str]:
    """Return the names of all folders above a stored name, from the bottom up.

    >>> names_above("/docs/a.md"), names_above("https://host/guide/a/")
    (['/docs', '/'], ['https://host/guide', 'https://host'])
    """
    if not is_address(name):
        return [str(each) for each in PurePosixPath(name).parents]
    scheme, _, rest = name.partition("://")
    above = []
    while rest := rest.rstrip("/").rpartition("/")[0].rstrip("/"):
        above.append(f"{scheme}://{rest}")
    return above


def format_path(name: str) -> PurePosixPath:
    """Return a path with the file name that determines the format of the document `name`.

    >>> [format_path(each).name for each in ("/d/a.md", "https://host/manual.pdf?v=2", "https://host/")]
    ['a.md', 'manual.pdf', 'index.html']
    """
    if not name.startswith(("http://", "https://")):
        return PurePosixPath(name)
    path = PurePosixPath(urlsplit(name).path)
    return path if path.suffix else path.parent / f"{path.name or 'index'}{_PAGE_SUFFIX}"


def public_address(address: str) -> str:
    """Return an address as models and HTTP clients see it: like `shown_address`, but without this machine's folders.

    >>> public_address("git+file:///srv/private/birds.git@main//docs/a.md"), public_address("git+https://host/a/b//c.md")
    ('birds.git@main//docs/a.md', 'host/a/b//c.md')
    """
    if not address.startswith("git+file:"):
        return shown_address(address)
    repository, slashes, file = address.partition("://")[2].partition("//")
    directory, at, ref = repository.partition("@")
    return f"{directory.rpartition('/')[2]}{at}{ref}{slashes}{file}"


def shown_address(address: str) -> str:
    """Return an address as users see it: the end of the address, which commands accept as the document's name.

    >>> shown_address("git+https://host/owner/repo@main//docs/a.md"), shown_address("stdin://notes/today.md")
    ('host/owner/repo@main//docs/a.md', 'notes/today.md')
    >>> shown_address("https://host/guide")
    'https://host/guide'
    """
    return address if address.startswith("http") else address.partition("://")[2]
