"""What went wrong at a model's server, in our words: one place for every message, code and hint.

A server's own text is quoted, but it is foreign text: HTML is never shown, control characters are replaced, the
key is masked wherever it turns up (servers do echo it), and it is short.
"""

import re
import shlex
from collections.abc import Iterator
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
_ABOUT_THE_KEY: Final = re.compile(
    r"\b(?:api[ _-]?key|key|token|auth\w*|unauthori[sz]ed|credential|permission_?denied|login|sign in)"
)


def masked(text: str, endpoint: ModelEndpoint) -> str:
    """`text` without the endpoint's key, or anything that looks like one."""
    return _LOOKS_LIKE_A_KEY.sub(_MASK, without_secret(text, endpoint.api_key or "", _MASK))


def quoted(text: str, endpoint: ModelEndpoint) -> str:
    """A server's text as it may be shown on one line, or "" where it is a web page."""
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return ""
    # Sanitised before masked: what sanitising drops could have split the key. Masked before cut, for the same reason.
    line = " ".join(masked(sanitise_line(text), endpoint).split())
    return line if len(line) <= QUOTED_CHARS else line[:QUOTED_CHARS].rstrip() + "..."


def shown_url(endpoint: ModelEndpoint, path: str = "") -> str:
    """The base URL as a word of a shell command; some gateways have a key in its path."""
    return shlex.quote(masked(endpoint.url + path, endpoint))


