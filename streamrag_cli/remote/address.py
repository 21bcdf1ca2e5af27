"""Checks and normalises the addresses that users pass to `ingest`. `addresses.py` defines their stored form.

Credentials in an address are refused, so that they are never stored, shown or logged.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from streamrag_cli.addresses import Address, is_address
from streamrag_cli.errors import UsageError
from streamrag_cli.remote.web.urls import has_secret, normalised

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_INVALID: Final = re.compile(r"[\0-\x20\x7f-\x9f\\\ud800-\udfff]")
_BAD_REF: Final = re.compile(r"^[-./]|\.\.|//|@\{|[~^:?*\[]|(?:\.|/|\.lock)$|\.lock/|/\.")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "git+http": 80, "git+https": 443, "git+ssh": 22}
_EXAMPLES: Final = (
    "streamrag ingest https://HOST/PAGE, or streamrag ingest 'git+https://HOST/OWNER/REPO@BRANCH//FOLDER'"
)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """The parts of the address of a repository, or of a folder or file in it.

    `url` is the URL for the `git` program. `ref` is a branch, tag or commit; "" is the default branch. `folder` is ""
    for the whole repository.
    """

    url: str
    ref: str
    folder: str

    def name_of(self, file: str) -> str:
        """The stored name of the file with this path in the repository."""
        ref = f"@{self.ref}" if self.ref else ""
        return f"git+{self.url}{ref}//{file}"


def has_scheme(argument: str) -> bool:
    """Whether a PATH argument has the form of an address, even if its scheme is not supported."""
    return _SCHEME.match(argument) is not None


def parse_address(argument: str) -> Address:
    """Return the stored form of an address. Raises UsageError `bad_address`, `credentials_in_address`.

    >>> [str(parse_address(each)) for each in ("HTTPS://Host:443#top", "git+https://Host/repo@main//docs/")]
    ['https://host/', 'git+https://host/repo@main//docs']
    """
    scheme, _, rest = argument.partition("://")
    scheme = scheme.casefold()
    if not is_address(f"{scheme}://"):
        raise _bad_address(f"streamrag cannot ingest {scheme}:// addresses")
    if scheme == "stdin":
        return piped_address(rest)
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        raise _bad_address("the address is malformed") from None
    _refuse_credentials(parts)
    if _INVALID.search(rest):
        raise _bad_address("the address contains spaces, backslashes or control characters")
    if scheme != "git+file" and not parts.hostname:
        raise _bad_address("the address has no host")
    if (parts.hostname or "").startswith("-") or parts.netloc.startswith("-"):
        raise _bad_address("the host name begins with -")
    return Address(_git_address(parts) if scheme.startswith("git+") else _web_address(parts))


def piped_address(name: str) -> Address:
    """Return the address for a piped document with this name. Raises UsageError `bad_name`."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or name.startswith(("/", "~")) or ".." in parts or re.search(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", name):
        raise UsageError(
            "--name must be a relative name without .. and control characters",
            code="bad_name",
            hint="pbpaste | streamrag ingest - --name notes/today.md",
        )
    return Address(f"stdin://{'/'.join(parts)}")


def git_address(address: Address) -> GitAddress:
    """The parts of a repository's stored address.

    >>> git_address(Address("git+ssh://git@host/a/b@v1//docs"))
    GitAddress(url='ssh://git@host/a/b', ref='v1', folder='docs')
    """
    scheme, _, rest = address.text.removeprefix("git+").partition("://")
    host, slash, path = rest.partition("/")
    repository, _, folder = path.partition("//")
    repository, _, ref = repository.partition("@")
    return GitAddress(f"{scheme}://{host}{slash}{repository}", ref, folder)


def _git_address(parts: SplitResult) -> str:
    if parts.query or parts.fragment or "?" in parts.path:
        raise _bad_address("a repository address must not contain a query or a fragment")
    repository, _, folder = parts.path.partition("//")
    repository, at, ref = repository.partition("@")
    repository, folder = repository.rstrip("/"), folder.strip("/")
    if parts.scheme == "git+file" and parts.netloc not in {"", "localhost"}:
        raise _bad_address("git+file:// must be followed by an absolute path", hint="git+file:///srv/repo@main//docs")
    if not repository.strip("/"):
        raise _bad_address("the address does not contain the path of a repository")
    if (at and not ref) or _BAD_REF.search(ref):
        raise _bad_address("the name of the branch, tag or commit after @ is not valid")
    if {".", ".."} & {*repository.split("/"), *folder.split("/")} or "//" in folder:
        raise _bad_address("the address contains . or .. or an empty folder")
    host = "" if parts.scheme == "git+file" else _host(parts)
    return f"{parts.scheme}://{host}{repository}{at}{ref}{f'//{folder}' if folder else ''}"


def _web_address(parts: SplitResult) -> str:
    url = normalised(parts.geturl())
    if url is None:
        raise _bad_address("the address is not valid")
    return url


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    user = f"{parts.username}@" if parts.username else ""
    return f"{user}{host}" + (f":{parts.port}" if parts.port not in {None, _DEFAULT_PORTS.get(parts.scheme)} else "")


def _refuse_credentials(parts: SplitResult) -> None:
    """Raise UsageError if the address contains credentials. The message does not repeat them."""
    from streamrag_cli.documents.secret_content import key_in

    user_is_account = parts.scheme == "git+ssh" and ":" not in parts.netloc.rpartition("@")[0]
    has_user = "@" in parts.netloc and not user_is_account
    if has_user or has_secret(parts.geturl()) or key_in(parts.geturl().encode()):
        raise UsageError(
            "the address contains credentials, which would be stored and shown",
            code="credentials_in_address",
            hint="remove the credentials from the address, and add this line to ~/.netrc: machine HOST login USER"
            " password TOKEN",
        )


def _bad_address(message: str, *, hint: str = _EXAMPLES) -> UsageError:
    return UsageError(message, code="bad_address", hint=hint)
