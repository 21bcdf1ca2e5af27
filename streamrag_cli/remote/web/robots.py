"""The rules in a site's robots.txt."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from streamrag_cli.remote.web.results import PRODUCT, FetchError
from streamrag_cli.remote.web.urls import shown_origin

MAX_BYTES: Final = 500_000
_LONGEST_DELAY_S: Final = 30.0
_USER_AGENT: Final = re.compile(r"\s*user[\s-]*agent\s*[\s:](.*)", re.IGNORECASE)


class Robots:
    """The rules for all sites in a crawl. Each robots.txt is read once, with `read`.

    `read` takes the address of a robots.txt, and returns the status and the body. It may raise FetchError.
    """

    def __init__(self, read: Callable[[str], tuple[int, bytes]]) -> None:
        self._read = read
        self._rules: dict[str, _Rules] = {}

    def allow(self, url: str) -> bool:
        """Whether this program may request `url`. Raises FetchError if the rules cannot be read."""
        return self._rules_for(url).allow(url)

    def delay_s(self, url: str) -> float:
        """The delay in seconds that a site requests between two requests, at most 30; 0 if it requests none."""
        rules = self._rules.get(shown_origin(url))
        return rules.delay_s if rules else 0.0

    def sitemaps(self, url: str) -> Sequence[str]:
        """The sitemaps that robots.txt lists. Raises FetchError."""
        return self._rules_for(url).sitemaps

    def _rules_for(self, url: str) -> "_Rules":
        origin = shown_origin(url)
        if origin not in self._rules:
            status, body = self._read(f"{origin}/robots.txt")
            if status >= 500 or status == 429:
                raise FetchError(f"{origin}/robots.txt: HTTP {status}", "robots", is_connection=True)
            self._rules[origin] = _Rules(body.decode("utf-8", "replace") if status < 300 else "")
        return self._rules[origin]


class _Rules:
    def __init__(self, text: str) -> None:
        from protego import Protego  # 35 ms

        self._parsed = Protego.parse("\n".join(map(_with_known_agent, text.splitlines())))
        self.sitemaps = list(self._parsed.sitemaps)
        self.delay_s = min(_LONGEST_DELAY_S, self._parsed.crawl_delay(PRODUCT) or 0.0)

    def allow(self, url: str) -> bool:
        return self._parsed.can_fetch(url, PRODUCT)


def _with_known_agent(line: str) -> str:
    """The line, but with one name for all user agents whose rules do not apply to this program.

    The parser copies each rule to every user agent above it, which takes gigabytes if a site lists thousands of them.
    """
    match = _USER_AGENT.fullmatch(line.partition("#")[0])
    if match is None:
        return line
    agent = match[1].strip(" \t:").casefold()
    name = agent.replace("*", "").strip()
    return f"User-agent: {name if name and PRODUCT.startswith(name) else '*' if agent == '*' else 'another'}"
