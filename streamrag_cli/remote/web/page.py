"""Extracts, in the sandbox, an HTML page's links, headings and canonical address."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from streamrag_cli.documents.formats import Format
from streamrag_cli.documents.loaders.html import declared_encoding, load_html, parse_html
from streamrag_cli.documents.loaders.html_content import Content, Element
from streamrag_cli.documents.outline import clean_heading
from streamrag_cli.documents.read import RawFile, decode
from streamrag_cli.documents.sandbox import Loader
from streamrag_cli.model import Document

_MOST_LINKS: Final = 5_000
_MOST_ANCHORS: Final = 2_000
_LINK_CHARS: Final = 2_000
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_APP_ROOTS: Final = frozenset(
    {"root", "app", "__next", "__nuxt", "___gatsby", "svelte", "q-app", "main-app", "react-root"}
)
_LITTLE_CHARS: Final = 80
_SHORT_CHARS: Final = 400
_LONG_CHARS: Final = 200
"""Shorter texts, such as those of pages that only have links, may be equal by accident."""
_NEEDS_JAVASCRIPT: Final = re.compile(
    r"(?:enable|turn on|activate|requires?|needs?|without|allow)\W.{0,60}\bjava ?script"
    r"|\bjava ?script\b.{0,60}(?:required|disabled|enabled?|necessary|turned off|activate|aktivier|activer|activar)",
    re.IGNORECASE | re.DOTALL,
)
_ABOUT_COMMENTS: Final = re.compile(r"comments?|disqus", re.IGNORECASE)
_OUTLINE: Final = Format(name="outline", loader="streamrag_cli.remote.web.page:load_outline", input_type="bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The links on a page as they are written, its base and canonical addresses, and the ids of its headings.

    `needs_javascript` means that the page has no text of its own. `text_digest` identifies its text,
    and is "" if the text is short.
    """

    links: tuple[str, ...]
    base: str
    canonical: str
    anchors: tuple[tuple[str, str], ...]
    needs_javascript: bool
    text_digest: str


def inspect(body: bytes, loader: Loader) -> Page:
    """Parse a page with the sandbox `loader`. Raises DocumentError."""
    raw = RawFile(data=body, size=len(body), mtime_ns=0, read_at_ns=0, sha256="")
    fields: dict[str, Any] = json.loads(loader.load(Path("page.html"), raw, _OUTLINE).text)
    anchors = tuple((str(heading), str(anchor)) for heading, anchor in fields["anchors"])
    return Page(
        links=tuple(fields["links"]),
        base=fields["base"],
        canonical=fields["canonical"],
        anchors=anchors,
        needs_javascript=fields["needs_javascript"],
        text_digest=fields["text_digest"],
    )


def load_outline(path: str, data: bytes) -> Document:
    """Return the fields of a `Page` as JSON in the text of a document. The sandbox can only return documents."""
    root, _ = parse_html(decode(data, declared=declared_encoding(data))[0])
    text = load_html(path, data).text
    is_long = sum(map(str.isalnum, text)) >= _LONG_CHARS
    fields: dict[str, object] = {"text_digest": sha256(text.encode("utf-8", "replace")).hexdigest() if is_long else ""}
    if root is None:
        fields |= {"links": [], "base": "", "canonical": "", "anchors": [], "needs_javascript": False}
    else:
        fields |= {
            "links": _links(root),
            "base": next(iter(_attributes(root, "base", "href")), ""),
            "canonical": _canonical(root),
            "anchors": _anchors(root),
            "needs_javascript": _needs_javascript(root, text),
        }
    return Document(path=path, text=json.dumps(fields), title="", sections=(), line_numbers=None)


def _attributes(root: Element, tag: str, name: str) -> list[str]:
    return [value for each in root.iter(tag) if (value := (each.get(name) or "").strip())]


def _links(root: Element) -> list[str]:
    links: dict[str, None] = {}
    for element in root.iter("a", "area", "frame", "iframe"):
        rel = (element.get("rel") or "").casefold().split()
        target = element.get("src" if element.tag in {"frame", "iframe"} else "href") or ""
        if target and len(target) <= _LINK_CHARS and not target.startswith("#") and "nofollow" not in rel:
            links[target] = None
        if len(links) == _MOST_LINKS:
            break
    return list(links)


def _canonical(root: Element) -> str:
    for element in root.iter("link"):
        if "canonical" in (element.get("rel") or "").casefold().split():
            return element.get("href") or ""
    return ""


def _anchors(root: Element) -> list[tuple[str, str]]:
    """The headings that a URL can point to, each with an id: its own, its section's, or that of an adjacent link."""
    content = Content(root)
    anchors: dict[str, str] = {}
    pending = [(root, "", "")]
    while pending and len(anchors) < _MOST_ANCHORS:
        element, of_parent, before = pending.pop()
        identity = element.get("id") or (element.get("name") if element.tag == "a" else "") or ""
        if element.tag in _HEADINGS:
            anchor = identity or _first_id(element) or before or of_parent
            heading = clean_heading(_shown_text(element, content))
            if heading and anchor:
                anchors.setdefault(heading, anchor)
            continue
        below: list[tuple[Element, str, str]] = []
        of_first, previous = identity or of_parent, ""
        for child in element:
            if isinstance(child.tag, str):
                below.append((child, of_first, previous))
                is_empty_anchor = child.tag in {"a", "span", "div"} and not "".join(child.itertext()).strip()
                previous = (child.get("id") or child.get("name") or previous) if is_empty_anchor else ""
                of_first = of_first if is_empty_anchor else ""
        pending.extend(reversed(below))
    return list(anchors.items())


def _first_id(heading: Element) -> str:
    return next((name for each in heading.iter() if (name := each.get("id") or each.get("name"))), "")


def _shown_text(element: Element, content: Content) -> str:
    parts = [element.text or ""]
    for child in element:
        parts += [_shown_text(child, content) if content.is_shown(child) else "", child.tail or ""]
    return "".join(parts)


def _needs_javascript(root: Element, text: str) -> bool:
    """Whether the page has scripts and hardly any text, or only text that asks for JavaScript."""
    chars = sum(map(str.isalnum, text))
    if chars > _SHORT_CHARS or next(iter(root.iter("script")), None) is None:
        return False
    hints = [text, *("".join(each.itertext()) for each in root.iter("noscript"))]
    if any(_NEEDS_JAVASCRIPT.search(each[:2000]) and not _ABOUT_COMMENTS.search(each) for each in hints):
        return True
    is_app = any((each.get("id") or "") in _APP_ROOTS or each.tag == "app-root" for each in root.iter())
    return not chars or (is_app and chars < _LITTLE_CHARS)
