"""Separates the main content of a web page from the navigation and other parts around it.

Many pages mark their content with `<main>`, `<article>` or the equivalent roles. On other pages, parts next to the main
text are dropped if they are small or mostly links. Inside the content, elements named navigation, search, share or
similar are dropped, unless they contain a large part of the text or the page's heading.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

_DROPPED: Final = frozenset(
    {"script", "style", "nav", "template", "noscript", "head", "iframe", "object", "embed", "svg", "canvas", "audio",
     "video", "select", "datalist", "button", "dialog", "search"}
)  # fmt: skip
_DROPPED_ROLES: Final = frozenset(
    {"navigation", "search", "banner", "contentinfo", "dialog", "alertdialog", "menu", "menubar", "toolbar", "button",
     "tablist", "doc-toc"}
)  # fmt: skip
_DROPPED_NAMES: Final = frozenset(
    {"nav", "navbar", "navigation", "navheader", "navfooter", "sidebar", "sphinxsidebar", "sidenav", "subnav", "topnav",
     "breadcrumb", "breadcrumbs", "cookie", "cookies", "consent", "gdpr", "pagination", "pager", "paginator",
     "prevnext", "share", "sharing", "social", "related", "skip", "skiplink", "skipnav", "toc", "footer", "copyright",
     "masthead", "comments", "disqus", "advert", "advertisement", "ads", "sponsored", "promo", "newsletter",
     "subscribe", "menu", "search", "searchbox", "popup", "modal", "recommended", "recommendations", "tagcloud"}
)  # fmt: skip
_DROPPED_INLINE: Final = frozenset({"headerlink", "copybtn", "clipboard", "editsection", "skip", "skiplink"})
_CONSENT: Final = re.compile(
    r"cookie.{0,20}(?:bar|banner|box|consent|dialog|law|message|modal|notice|overlay|policy|popup|warning)"
    r"|consent-?(?:banner|manager|modal|popup)|onetrust|cookiebot|didomi|cmplz|iubenda-cs|qc-cmp|usercentrics|truste"
    r"|tarteaucitron|cc-(?:window|banner)|gdpr",
    re.IGNORECASE,
)
"""Class names and ids of banners that ask for consent to cookies."""
_COMMENTS: Final = frozenset({"comments", "commentlist", "disqus"})
_CONTAINERS: Final = frozenset(
    {"div", "ul", "ol", "section", "aside", "header", "footer", "form", "p", "table", "details"}
)
_MINOR: Final = frozenset({"header", "footer", "aside"})
_PROSE: Final = frozenset({"p", "pre", "li", "td", "dd", "blockquote"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_GUTTER: Final = re.compile(r"\b(?:gutter|ln|lnt|linenos?|linenodiv|line-?numbers?|line-no|blob-num)\b", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"[\d\s.:|]*\Z")
_NOTE_MARK: Final = re.compile(r"\s*(?:\[[^\[\]]{1,20}\]\s*)+\Z")
_BARE_NOTE_MARK: Final = re.compile(r"\s*(?:\d{1,3}|[a-z*\u2020\u2021])\s*\Z")

_NEARLY_EMPTY_CHARS: Final = 30
_SHORT_CHARS: Final = 200
_SHORT_SHARE: Final = 0.05
_LARGE_SHARE: Final = 0.4
_ONE_ARTICLE: Final = 0.7
_PROSE_SHARE: Final = 0.9
_LINKS: Final = 0.6
_PARAGRAPH_CHARS: Final = 80
_OWN_CHARS: Final = 40


class Element(Protocol):
    """The methods of lxml's elements that the HTML loader uses."""

    tag: Any
    text: str | None
    tail: str | None
    sourceline: int | None

    def get(self, name: str) -> str | None: ...
    def itertext(self) -> Iterator[str]: ...
    def iter(self, *tags: str) -> Iterator["Element"]: ...
    def __iter__(self) -> Iterator["Element"]: ...


class Visibility(Protocol):
    """Decides which elements are read."""

    def is_shown(self, element: Element) -> bool: ...


