"""The OpenAI package's clients, told everything they need, and the only place where their exceptions are read.

Left alone, a client sends what the environment holds for OpenAI (organisation, project, custom headers) to whatever
server it is pointed at, with a description of this machine, and retries in silence. Import this module late: the
package costs 0.7 to 1.5 s.
"""

import ssl
import time
import traceback
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import anyio
import httpx2
import openai

from streamrag_cli.errors import StreamragError
from streamrag_cli.model_server import errors, retries
from streamrag_cli.model_server.endpoint import ModelEndpoint

NO_KEY: Final = "none"  # the client insists on one; servers that need none ignore it
_BROKEN_CONNECTION: Final = (openai.APIConnectionError, httpx2.RequestError, ssl.SSLError, anyio.EndOfStream)
FOREIGN_ERRORS: Final = (openai.OpenAIError, *_BROKEN_CONNECTION, TimeoutError, ValueError, RecursionError)
"""What a request of these clients may raise; see `Failure.of`."""
WHOLE_REPLY_LIMITS: Final = 4
"""How many time limits for silence a reply that is read whole may take altogether."""
_REPLY_BYTES: Final = 128_000_000
_CONNECT_TIMEOUT_S: Final = 10.0
_HEADERS: Final[dict[str, str | openai.Omit]] = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "streamrag",
}


class StreamingClient(openai.AsyncOpenAI):
    """For answers that are streamed. It has no limit on silence, and keeps connections until it is closed."""

    def __init__(self, endpoint: ModelEndpoint) -> None:
        self._is_openai = endpoint.is_openai
        super().__init__(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.url,
            max_retries=0,
            timeout=patient(_CONNECT_TIMEOUT_S),
            http_client=openai.DefaultAsyncHttpxClient(verify=_trust(endpoint.scheme)),
        )

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        return super().default_headers if self._is_openai else _HEADERS


def patient(timeout_s: float) -> openai.Timeout:
    """Limits the time to connect, by `timeout_s` at most, and nothing else."""
    return openai.Timeout(None, connect=min(timeout_s, _CONNECT_TIMEOUT_S))


class WholeReplyClient(openai.OpenAI):
    """For replies that are read whole: each may be silent for `timeout_s`, and last `WHOLE_REPLY_LIMITS` times that.

    Keeps its connection from one request to the next, until it is closed.
    """

    def __init__(self, endpoint: ModelEndpoint, *, timeout_s: float) -> None:
        self._is_openai = endpoint.is_openai
        http = _WholeReplies(_trust(endpoint.scheme), limit_s=WHOLE_REPLY_LIMITS * timeout_s)
        super().__init__(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.url,
            max_retries=0,
            timeout=openai.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
            http_client=http,
        )

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        return super().default_headers if self._is_openai else _HEADERS


@cache
def _trust(scheme: str) -> ssl.SSLContext:
    """Whom to trust. Reading the certificates takes 20 to 50 ms; plain HTTP needs none, and then nobody is trusted."""
    return httpx2.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class ReplyTooSlowError(TimeoutError):
    """The server was never silent for long, and did not come to an end."""


class ReplyTooLongError(ValueError):
    """The reply is longer than anything that was asked for."""


class _WholeReplies(openai.DefaultHttpxClient):
    """Limits a reply's time and size: the HTTP library's own limit is one for each read, which a drip never meets."""

    def __init__(self, verify: ssl.SSLContext, *, limit_s: float) -> None:
        super().__init__(verify=verify)
        self._limit_s = limit_s

    def send(self, request: Any, **options: Any) -> Any:
        deadline_s = time.monotonic() + self._limit_s
        body = bytearray()
        with closing(super().send(request, **options | {"stream": True})) as response:
            for piece in response.iter_raw():
                body += piece
                if time.monotonic() > deadline_s:
                    raise ReplyTooSlowError
                if len(body) > _REPLY_BYTES:
                    raise ReplyTooLongError
        return type(response)(
            response.status_code, headers=response.headers, content=bytes(body), request=response.request
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed.

    `cause` is the foreign exception, or None where it would show the key. `status` is None where no reply came, and
    `said` is the reply's text.
    """

    error: StreamragError
    cause: BaseException | None = None
    status: int | None = None
    said: str = ""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, foreign: Exception, endpoint: ModelEndpoint, *, timeout_s: float) -> "Failure":
        """One of `FOREIGN_ERRORS` in our words."""
        told = "".join(traceback.format_exception(foreign))
        response = getattr(foreign, "response", None)
        return cls(
            error=_translated(foreign, endpoint, timeout_s),
            cause=foreign if errors.masked(told, endpoint) == told else None,
            status=getattr(response, "status_code", None),
            said=str(getattr(response, "text", "")),
            retry_after_s=retries.retry_after_s(response.headers) if response is not None else None,
        )

    def wait_before_retry_s(self, retries_made: int) -> float | None:
        """Seconds to wait before asking again, or None: only a reply that says the problem will pass is a reason to."""
        if self.status is None or not self.error.retryable:
            return None
        return retries.wait_before_retry_s(retries_made, asked_s=self.retry_after_s)


def _translated(foreign: Exception, endpoint: ModelEndpoint, timeout_s: float) -> StreamragError:
    match foreign:
        case openai.APIStatusError():
            code, text = errors.code_and_text(foreign.body, foreign.response.text)
            return errors.status_error(foreign.status_code, code=code, text=text, endpoint=endpoint)
        case _ if isinstance(foreign, _BROKEN_CONNECTION):
            return errors.connection_problem(foreign, timeout_s, endpoint)
        case openai.APIError():
            code, text = errors.code_and_text(foreign.body, str(foreign.body or ""))
            return errors.stream_error(code=code, text=text, endpoint=endpoint)
        case ReplyTooSlowError():
            return errors.dripped(WHOLE_REPLY_LIMITS * timeout_s, timeout_s, endpoint)
        case TimeoutError():
            return errors.stalled(timeout_s, endpoint)
        case _:
            return errors.not_a_reply(endpoint)
