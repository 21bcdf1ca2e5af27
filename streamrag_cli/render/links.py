"""Links from sources to their files, for terminals that support hyperlinks."""

from pathlib import Path
from urllib.parse import quote

from streamrag_cli.model import Source


def uri_of(source: Source, editor_uri: str = "") -> str:
    """The URI of the source's file and line; "" for a source without a file.

    `editor_uri` is a template with `{path}` and `{line}`; without it, the result is a file URI.

    >>> source = Source(n=1, source="a.md", page=None, line_start=7, line_end=9, title="", content="", score=1.0,
    ...                 chunk_id="", path="/docs/a b.md")
    >>> uri_of(source), uri_of(source, "vscode://file{path}:{line}")
    ('file:///docs/a%20b.md#7', 'vscode://file/docs/a%20b.md:7')
    """
    if not source.path:
        return ""
    if editor_uri:
        line = str(source.line_start or 1)
        return editor_uri.replace("{path}", quote(source.path, errors="surrogateescape")).replace("{line}", line)
    fragment = "" if source.line_start is None else f"#{source.line_start}"
    return Path(source.path).as_uri() + fragment
