"""What went wrong at the model's server, in our words: one place for every message, code and hint.

A server's own text is quoted, but it is foreign text: HTML is never shown, control characters are replaced, the
key is masked wherever it turns up (servers do echo it), and it is short.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from streamrag_cli.answer.model_endpoint import OPENAI_HOST, ModelEndpoint
from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.text import sanitise_line

QUOTED_CHARS: Final = 200
_MASK: Final = "[key]"
_LOOKS_LIKE_A_KEY: Final = re.compile(r"\bsk-[\w-]{8,}")
_CONTEXT_TOO_LONG: Final = (
    "context_length_exceeded",
    "context length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "input tokens exceed",
    "exceed_context_size_error",
    "contextwindowexceedederror",
)
_QUOTA_EXHAUSTED: Final = ("insufficient_quota", "billing")
_NO_SUCH_MODEL: Final = ("model_not_found", "model not found", "does not exist")


def masked(text: str, endpoint: ModelEndpoint) -> str:
    """`text` without the endpoint's key, or anything that looks like one."""
    if endpoint.api_key:
        text = text.replace(endpoint.api_key, _MASK)
    return _LOOKS_LIKE_A_KEY.sub(_MASK, text)


def quoted(text: str, endpoint: ModelEndpoint) -> str:
    """A server's text as it may be shown on one line, or "" where it is a web page."""
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return ""
    # Sanitised before masked: what sanitising drops could have split the key. Masked before cut, for the same reason.
    line = " ".join(masked(sanitise_line(text), endpoint).split())
    return line if len(line) <= QUOTED_CHARS else line[:QUOTED_CHARS].rstrip() + "..."