def status_error(status: int, *, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """An HTTP status of 400 or more, with the server's own error code and text, as our error."""
    words = f"{code} {text}".lower()
    said = _said(text, endpoint)
    server = endpoint.address
    if problem := known_problem(words, said, endpoint):
        return problem
    if status == 404 or any(word in words for word in _NO_SUCH_MODEL):
        return _no_such_model(said, endpoint)
    if status == 401 or (status == 403 and (_ABOUT_THE_KEY.search(words) or not (said or endpoint.api_key))):
        return _key_wanted(status, said, endpoint)
    if status == 413:
        return _too_long(said, endpoint)
    if status == 402:
        return _quota_exhausted(said, endpoint)
    if status == 429:
        message = f"{server} limits the rate of requests{said}"
        hint = f"wait a minute, then: {endpoint.purpose.again}"
        return ModelServerError(message, code="rate_limited", hint=hint, retryable=True)
    if status == 408 or status >= 500:
        message = f"{server} failed with status {status}{said}"
        return ModelServerError(message, code="server_error", hint=_does_it_answer(endpoint), retryable=True)
    message = f"{server} refused the request with status {status}{said}"
    return ModelServerError(message, code="request_refused", hint=endpoint.purpose.other_model)


def known_problem(words: str, said: str, endpoint: ModelEndpoint) -> ModelServerError | None:
    """What the server's words alone tell, whatever the status; `words` is its code and text in lower case."""
    if _CONTEXT_TOO_LONG.search(words):
        return _too_long(said, endpoint)
    if any(word in words for word in _QUOTA_EXHAUSTED):
        return _quota_exhausted(said, endpoint)
    return None


def stream_error(*, code: str, text: str, endpoint: ModelEndpoint) -> StreamragError:
    """An error object where a piece of the answer should have been."""
    said = _said(text, endpoint)
    known = known_problem(f"{code} {text}".lower(), said, endpoint)
    return known or malformed(f"sent an error in place of the answer{said}", endpoint)


def no_key(endpoint: ModelEndpoint) -> ConfigurationError:
    """Nothing was sent: OpenAI itself refuses whoever has none."""
    message = f"no key is set to ask {shown_model(endpoint.model) or endpoint.address} with"
    return ConfigurationError(message, code="key_missing", hint=_KEY_HINT)


def unreachable(reason: str, endpoint: ModelEndpoint) -> ModelServerError:
    is_ollama_here = endpoint.address in {"localhost:11434", "127.0.0.1:11434", "[::1]:11434"}
    hint = "ollama serve" if is_ollama_here else _does_it_answer(endpoint)
    message = f"cannot reach the model server at {endpoint.address}{_said(reason, endpoint)}"
    return ModelServerError(message, code="unreachable", hint=hint, retryable=True)


def redirected(redirect: RedirectedError, endpoint: ModelEndpoint) -> ModelServerError:
    message = masked(
        f"{redirect.asked} redirects to {redirect.target}, another server: nothing was sent there", endpoint
    )
    return ModelServerError(message, code="redirected", hint=endpoint.purpose.other_server)


def stalled(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} has been silent for {timeout_s:g} s"
    return ModelServerError(message, code="stalled", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def reply_too_slow(limit_s: float, timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """Never silent for `timeout_s`, and not done after `limit_s`."""
    message = f"{endpoint.address} has not sent a whole reply in {limit_s:g} s"
    return ModelServerError(message, code="stalled", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def no_answer_in_time(limit_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """It showed signs of life, and no word of an answer, until `limit_s` had passed."""
    message = f"{endpoint.address} has not begun to answer in {limit_s:g} s"
    return ModelServerError(message, code="stalled", hint=endpoint.purpose.other_model, retryable=True)


def no_list_in_time(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """The list of models alone was waited for, which no setting prolongs."""
    message = f"{endpoint.address} has not listed its models in {timeout_s:g} s"
    return ModelServerError(message, code="stalled", hint=endpoint.purpose.other_server, retryable=True)


def cancelled(endpoint: ModelEndpoint) -> ModelServerError:
    message = f"the request to {endpoint.address} was cancelled"
    return ModelServerError(message, code="interrupted", retryable=True)


def cut_off(endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} ended the answer before it was complete"
    return ModelServerError(message, code="cut_off", hint=endpoint.purpose.again, retryable=True)


def malformed(what: str, endpoint: ModelEndpoint) -> ModelServerError:
    """`what` the server did instead of answering, as a verb and what follows it."""
    return ModelServerError(f"{endpoint.address} {what}", code="malformed", hint=_does_it_answer(endpoint))


def not_a_reply(endpoint: ModelEndpoint, text: str = "") -> ModelServerError:
    """`text` is what came instead; a web page is not shown."""
    return malformed(f"sent something that is not {endpoint.purpose.reply}{_said(text, endpoint)}", endpoint)


def is_loading(status: int | None, text: str) -> bool:
    """Whether a reply with a status of failure means that the server is still reading the model into memory."""
    return status is not None and status >= 409 and _LOADING.search(text.lower()) is not None


def still_loading(timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.address} has been loading {shown_model(endpoint.model)} for {timeout_s:g} s"
    return ModelServerError(message, code="model_loading", hint=_longer_timeout(timeout_s, endpoint), retryable=True)


def empty_answer(finish_reason: str, refusal: str, endpoint: ModelEndpoint) -> ModelServerError:
    because = {
        "length": " (it reached its limit of tokens before the first word)",
        "content_filter": " (the server's content filter withheld it)",
    }.get(finish_reason, "")
    message = f"{shown_model(endpoint.model)} gave no answer{because}"
    if refusal:
        message = f"{shown_model(endpoint.model)} refused to answer{_said(refusal, endpoint)}"
    return ModelServerError(message, code="empty_answer", hint=endpoint.purpose.other_model)


def connection_problem(error: BaseException, timeout_s: float, endpoint: ModelEndpoint) -> ModelServerError:
    """A connection that could not be made, or broke or fell silent before or during the answer."""
    causes = list(_causes(error))
    # By name: the HTTP library under the OpenAI client has changed once, and its names stayed.
    names = {type(cause).__name__ for cause in causes}
    if names & {"ConnectTimeout", "PoolTimeout"}:
        return unreachable("no connection in time", endpoint)
    if names & {"ReadTimeout", "WriteTimeout"}:
        return stalled(timeout_s, endpoint)
    if names & {"ReadError", "WriteError", "RemoteProtocolError"}:
        return cut_off(endpoint)
    if "DecodingError" in names:
        return not_a_reply(endpoint)
    return unreachable(reason_of(causes[-1]), endpoint)


def unusable_environment(cause: Exception) -> ConfigurationError:
    """A proxy or a file of certificates, of those that the environment names, with which no client can be made."""
    said = sanitise_line(str(cause)) or type(cause).__name__
    return ConfigurationError(
        f"the environment names a proxy or certificates that cannot be used: {said}",
        code="unusable_environment",
        hint="unset ALL_PROXY HTTPS_PROXY HTTP_PROXY SSL_CERT_FILE SSL_CERT_DIR   (or correct them)",
    )


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


def shown_model(name: str) -> str:
    return sanitise_line(name)[:_MODEL_CHARS]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(text: str, endpoint: ModelEndpoint) -> str:
    shown = quoted(text, endpoint)
    return f": {shown}" if shown else ""


def _does_it_answer(endpoint: ModelEndpoint) -> str:
    return f"curl {shown_url(endpoint, '/models')}"


def _longer_timeout(timeout_s: float, endpoint: ModelEndpoint) -> str:
    longer_s = min(_LONGEST_TIMEOUT_S, max(300, round(timeout_s * 5)))
    return endpoint.purpose.longer_timeout.format(timeout_s=longer_s)


def _key_wanted(status: int, said: str, endpoint: ModelEndpoint) -> ConfigurationError:
    if endpoint.api_key is None:
        message = f"{endpoint.address} wants a key, and none is set{said}"
        return ConfigurationError(message, code="key_missing", hint=_KEY_HINT)
    message = f"{endpoint.address} refused the key ({status}){said}"
    return ConfigurationError(message, code="key_refused", hint=_KEY_HINT)


def _too_long(said: str, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"{endpoint.purpose.sent} too long for {shown_model(endpoint.model) or 'the model'}{said}"
    return ModelServerError(message, code="context_too_long", hint=endpoint.purpose.shorter)


def _quota_exhausted(said: str, endpoint: ModelEndpoint) -> ModelServerError:
    message = f"the quota at {endpoint.address} is used up{said}"
    return ModelServerError(message, code="quota_exhausted", hint=endpoint.purpose.without_quota)


def _no_such_model(said: str, endpoint: ModelEndpoint) -> ConfigurationError:
    purpose = endpoint.purpose
    if said:
        message = f"{endpoint.address} does not serve {shown_model(endpoint.model) or 'this'}{said}"
        return ConfigurationError(message, code="no_such_model", hint=purpose.other_model)
    message = f"there is no {purpose.model} at {masked(endpoint.url, endpoint)} (404)"
    return ConfigurationError(message, code="no_such_model", hint=purpose.other_server)
