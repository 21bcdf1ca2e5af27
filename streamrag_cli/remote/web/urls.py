"""Normalises web addresses, and decides which of them belong to a root."""

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit, urlunsplit

_PORTS: Final = {"http": 80, "https": 443}
_MAX_CHARS: Final = 2000
_MOST_REPEATED: Final = 3
"""A path with so many equal segments comes from relative links that loop."""
_SPACES: Final = re.compile(r"[\t\n\r]")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SAFE: Final = "%/:=&?~+!$,;'@()*[]|"
_NUMERIC_HOST: Final = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)
_SESSION: Final = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?#]*", re.IGNORECASE)
_TRACKING: Final = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|mc_[ce]id|phpsessid|jsessionid|sessionid|_ga|ref_src", re.IGNORECASE
)
_SECRET: Final = re.compile(
    r"(?:.*[-_.])?(?:token|key|apikey|sig|signature|secret|password|passwd|pwd|auth|credential|session|sas|jwt)",
    re.IGNORECASE,
)
_INDEX_FILE: Final = re.compile(r"/(?:index|default)\.(?:x?html?|php|aspx?|jsp)\Z", re.IGNORECASE)
_NOT_DOCUMENTS: Final = frozenset(
    """7z apk avi avif bin bmp bz2 cab class css deb dll dmg eot exe flac gif gz ico img iso jar jpeg jpg js m4a m4v map
    mjs mkv mov mp3 mp4 mpeg mpg msi o ogg ogv opus otf png rar rpm so svg swf tar tgz tif tiff ttf war wasm wav webm
    webp whl wmv woff woff2 xz zip zst""".split()
)  # fmt: skip


def normalised(url: str, base: str = "") -> str | None:
    """The normal form of a link on the page `base`, without its fragment; None unless it is a usable http address.

    >>> normalised("../b/./c%7e?utm_source=x&q=1#part", "HTTP://Example.ORG:80/a/d")
    'http://example.org/b/c~?q=1'
    >>> normalised("mailto:ada@example.org"), normalised("http://ada:pw@example.org/")
    (None, None)
    """
    try:
        parts = urlsplit(urljoin(base, _SPACES.sub("", url.strip()).replace("\\", "/")))
        host, port = parts.hostname or "", parts.port
        has_credentials = parts.username is not None or parts.password is not None
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    host_in_url = _host(host)
    if scheme not in _PORTS or not host_in_url or has_credentials or port == 0:
        return None
    netloc = host_in_url if port in {None, _PORTS[scheme]} else f"{host_in_url}:{port}"
    path = _without_dots(_escaped(_SESSION.sub("", parts.path))) or "/"
    query = "&".join(
        each for each in _escaped(parts.query).split("&") if each and not _TRACKING.fullmatch(each.partition("=")[0])
    )
    result = urlunsplit((scheme, netloc, path, query, ""))
    return result if len(result) <= _MAX_CHARS and result.isascii() and result.isprintable() else None


def _host(host: str) -> str:
    """The host in its normal form, in brackets if it is an IPv6 address; "" if it is not valid."""
    if ":" in host:
        with suppress(OSError):
            return f"[{socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))}]"
        return ""
    host = host.rstrip(".").lower()
    if host and _NUMERIC_HOST.fullmatch(host) and host[-1] in "0123456789abcdefx":
        with suppress(OSError):  # 127.1, 0x7f.1 and 2130706433 are addresses, too
            return socket.inet_ntoa(socket.inet_aton(host))
    if not host.isascii():
        import idna  # the HTTP library has imported it

        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            return ""
    return host if re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", host) else ""


def _escaped(text: str) -> str:
    """Percent-encode what must be encoded in `text`, and decode unreserved characters."""

    def unescaped(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return _ESCAPE.sub(unescaped, quote(text, safe=_SAFE, errors="replace"))


def _without_dots(path: str) -> str:
    segments_left: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del segments_left[-1:]
        elif segment != ".":
            segments_left.append(segment)
    ends_in_folder = bool(segments) and segments[-1] in {".", ".."}
    return "/" + "/".join([*segments_left, ""] if ends_in_folder and segments_left else segments_left)


def origin_of(url: str) -> tuple[str, str, int]:
    """The scheme, host and port of an address in normal form."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def shown_origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_same_service(url: str, other: str) -> bool:
    """Whether both addresses have the same host and port, or `url` is the HTTPS variant of `other`."""
    scheme, host, port = origin_of(url)
    other_scheme, other_host, other_port = origin_of(other)
    is_upgrade = (other_scheme, other_port, scheme, port) == ("http", 80, "https", 443)
    return host == other_host and ((scheme, port) == (other_scheme, other_port) or is_upgrade)


def has_secret(url: str) -> bool:
    """Whether a query parameter looks like a credential, which must not be stored.

    >>> has_secret("https://h/p?page=2"), has_secret("https://h/p?X-Amz-Signature=ab"), has_secret("https://h/?token=")
    (False, True, True)
    """
    return any(_SECRET.fullmatch(name) for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))


def without_secret(url: str) -> str:
    """The address without its query if the query seems to contain a credential, so that it can be shown.

    >>> without_secret("https://h/p?page=2"), without_secret("https://h/p?page=2&token=ab")
    ('https://h/p?page=2', 'https://h/p')
    """
    return url.partition("?")[0] if has_secret(url) else url


def is_same_page(canonical: str, url: str) -> bool:
    """Whether a page's canonical address differs from `url` only in its query, a final slash or an index file.

    Other canonical addresses are ignored, because many sites wrongly declare their home page or another version.
    """
    return canonical != url and _essence(canonical) == _essence(url) and not urlsplit(canonical).query


def _essence(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, _INDEX_FILE.sub("/", parts.path).rstrip("/")


@dataclass(frozen=True, slots=True)
class Scope:
    """The pages that a crawl of `root` may visit: at or below its path, with the same scheme, host and port."""

    root: str
    prefix: str

    @classmethod
    def of(cls, root: str) -> Self:
        parts = urlsplit(root)
        path = parts.path if parts.path.endswith("/") else parts.path + "/"
        return cls(root, urlunsplit((parts.scheme, parts.netloc, path, "", "")))

    def contains(self, url: str) -> bool:
        return url == self.root or url.startswith(self.prefix)

    def below(self, url: str) -> str:
        """A page's path relative to the root, with its query."""
        return unquote(url[len(self.prefix) :])


def folder_of(url: str) -> str:
    """The address of a page's folder. A last segment with a suffix is the name of the page, not of a folder.

    >>> folder_of("https://h/guide/index.html"), folder_of("https://h/guide"), folder_of("https://h/v2.0/")
    ('https://h/guide/', 'https://h/guide', 'https://h/v2.0/')
    """
    parts = urlsplit(url)
    folder, _, name = parts.path.rpartition("/")
    path = f"{folder}/" if re.search(r"\.[A-Za-z][A-Za-z0-9]{1,4}\Z", name) else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def is_followed(url: str) -> bool:
    """Whether a crawl requests a link. It skips pictures, archives, scripts, loops and addresses with a secret."""
    path = urlsplit(url).path
    segments = [each for each in path.split("/") if each]
    suffix = segments[-1].rpartition(".")[2].casefold() if segments and "." in segments[-1] else ""
    loops = any(segments.count(each) >= _MOST_REPEATED for each in set(segments))
    return suffix not in _NOT_DOCUMENTS and not loops and not has_secret(url)
