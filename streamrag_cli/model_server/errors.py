"""Creates the errors for model servers, with their messages, codes and hints.

A server's own text is quoted but untrusted: of HTML, at most the title is shown, control characters are replaced, the
API key is masked (some servers echo it), and the text is truncated.
"""

import re
import shlex
from collections.abc import Iterator
from html import unescape
from typing import Final

from streamrag_cli.errors import ConfigurationError, ModelServerError, StreamragError
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.network_policy import RedirectedError
from streamrag_cli.text import sanitise_line, without_secret

QUOTED_CHARS: Final = 200
_MODEL_CHARS: Final = 80
_LONGEST_TIMEOUT_S: Final = 3600
_MASK: Final = "[key]"
_LOOKS_LIKE_A_KEY: Final = re.compile(r"\bsk-[\w-]{8,}")
_KEY_HINT: Final = "export OPENAI_API_KEY=KEY"
_CONTEXT_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|contextwindowexceeded|exceed_context_size|context[ _](?:length|window|size)"
    r"|maximum context|input tokens exceed|request too large|too many (?:input )?tokens"
    r"|(?:prompt|input|message|request)s? (?:is|are|was|were) too (?:long|large)"
    r"|(?:longer|larger) than the (?:model's )?(?:maximum|max|context)"
    r"|tokens?`?\)?(?: \+ `?\w+`?)? must (?:be <=?|not exceed|have less than|have fewer than)"
    r"|inputs?`? must have (?:less|fewer) than"
    r"|exceed\w* (?:the |this model's )?(?:maximum|max|limit|available|allowed|model'?s?)\b"
    r".{0,40}(?:token|context|length)"
    r"|(?:token count|prompt length|input length|number of (?:input )?tokens|total tokens).{0,40}exceed"
)
_QUOTA_EXHAUSTED: Final = ("insufficient_quota", "billing")
_NO_SUCH_MODEL: Final = ("model_not_found", "model not found", "does not exist")
_LOADING: Final = re.compile(
    r"loading (?:the )?model|model .{0,80}(?:is|being|still) (?:\w+ )?load|currently loading|warming up"
)
_PAGE_TITLE: Final = re.compile(
    r"\A[\ufeff\s]*<(?!\?xml).{0,2000}?<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE | re.DOTALL
)
_ABOUT_THE_KEY: Final = re.compile(
    r"\b(?:api[ _-]?key|key|token|auth\w*|unauthori[sz]ed|credential|permission_?denied|login|sign in)"
)


def masked(text: str, endpoint: ModelEndpoint) -> str:
    """`text` with the endpoint's key, and everything else that looks like a key, replaced by a placeholder."""
    return _LOOKS_LIKE_A_KEY.sub(_MASK, without_secret(text, endpoint.api_key or "", _MASK))


def quoted(text: str, endpoint: ModelEndpoint) -> str:
    """A server's text, made safe to show on one line; "" if the text is a web page."""
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return ""
    # Mask after sanitising, which may remove characters inside the key, and before truncating, which may cut the key.
    line = " ".join(masked(sanitise_line(text), endpoint).split())
    return line if len(line) <= QUOTED_CHARS else line[:QUOTED_CHARS].rstrip() + "..."


def shown_url(endpoint: ModelEndpoint, path: str = "") -> str:
    """The base URL with `path` added, quoted for a shell. Some gateways' URLs contain keys, which are masked."""
    return shlex.quote(masked(endpoint.url + path, endpoint))


