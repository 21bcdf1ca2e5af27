"""Links from sources to their files, for terminals that support hyperlinks."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from streamrag_cli.addresses import is_address
from streamrag_cli.model import Source

_PAGE_OF_FILE: Final = {"github.com": "{repository}/blob/{ref}", "gitlab.com": "{repository}/-/blob/{ref}"}
"""The URL path between a repository and a file on the web page of each repository host."""


def uri_of(source: Source, editor_uri: str = "") -> str:
    """Return the URI of a source's file and line, or of its web page; "" if the source has neither.

    `editor_uri` is a template with `{path}` and `{line}`; without it, the result is a file URI.

    >>> source = Source(n=1, source="a.md", page=None, line_start=7, line_end=9, title="", content="", score=1.0,
    ...                 chunk_id="", path="/docs/a b.md")
    >>> uri_of(source), uri_of(source, "vscode://file{path}:{line}")
    ('file:///docs/a%20b.md#7', 'vscode://file/docs/a%20b.md:7')
    """
    if not source.path:
        return ""
    if is_address(source.path):
        return _uri_of_address(source)
    if editor_uri:
        line = str(source.line_start or 1)
        return editor_uri.replace("{path}", quote(source.path, errors="surrogateescape")).replace("{line}", line)
    fragment = "" if source.line_start is None else f"#{source.line_start}"
    return Path(source.path).as_uri() + fragment


def _uri_of_address(source: Source) -> str:
    if source.path.startswith(("https://", "http://")):
        return source.url or source.path
    repository, _, file = source.path.removeprefix("git+https://").partition("//")
    host, _, rest = repository.partition("/")
    repository, _, ref = rest.partition("@")
    if host not in _PAGE_OF_FILE or not file:
        return ""
    line = "" if source.line_start is None else f"#L{source.line_start}"
    page = _PAGE_OF_FILE[host].format(repository=repository.removesuffix(".git"), ref=ref or "HEAD")
    return f"https://{host}/{quote(f'{page}/{file}', errors='surrogateescape')}{line}"