@dataclass(slots=True)
class _Size:
    """The number of visible characters in an element, in its links, and in its long paragraphs outside links."""

    chars: int = 0
    linked: int = 0
    prose: int = 0
    has_heading: bool = False


class Content:
    """Finds the main content of a page. It consists of the elements below `roots` for which `is_shown` is true."""

    def __init__(self, page: Element) -> None:
        self._sizes: dict[Element, _Size] = {}
        self._mains: list[Element] = []
        self._articles: list[Element] = []
        self._peripheral: set[Element] = set()
        self._measure(page, in_link=False, in_comments=False)
        self.roots = self._content_roots(page)
        self._total = sum(self._sizes[root].chars for root in self.roots if root in self._sizes)

    def is_shown(self, element: Element) -> bool:
        size = self._sizes.get(element)
        if size is None or element in self._peripheral:
            return False
        if size.has_heading or not _is_named_dropped(element):
            return True
        return size.chars > _LARGE_SHARE * self._total and not _is_comments(element)

    def _measure(self, element: Element, *, in_link: bool, in_comments: bool) -> _Size | None:
        """Measure the visible text in `element`. Returns None for an element that is never shown."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _DROPPED or is_hidden(element):
            return None
        role = (element.get("role") or "").casefold()
        is_link_mark = (tag == "a" and _is_permalink(element)) or _is_note_mark(element)
        if role in _DROPPED_ROLES or _is_gutter(element) or is_link_mark:
            return None
        in_comments = in_comments or "comment" in (element.get("class") or "").casefold()
        if tag == "main" or role == "main":
            self._mains.append(element)
        elif (tag == "article" or role == "article") and not in_comments:
            self._articles.append(element)
        in_link = in_link or tag == "a"
        size = self._sizes[element] = _Size(has_heading=tag == "h1")
        for text in (element.text, *(child.tail for child in element)):
            size.chars += len(text.strip()) if text else 0
        own_chars = size.chars
        for child in element:
            if below := self._measure(child, in_link=in_link, in_comments=in_comments):
                size.chars += below.chars
                size.linked += below.linked
                size.prose += below.prose
                size.has_heading |= below.has_heading
        if in_link:
            size.linked = size.chars
        elif not size.prose and (tag in _PROSE or own_chars > _OWN_CHARS):
            unlinked = size.chars - size.linked
            size.prose = unlinked if unlinked > max(_PARAGRAPH_CHARS, size.linked) else 0
        return size

    def _content_roots(self, page: Element) -> list[Element]:
        whole = self._chars(page)
        for landmarks in (self._mains, self._articles):
            roots = _outermost(landmarks)
            chars = [self._chars(root) for root in roots]
            if sum(chars) < _NEARLY_EMPTY_CHARS or (sum(chars) < _SHORT_CHARS and sum(chars) < _SHORT_SHARE * whole):
                continue
            return self._only_article(roots, chars) if landmarks is self._articles else roots
        self._drop_peripheral_parts(page)
        return [page]

    def _only_article(self, articles: list[Element], chars: list[int]) -> list[Element]:
        """Return the article that contains the page's heading or most of the text. All others are probably teasers.

        Returns all `articles` if none of them does.
        """
        with_heading = [article for article in articles if self._sizes[article].has_heading]
        if len(with_heading) == 1:
            return with_heading
        largest = max(chars)
        return [articles[chars.index(largest)]] if largest > _ONE_ARTICLE * sum(chars) else articles

    def _chars(self, element: Element) -> int:
        return self._sizes[element].chars if element in self._sizes else 0

    def _drop_peripheral_parts(self, page: Element) -> None:
        """Drop the peripheral parts around the smallest element that contains nearly all paragraphs."""
        element: Element | None = page
        while element is not None:
            children = [child for child in element if child in self._sizes and not _is_named_dropped(child)]
            if len(children) == 1 and children[0].tag not in _PROSE:
                element = children[0]
                continue
            prose = sum(self._sizes[child].prose for child in children)
            largest = max(children, key=lambda child: self._sizes[child].prose, default=None)
            if largest is None or largest.tag in _PROSE or self._sizes[largest].prose <= _PROSE_SHARE * prose:
                self._peripheral.update(each for each in children if each.tag in _MINOR and not self._has_heading(each))
                break
            self._peripheral.update(
                child for child in children if child is not largest and self._is_peripheral(child, self._chars(element))
            )
            element = largest
        if sum(self._chars(each) for each in self._peripheral) == self._chars(page):
            self._peripheral.clear()

    def _has_heading(self, element: Element) -> bool:
        return self._sizes[element].has_heading

    def _is_peripheral(self, element: Element, chars: int) -> bool:
        size = self._sizes[element]
        if size.has_heading or element.tag not in _CONTAINERS:
            return False
        return size.chars < _LARGE_SHARE * chars or size.linked > _LINKS * size.chars or element.tag in _MINOR


def _outermost(elements: Sequence[Element]) -> list[Element]:
    """Return the elements that are not inside another one of `elements`, which must be in document order."""
    inside = {below for element in elements for below in element.iter() if below is not element}
    return [element for element in elements if element not in inside]


def is_hidden(element: Element) -> bool:
    if element.get("hidden") is not None:
        return True
    if element.get("aria-hidden") == "true":  # a page that was saved with an open dialog hides its content
        return next(iter(element.iter("main", "article", "h1")), None) is None
    style = element.get("style")
    return style is not None and _HIDDEN_STYLE.search(style) is not None


def _is_gutter(element: Element) -> bool:
    """Whether the element contains the line numbers of a code listing."""
    name = element.get("class")
    return name is not None and _GUTTER.search(name) is not None and _NUMBERS.match(_text(element)) is not None


def _is_permalink(element: Element) -> bool:
    """Whether the element is a link to an anchor on the same page that shows only a symbol, such as ¶."""
    return (element.get("href") or "").startswith("#") and not any(map(str.isalnum, _text(element)))


def _is_note_mark(element: Element) -> bool:
    """Whether the element is the mark of a footnote: a superscript in brackets, or one that links to the same page."""
    if element.tag == "a":
        return element.get("role") == "doc-noteref" or "footnote-ref" in (element.get("class") or "")
    if element.tag != "sup":
        return False
    text = _text(element)
    return _NOTE_MARK.match(text) is not None or (
        _BARE_NOTE_MARK.match(text) is not None
        and any((link.get("href") or "").startswith("#") for link in element.iter("a"))
    )


def _text(element: Element) -> str:
    return "".join(element.itertext())


def _is_named_dropped(element: Element) -> bool:
    tag = element.tag
    name = element.get("class") or ""
    if tag not in _CONTAINERS:
        return bool(name) and tag in {"a", "span"} and not _DROPPED_INLINE.isdisjoint(_words(name))
    identity = element.get("id") or ""
    if (identity or name) and _CONSENT.search(f"{identity} {name}"):
        return True
    if identity.casefold() in _DROPPED_NAMES and not _is_section(element, identity):
        return True
    words = _words(name)
    if name == "sidebar" and any((child.get("class") or "") == "titlepage" for child in element):
        return False  # a sidebar on a DocBook page is part of the text
    return _is_comments(element) or not _DROPPED_NAMES.isdisjoint(words) or {"contents", "topic"} <= words


def _is_comments(element: Element) -> bool:
    """Whether the element contains reader comments."""
    name = element.get("class") or ""
    return "comment" in name and ({"comment", "list"} <= _words(name) or not _COMMENTS.isdisjoint(_words(name)))


def _is_section(element: Element, identity: str) -> bool:
    """Whether the element's id comes from its heading, as in generated documentation."""
    if element.tag == "section":
        return True
    return any(
        child.tag in _HEADINGS and "-".join(_text(child).casefold().split()).strip("¶#") == identity.casefold()
        for child in element
    )


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(name)}
