"""A model's endpoint: name, base URL, API key and purpose."""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from streamrag_cli.errors import ConfigurationError

OPENAI_HOST: Final = "api.openai.com"
OPENAI_BASE_URL: Final = f"https://{OPENAI_HOST}/v1"
_WITHOUT_SCHEME: Final = re.compile(r"[A-Za-z0-9.-]+:[0-9]+(/[A-Za-z0-9./_-]*)?")
_ENDPOINT: Final = re.compile(
    r"/(?:(?:chat/)?completions|embeddings|responses|models)/*$"  # users paste full URLs
    r"|^/api/(?:generate|chat|tags|show|embed)/*$"  # of Ollama's own protocol
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """The wording of messages and hints for one use of a server. Error codes do not depend on it.

    The first three fields are parts of messages; the other fields are hints. `longer_timeout_command` is a template
    with the placeholder `timeout_s`.
    """

    model: str
    input: str
    expected_reply: str
    retry_command: str
    longer_timeout_command: str
    other_model_command: str
    other_server_command: str
    other_provider_command: str
    shorter_command: str


ANSWERING: Final = Purpose(
    model="chat model",
    input="the sources are",
    expected_reply="a stream of answer pieces",
    retry_command="streamrag ask QUESTION",
    longer_timeout_command="STREAMRAG_TIMEOUT={timeout_s} streamrag ask QUESTION",
    other_model_command="streamrag ask -m MODEL QUESTION",
    other_server_command="streamrag ask --base-url http://HOST:PORT/v1 -m MODEL QUESTION",
    other_provider_command="streamrag ask --base-url URL QUESTION",
    shorter_command="streamrag ask -k 3 QUESTION",
)
EMBEDDING: Final = Purpose(
    model="embedding model",
    input="a text is",
    expected_reply="a list of vectors",
    retry_command="run the same command again",
    longer_timeout_command="export STREAMRAG_TIMEOUT={timeout_s}",
    other_model_command="export STREAMRAG_EMBEDDING=openai:MODEL",
    other_server_command="export STREAMRAG_BASE_URL=http://HOST:PORT/v1",
    other_provider_command="export STREAMRAG_EMBEDDING=builtin",
    shorter_command="choose a model that accepts longer texts: export STREAMRAG_EMBEDDING=openai:MODEL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A model on a server. Without `base_url`, the server is OpenAI. Without `api_key`, no key is sent.

    `model` is "" until the server has listed its models.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    purpose: Purpose = ANSWERING

    @classmethod
    def checked(
        cls, *, model: str | None, base_url: str | None, api_key: str | None, purpose: Purpose = ANSWERING
    ) -> Self:
        """Build an endpoint from raw settings; blank values count as unset. Sends nothing.

        Raises ConfigurationError: `bad_base_url`, or `key_refused` for a key that is not valid in a header.
        """
        base_url = _stripped_or_none(base_url)
        return cls(
            model=(_stripped_or_none(model) or "").encode(errors="replace").decode(),
            base_url=None if base_url is None else checked_base_url(base_url),
            api_key=_checked_key(_stripped_or_none(api_key)),
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
        """The server's host and port, as shown in errors."""
        parts = urlsplit(self.url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own, reached over HTTPS."""
        return self.url.startswith("https:") and self.host == OPENAI_HOST


def checked_base_url(raw_url: str) -> str:
    """Normalise `raw_url`: remove a trailing slash or endpoint, add `/v1` if there is no path.

    The error never repeats any part of the URL, which may contain a password. Raises ConfigurationError `bad_base_url`.

    >>> checked_base_url("http://localhost:11434/")
    'http://localhost:11434/v1'
    >>> checked_base_url("http://localhost:8080/v1/chat/completions")
    'http://localhost:8080/v1'
    """
    try:
        parts = urlsplit(raw_url)
        port = parts.port
    except ValueError:
        raise _bad_base_url("is not a valid URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        instead = f"http://{raw_url}" if _WITHOUT_SCHEME.fullmatch(raw_url) else ""
        raise _bad_base_url("must look like http://HOST:PORT/v1", instead=instead)
    if parts.username is not None or parts.password is not None:
        raise _bad_base_url("must not contain a user name or password; set a key in OPENAI_API_KEY")
    if parts.query or parts.fragment:
        raise _bad_base_url("must not contain ? or #")
    if not (raw_url.isascii() and raw_url.isprintable()) or " " in raw_url:
        raise _bad_base_url("contains characters that are not valid in a URL")
    path = _ENDPOINT.sub("", parts.path.rstrip("/")) or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _stripped_or_none(text: str | None) -> str | None:
    """`text` without surrounding spaces; None if it is blank, as in `OPENAI_API_KEY= streamrag ask`."""
    return (text or "").strip() or None


def _checked_key(api_key: str | None) -> str | None:
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise ConfigurationError(
            "the API key contains a space or another character that is not allowed; check that it was copied correctly",
            code="key_refused",
            hint="export OPENAI_API_KEY=KEY",
        )
    return api_key


def _bad_base_url(problem: str, *, instead: str = "") -> ConfigurationError:
    hint = f"streamrag ask --base-url {instead or 'http://localhost:11434/v1'} QUESTION"
    return ConfigurationError(f"the base URL {problem}", code="bad_base_url", hint=hint)