def status_error(status: int, *, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """The error for an HTTP status of 400 or more with the server's own error code and text."""
    words = f"{code} {text}".lower()
    detail = _detail(text, endpoint)
    server = endpoint.address
    if problem := known_problem(words, detail, endpoint):
        return problem
    if status == 404 or any(word in words for word in _NO_SUCH_MODEL):
        return _no_such_model(detail, endpoint)
    if status == 401 or (status == 403 and (_ABOUT_THE_KEY.search(words) or not (detail or endpoint.api_key))):
        return _key_required(status, detail, endpoint)
    if status == 413:
        return _too_long(detail, endpoint)
    if status == 402:
        return _quota_exhausted(detail, endpoint)
    if status == 429:
        message = f"{server} rejected the request because of its rate limit{detail}"
        hint = f"wait a minute, then: {endpoint.purpose.retry_command}"
        return ModelServerError(message, code="rate_limited", hint=hint, retryable=True)
    if status == 408 or status >= 500:
        message = f"{server} failed with status {status}{detail}"
        return ModelServerError(message, code="server_error", hint=_check_server_hint(endpoint), retryable=True)
    message = f"{server} refused the request with status {status}{detail}"
    return ModelServerError(message, code="request_refused", hint=endpoint.purpose.other_model_command)


def known_problem(words: str, detail: str, endpoint: ModelEndpoint) -> ModelServerError | None:
    """The error that the server's wording identifies regardless of the status; None if it identifies none.

    `words` is the server's error code and text in lower case. `detail` is appended to the message.
    """
    if _CONTEXT_TOO_LONG.search(words):
        return _too_long(detail, endpoint)
    if any(word in words for word in _QUOTA_EXHAUSTED):
        return _quota_exhausted(detail, endpoint)
    return None


def stream_error(*, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """The error for an error object that the server sent inside the stream."""
    detail = _detail(text, endpoint)
    known = known_problem(f"{code} {text}".lower(), detail, endpoint)
    return known or malformed(f"sent an error instead of the answer{detail}", endpoint)


def no_key(endpoint: ModelEndpoint) -> ConfigurationError:
    """The error for a request to OpenAI without an API key. Nothing was sent."""
    message = f"no API key is set for {shown_model(endpoint.model) or endpoint.address}"
    return ConfigurationError(message, code="key_missing", hint=_KEY_HINT)


def unreachable(reason: str, endpoint: ModelEndpoint) -> ModelServerError:
    is_ollama_here = endpoint.address in {"localhost:11434", "127.0.0.1:11434", "[::1]:11434"}
    hint = "ollama serve" if is_ollama_here else _check_server_hint(endpoint)
    message = f"cannot reach the model server at {endpoint.address}{_detail(reason, endpoint)}"
    return ModelServerError(message, code="unreachable", hint=hint, retryable=True)


def redirected(redirect: RedirectedError, endpoint: ModelEndpoint) -> ModelServerError:
    message = masked(
        f"{redirect.from_origin} redirects to {redirect.to_origin}; the redirect was not followed, and nothing was sent"
        " there",
        endpoint,
    )
    return ModelServerError(message, code="redirected", hint=endpoint.purpose.other_server_command)


def stalled(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} sent nothing for {timeout_s:g} s"
    return ModelServerError(message, code="stalled", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def reply_too_slow(limit_s: float, timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """The error for a reply that kept arriving but was not complete after `limit_s`."""
    message = f"{endpoint.address} did not send a complete reply within {limit_s:g} s"
    return ModelServerError(message, code="stalled", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def no_answer_in_time(limit_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """The error for a server that kept sending data for `limit_s`, but none of it was answer text."""
    message = f"{endpoint.address} did not begin to answer within {limit_s:g} s"
    return ModelServerError(message, code="stalled", hint=endpoint.purpose.other_model_command, retryable=True)


def no_list_in_time(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """The error for a list of models that did not arrive. No setting extends this timeout."""
    message = f"{endpoint.address} did not list its models within {timeout_s:g} s"
    return ModelServerError(message, code="stalled", hint=endpoint.purpose.other_server_command, retryable=True)


def cancelled(endpoint: ModelEndpoint) -> ModelServerError:
    message = f"the request to {endpoint.address} was cancelled"
    return ModelServerError(message, code="interrupted", retryable=True)


def cut_off(endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} closed the connection before the answer was complete"
    return ModelServerError(message, code="cut_off", hint=endpoint.purpose.retry_command, retryable=True)


def malformed(action: str, endpoint: ModelEndpoint) -> ModelServerError:
    """The error for a server that did not answer correctly. `action` is a verb phrase that describes what it did."""
    return ModelServerError(f"{endpoint.address} {action}", code="malformed", hint=_check_server_hint(endpoint))


def not_a_reply(endpoint: ModelEndpoint, text: str = "") -> ModelServerError:
    """The error for a reply in the wrong form. `text` is the beginning of the reply. A web page is shown by its title.

    The title may explain the problem, for example that a proxy or a public network requires users to sign in.
    """
    page = _PAGE_TITLE.search(text)
    shown = f" but with a web page{_detail(unescape(page[1]), endpoint)}" if page else _detail(text, endpoint)
    return malformed(f"did not reply with {endpoint.purpose.expected_reply}{shown}", endpoint)


def is_loading(status: int | None, text: str) -> bool:
    """Whether an error reply means that the server is still loading the model."""
    return status is not None and status >= 409 and _LOADING.search(text.lower()) is not None


def still_loading(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} was still loading {shown_model(endpoint.model)} after {timeout_s:g} s"
    return ModelServerError(message, code="model_loading", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def empty_answer(finish_reason: str, refusal: str, endpoint: ModelEndpoint) -> ModelServerError:
    because = {
        "length": " (it reached its token limit before the first word)",
        "content_filter": " (the server's content filter withheld it)",
    }.get(finish_reason, "")
    message = f"{shown_model(endpoint.model)} returned no answer{because}"
    if refusal:
        message = f"{shown_model(endpoint.model)} refused to answer{_detail(refusal, endpoint)}"
    return ModelServerError(message, code="empty_answer", hint=endpoint.purpose.other_model_command)


def connection_problem(error: BaseException, timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """The error for a connection that failed, broke or timed out before or during the answer."""
    causes = list(_causes(error))
    # Exceptions are compared by name, because the names are the same in all HTTP libraries that this client has used.
    names = {type(cause).__name__ for cause in causes}
    if names & {"ConnectTimeout", "PoolTimeout"}:
        return unreachable("connection timed out", endpoint)
    if names & {"ReadTimeout", "WriteTimeout"}:
        return stalled(timeout_s, endpoint)
    if names & {"ReadError", "WriteError", "RemoteProtocolError"}:
        return cut_off(endpoint)
    if "DecodingError" in names:
        return not_a_reply(endpoint)
    return unreachable(reason_of(causes[-1]), endpoint)


def unusable_environment(cause: Exception) -> ConfigurationError:
    """The error for a client that could not be created because of a proxy or certificate file in the environment."""
    detail = sanitise_line(str(cause)) or type(cause).__name__
    return ConfigurationError(
        f"a proxy or certificate file set in the environment cannot be used: {detail}",
        code="unusable_environment",
        hint="correct these variables or unset them: unset ALL_PROXY HTTPS_PROXY HTTP_PROXY SSL_CERT_FILE SSL_CERT_DIR",
    )


def reason_of(cause: BaseException) -> str:
    """A short reason why the connection failed."""
    match type(cause).__name__:
        case "ConnectionRefusedError":
            return "connection refused"
        case "gaierror":
            return "no such host"
        case "TimeoutError":
            return "connection timed out"
        case "SSLCertVerificationError":
            return f"the server's certificate is not trusted: {getattr(cause, 'verify_message', cause)}"
        case "SSLError":
            return f"TLS failed: {getattr(cause, 'reason', None) or cause}"
    return str(cause) or type(cause).__name__


def shown_model(name: str) -> str:
    return sanitise_line(name)[:_MODEL_CHARS]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _detail(text: str, endpoint: ModelEndpoint) -> str:
    shown = quoted(text, endpoint)
    return f": {shown}" if shown else ""


def _check_server_hint(endpoint: ModelEndpoint) -> str:
    return f"check that the server responds: curl {shown_url(endpoint, '/models')}"


def _longer_timeout(timeout_s: float, endpoint: ModelEndpoint) -> str:
    longer_s = min(_LONGEST_TIMEOUT_S, max(300, round(timeout_s * 5)))
    return endpoint.purpose.longer_timeout_command.format(timeout_s=longer_s)


def _key_required(status: int, detail: str, endpoint: ModelEndpoint) -> ConfigurationError:
    if endpoint.api_key is None:
        message = f"{endpoint.address} requires an API key, but none is set{detail}"
        return ConfigurationError(message, code="key_missing", hint=_KEY_HINT)
    message = f"{endpoint.address} refused the API key ({status}){detail}"
    return ConfigurationError(message, code="key_refused", hint=_KEY_HINT)


def _too_long(detail: str, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.purpose.input} too long for {shown_model(endpoint.model) or 'the model'}{detail}"
    return ModelServerError(message, code="context_too_long", hint=endpoint.purpose.shorter_command)


def _quota_exhausted(detail: str, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"the quota at {endpoint.address} is used up{detail}"
    return ModelServerError(message, code="quota_exhausted", hint=endpoint.purpose.other_provider_command)


def _no_such_model(detail: str, endpoint: ModelEndpoint) -> ConfigurationError:
    purpose = endpoint.purpose
    if detail:
        message = f"{endpoint.address} does not serve {shown_model(endpoint.model) or 'this model'}{detail}"
        return ConfigurationError(message, code="no_such_model", hint=purpose.other_model_command)
    message = f"there is no {purpose.model} at {masked(endpoint.url, endpoint)} (404)"
    return ConfigurationError(message, code="no_such_model", hint=purpose.other_server_command)
