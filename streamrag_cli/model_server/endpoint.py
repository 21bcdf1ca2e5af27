"""Where a model lives and what it is asked for, as one value: name, address, key, purpose."""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from streamrag_cli.errors import ConfigurationError

OPENAI_HOST: Final = "api.openai.com"
OPENAI_BASE_URL: Final = f"https://{OPENAI_HOST}/v1"
_WITHOUT_SCHEME: Final = re.compile(r"[A-Za-z0-9.-]+:[0-9]+(/[A-Za-z0-9./_-]*)?")
_ENDPOINT: Final = re.compile(r"/(?:(?:chat/)?completions|embeddings|responses|models)/*$")  # as people paste addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a server is asked for. A failure has the same code whatever that is; the advice is not the same.

    The first three are words for messages, the others hints: how to ask again, with more patience (a template that
    takes `timeout_s`), another model, another server, one that is paid for, and for less.
    """

    model: str
    sent: str
    reply: str
    again: str
    longer_timeout: str
    other_model: str
    other_server: str
    without_quota: str
    shorter: str


ANSWERING: Final = Purpose(
    model="chat model",
    sent="the sources are",
    reply="a stream of answer pieces",
    again="streamrag ask QUESTION",
    longer_timeout="STREAMRAG_TIMEOUT={timeout_s} streamrag ask QUESTION",
    other_model="streamrag ask -m MODEL QUESTION",
    other_server="streamrag ask --base-url http://HOST:PORT/v1 -m MODEL QUESTION",
    without_quota="streamrag ask --base-url URL QUESTION",
    shorter="streamrag ask -k 3 QUESTION",
)
EMBEDDING: Final = Purpose(
    model="embedding model",
    sent="a text is",
    reply="a list of vectors",
    again="run the same command again",
    longer_timeout="export STREAMRAG_TIMEOUT={timeout_s}",
    other_model="export STREAMRAG_EMBEDDING=openai:MODEL",
    other_server="export STREAMRAG_BASE_URL=http://HOST:PORT/v1",
    without_quota="export STREAMRAG_EMBEDDING=builtin",
    shorter="export STREAMRAG_EMBEDDING=openai:MODEL   (one that reads longer texts)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A model on a server. Without `base_url` it is OpenAI's own; without `api_key` none is sent.

    `model` is "" as long as only the server knows which it has.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    purpose: Purpose = ANSWERING

    @classmethod
    def checked(
        cls, *, model: str | None, base_url: str | None, api_key: str | None, purpose: Purpose = ANSWERING
    ) -> Self:
        """An endpoint of settings as they were given, where blank is not given. Nothing is sent.

        Raises ConfigurationError: `bad_base_url`, and `key_refused` for a key that no header can carry.
        """
        base_url = _given(base_url)
        return cls(
            model=(_given(model) or "").encode(errors="replace").decode(),
            base_url=None if base_url is None else checked_base_url(base_url),
            api_key=_checked_key(_given(api_key)),
            purpose=purpose,
        )

    @property
    def url(self) -> str:
        return self.base_url or OPENAI_BASE_URL

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def address(self) -> str:
        """Host and port, as errors name them."""
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself, which alone may see what the environment holds for OpenAI."""
        return self.url.startswith("https:") and self.host == OPENAI_HOST


def checked_base_url(given: str) -> str:
    """`given` as it will be used: without a trailing slash or an endpoint, and with `/v1` if it has no path of its own.

    Nothing of a refused address is repeated in the error: it may hold a password.

    >>> checked_base_url("http://localhost:11434/")
    'http://localhost:11434/v1'
    >>> checked_base_url("http://localhost:8080/v1/chat/completions")
    'http://localhost:8080/v1'
    """
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise _refused("is not an address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        instead = f"http://{given}" if _WITHOUT_SCHEME.fullmatch(given) else ""
        raise _refused("must look like http://HOST:PORT/v1", instead=instead)
    if parts.username is not None or parts.password is not None:
        raise _refused("must not hold a user name or password; a key goes into OPENAI_API_KEY")
    if parts.query or parts.fragment:
        raise _refused("must end with its path, without ? or #")
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise _refused("holds characters that no address has")
    path = _ENDPOINT.sub("", parts.path.rstrip("/")) or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _given(text: str | None) -> str | None:
    """A setting that is blank was not given: `OPENAI_API_KEY=` is how a shell unsets one for a command."""
    return (text or "").strip() or None


def _checked_key(api_key: str | None) -> str | None:
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise ConfigurationError(
            "the key holds characters that no key has: was it pasted with quotes around it?",
            code="key_refused",
            hint="export OPENAI_API_KEY=KEY",
        )
    return api_key


def _refused(why: str, *, instead: str = "") -> ConfigurationError:
    hint = f"streamrag ask --base-url {instead or 'http://localhost:11434/v1'} QUESTION"
    return ConfigurationError(f"the base URL {why}", code="bad_base_url", hint=hint)
