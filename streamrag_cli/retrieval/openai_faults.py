"""What a failed embedding request means: when to send it again, and what to say otherwise.

Text from the server is shown on one line, short, without control characters and without the key, which some
servers repeat in their refusal.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    import openai

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
LONGEST_WAIT_S: Final = 5.0
_QUOTED_CHARS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where requests go. `place` is its host and port, for people."""

    base_url: str
    place: str
    api_key: str | None = field(repr=False)

    @classmethod
    def of(cls, base_url: str | None, api_key: str | None) -> Self:
        """Raises ConfigurationError `bad_base_url`, or `key_refused` where no header can carry the key."""
        base_url = base_url or OPENAI_BASE_URL
        try:
            parts = urlsplit(base_url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            parts, port = urlsplit(""), None
        if not parts.hostname or port is None:
            raise ConfigurationError(
                "the base URL is not an address such as http://localhost:11434/v1",
                code="bad_base_url",
                hint="export OPENAI_BASE_URL=http://localhost:11434/v1   (or: unset OPENAI_BASE_URL)",
            )
        if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise _key_refused("the key contains white space or other characters that no key has")
        return cls(base_url=base_url, place=sanitise_line(f"{parts.hostname}:{port}"), api_key=api_key)

    def quote(self, text: str) -> str:
        """`text` as it may be shown."""
        if self.api_key:
            text = text.replace(self.api_key, "***")
        text = " ".join(sanitise_line(text).split())
        return text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS].rstrip() + "..."


def wait_before_retry_s(error: "openai.APIError", retry: int) -> float | None:
    """Seconds to wait before retry number `retry`, counted from 0; None where a retry is in vain.

    A limit that asks for a longer wait than a person would sit through is an answer, not a reason to wait.
    """
    status = _status(error)
    if status is None or not (status == 429 or status >= 500) or error.code == "insufficient_quota":
        return None
    backoff_s = 0.5 * 2**retry
    try:
        asked_s = float(error.response.headers.get("retry-after", "0"))  # type: ignore[attr-defined]
    except ValueError:  # a date
        asked_s = 0.0
    return max(backoff_s, asked_s) if asked_s <= LONGEST_WAIT_S else None


def translated(error: "openai.APIError", endpoint: Endpoint, *, model: str, timeout_s: float) -> StreamragError:
    """The failure in this program's words."""
    status = _status(error)
    if status is None:
        return _no_answer(error, endpoint, timeout_s=timeout_s)
    said = _said(error, endpoint)
    if status in {401, 403}:
        return _key_refused(f"{endpoint.place} refused the key{said}")
    if status == 404 or error.code == "model_not_found":
        return ConfigurationError(
            f"{endpoint.place} has no embedding model {endpoint.quote(model)!r}{said}",
            code="unknown_model",
            hint="export STREAMRAG_EMBEDDING=openai:MODEL   (a model of that server; its base URL often ends in /v1)",
        )
    if status == 429:
        exhausted = error.code == "insufficient_quota"
        return ModelServerError(
            f"{endpoint.place}: {'the quota is exhausted' if exhausted else 'too many requests'}{said}",
            code="quota_exhausted" if exhausted else "rate_limited",
            hint="streamrag doctor" if exhausted else "streamrag doctor   (or the same command later)",
            retryable=not exhausted,
        )
    return ModelServerError(
        f"{endpoint.place} {'failed' if status >= 500 else 'refused the request'} with status {status}{said}",
        code="server_failed" if status >= 500 else "request_refused",
        hint="streamrag doctor",
        retryable=status >= 500,
    )


def malformed(endpoint: Endpoint, what: str) -> ModelServerError:
    """The server answered, but not with what was asked of it."""
    return ModelServerError(
        f"{endpoint.place} sent a malformed answer: {what}", code="malformed_answer", hint="streamrag doctor"
    )


def _no_answer(error: "openai.APIError", endpoint: Endpoint, *, timeout_s: float) -> ModelServerError:
    import openai  # loaded already: it raised the error

    if isinstance(error, openai.APITimeoutError):
        return ModelServerError(
            f"{endpoint.place} was silent for {timeout_s:g} s",
            code="server_stalled",
            hint="streamrag doctor",
            retryable=True,
        )
    cause = endpoint.quote(str(error.__cause__ or error))
    return ModelServerError(
        f"cannot reach {endpoint.place}: {cause}",
        code="server_unreachable",
        hint="streamrag doctor",
        retryable=True,
    )


def _key_refused(message: str) -> ConfigurationError:
    return ConfigurationError(message, code="key_refused", hint="export OPENAI_API_KEY=...")


def _status(error: "openai.APIError") -> int | None:
    """The HTTP status, or None where no answer came."""
    import openai  # loaded already: it raised the error

    return error.status_code if isinstance(error, openai.APIStatusError) else None


def _said(error: "openai.APIError", endpoint: Endpoint) -> str:
    """What the server said about it, unless that is a web page."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else body
    return f": {endpoint.quote(said)}" if isinstance(said, str) and said.strip() and "<" not in said else ""