def status_error(status: int, *, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """An HTTP status of 400 or more, with the server's own error code and text, as our error."""
    words = f"{code} {text}".lower()
    said = _said(text, endpoint)
    server = endpoint.address
    if problem := known_problem(words, said, endpoint):
        return problem
    if status == 404 or any(word in words for word in _NO_SUCH_MODEL):
        return _no_such_model(said, endpoint)
    if status in {401, 403} and endpoint.api_key is None:
        return ConfigurationError(
            f"{server} wants a key, and none is set{said}", code="key_missing", hint="export OPENAI_API_KEY=KEY"
        )
    if status in {401, 403}:
        return ConfigurationError(
            f"{server} refused the key ({status}){said}", code="key_refused", hint="export OPENAI_API_KEY=KEY"
        )
    if status == 402:
        return _quota_exhausted(said, endpoint)
    if status == 429:
        return ModelServerError(
            f"{server} limits the rate of requests{said}",
            code="rate_limited",
            hint="wait a minute, then: streamrag ask QUESTION",
            retryable=True,
        )
    if status == 408 or status >= 500:
        return ModelServerError(
            f"{server} failed with status {status}{said}", code="server_error", hint="streamrag doctor", retryable=True
        )
    return ModelServerError(
        f"{server} refused the request with status {status}{said}", code="request_refused", hint="streamrag doctor"
    )


def known_problem(words: str, said: str, endpoint: ModelEndpoint) -> ModelServerError | None:
    """What the server's words alone tell, whatever the status; `words` is its code and text in lower case."""
    if any(word in words for word in _CONTEXT_TOO_LONG):
        return ModelServerError(
            f"the sources are too long for {endpoint.model}{said}",
            code="context_too_long",
            hint="streamrag ask -k 3 QUESTION",
        )
    if any(word in words for word in _QUOTA_EXHAUSTED):
        return _quota_exhausted(said, endpoint)
    return None


def stream_error(*, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """An error object where a piece of the answer should have been."""
    said = _said(text, endpoint)
    known = known_problem(f"{code} {text}".lower(), said, endpoint)
    return known or malformed(f"broke the answer off with an error{said}", endpoint)


def unreachable(reason: str, endpoint: ModelEndpoint) -> ModelServerError:
    hint = "ollama serve" if endpoint.address.endswith(":11434") else "streamrag doctor"
    message = f"cannot reach the model server at {endpoint.address}{_said(reason, endpoint)}"
    return ModelServerError(message, code="unreachable", hint=hint, retryable=True)


def stalled(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    return ModelServerError(
        f"{endpoint.address} has been silent for {timeout_s:g} s",
        code="stalled",
        hint=f"STREAMRAG_TIMEOUT={max(300, round(timeout_s * 5))} streamrag ask QUESTION",
        retryable=True,
    )


def cut_off(endpoint: ModelEndpoint) -> ModelServerError:
    return ModelServerError(
        f"{endpoint.address} ended the answer before it was complete",
        code="cut_off",
        hint="streamrag ask QUESTION",
        retryable=True,
    )


def malformed(what: str, endpoint: ModelEndpoint) -> ModelServerError:
    return ModelServerError(f"{endpoint.address} {what}", code="malformed", hint="streamrag doctor")


def empty_answer(finish_reason: str, refusal: str, endpoint: ModelEndpoint) -> ModelServerError:
    because = {
        "length": " (it reached its limit of tokens before the first word)",
        "content_filter": " (the server's content filter withheld it)",
    }.get(finish_reason, "")
    message = f"{endpoint.model} gave no answer{because}"
    if refusal:
        message = f"{endpoint.model} refused to answer{_said(refusal, endpoint)}"
    return ModelServerError(message, code="empty_answer", hint="streamrag ask -m MODEL QUESTION")


def connection_problem(error: BaseException, endpoint: ModelEndpoint) -> ModelServerError:
    """A connection that could not be made, or broke before or during the answer."""
    causes = list(_causes(error))
    # By name: the HTTP library under the OpenAI client has changed once, and its names stayed.
    names = {type(cause).__name__ for cause in causes}
    if names & {"ConnectTimeout", "PoolTimeout"}:
        return unreachable("no connection in time", endpoint)
    if names & {"ReadError", "WriteError", "RemoteProtocolError", "ReadTimeout", "WriteTimeout"}:
        return cut_off(endpoint)
    return unreachable(reason_of(causes[-1]), endpoint)


def reason_of(cause: BaseException) -> str:
    """Why a connection could not be made, in few words."""
    match type(cause).__name__:
        case "ConnectionRefusedError":
            return "connection refused"
        case "gaierror":
            return "no such host"
        case "TimeoutError":
            return "no connection in time"
        case "SSLCertVerificationError":
            return f"its certificate is not trusted: {getattr(cause, 'verify_message', cause)}"
        case "SSLError":
            return f"no TLS: {getattr(cause, 'reason', None) or cause}"
    return str(cause) or type(cause).__name__


def retry_after_s(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """How many seconds the server asks to wait, or None. `Retry-After` may be a number or a date."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        return None if math.isnan(wait_s) else max(0.0, wait_s)
    try:
        then = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(text: str, endpoint: ModelEndpoint) -> str:
    shown = quoted(text, endpoint)
    return f": {shown}" if shown else ""


def _quota_exhausted(said: str, endpoint: ModelEndpoint) -> ModelServerError:
    hint = "streamrag ask --base-url URL QUESTION" if endpoint.address.startswith(OPENAI_HOST) else "streamrag doctor"
    return ModelServerError(f"the quota at {endpoint.address} is used up{said}", code="quota_exhausted", hint=hint)


def _no_such_model(said: str, endpoint: ModelEndpoint) -> ConfigurationError:
    if said:
        return ConfigurationError(
            f"{endpoint.address} does not serve {endpoint.model or 'this'}{said}",
            code="no_such_model",
            hint="streamrag ask -m MODEL QUESTION",
        )
    return ConfigurationError(
        f"there is no chat model at {endpoint.url} (404)",
        code="no_such_model",
        hint="streamrag ask --base-url http://HOST:PORT/v1 -m MODEL QUESTION",
    )
