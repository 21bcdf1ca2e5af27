"""Where a model lives: its name, the server's address and the key, as one value."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from streamrag_cli.errors import ConfigurationError

OPENAI_HOST: Final = "api.openai.com"
OPENAI_BASE_URL: Final = f"https://{OPENAI_HOST}/v1"
_HINT: Final = "streamrag ask --base-url http://localhost:11434/v1 QUESTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A model on a server. Without `base_url` it is OpenAI's own; without `api_key` none is sent."""

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return self.base_url or OPENAI_BASE_URL

    @property
    def address(self) -> str:
        """Host and port, as errors name them."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def checked_base_url(given: str) -> str:
    """`given` as it will be used: without a trailing slash, and with `/v1` where it has no path of its own.

    Nothing of a refused address is repeated in the error: it may hold a password.

    >>> checked_base_url("http://localhost:11434/")
    'http://localhost:11434/v1'
    """
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise _refused("is not an address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _refused("must look like http://HOST:PORT/v1")
    if parts.username is not None or parts.password is not None:
        raise _refused("must not hold a user name or password; a key goes into OPENAI_API_KEY")
    if parts.query or parts.fragment:
        raise _refused("must end with its path, without ? or #")
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise _refused("holds characters that no address has")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"the base URL {why}", code="bad_base_url", hint=_HINT)
