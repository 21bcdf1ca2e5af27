"""Connects only to IP addresses that have been checked, and limits the time of the whole reply.

The name is resolved once, and the connection is made to one of the addresses that were checked. Proxies are not used,
because a proxy would resolve the name itself.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

import httpcore2

from streamrag_cli.remote.web.allowed_addresses import is_public, names_itself
from streamrag_cli.remote.web.results import FetchError

_BYTES_PER_S: Final = 100_000
_DIALLED: Final = 4
"""The maximum number of addresses to try per host."""


class TimeLimit:
    """The time limit of a reply: `limit_s`, plus one second for each 100 kB of its body that has arrived."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._ends_at = 0.0
        self.restart()

    def restart(self) -> None:
        self._ends_at = time.monotonic() + self._limit_s

    def add_bytes(self, count: int) -> None:
        self._ends_at += count / _BYTES_PER_S

    def left_s(self) -> float:
        """The remaining time in seconds. Raises `httpcore2.ReadTimeout` if the limit is reached."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise httpcore2.ReadTimeout
        return left_s


class CheckedBackend(httpcore2.NetworkBackend):
    """Connects to public addresses and, if `may_be_private`, to the private address that `named_host` stands for."""

    def __init__(
        self,
        named_host: str,
        named_ports: Iterable[int],
        limit: TimeLimit,
        resolve: Callable[[str, int], list[str]],
        *,
        may_be_private: bool,
    ) -> None:
        self._named_host = named_host
        self._named_ports = frozenset(named_ports)
        self._limit = limit
        self._resolve = resolve
        self._may_be_private = may_be_private
        self._dial = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - `limit` replaces it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to an allowed address of the host. Raises FetchError `blocked_address`, or httpcore2's exceptions."""
        addresses = self._addresses(host, port)
        named = [each for each in addresses if self._is_named(host, port, each)]
        allowed = [each for each in addresses if is_public(each) or (self._may_be_private and each in named)]
        if not allowed:
            if named:
                why = f"{host} is not a public address, and you have not fetched this page on this machine before"
                raise FetchError(f"{why}; to fetch the page, pass its URL to ingest", "blocked_address")
            literal = addresses[0] == host
            what = host if literal else f"{host} resolves to {addresses[0]}, which"
            reason = (
                f"{what} is not a public address; a private address is allowed only if the URL that you ingest contains"
                " the IP address itself, or localhost"
            )
            raise FetchError(reason, "blocked_address")
        for address in allowed[: _DIALLED - 1]:
            try:
                return self._connected(address, port, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if address == allowed[-1]:
                    raise
        return self._connected(allowed[-1], port, local_address, socket_options)

    def _connected(self, address: str, port: int, local: str | None, options: Any) -> httpcore2.NetworkStream:
        stream = self._dial.connect_tcp(address, port, self._limit.left_s(), local, options)
        return _LimitedStream(stream, self._limit)

    def _is_named(self, host: str, port: int, address: str) -> bool:
        return host == self._named_host and port in self._named_ports and names_itself(host, address)

    def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of the host. Stops at the time limit, because the system's resolver may take minutes."""
        answers: list[list[str] | OSError] = []

        def work() -> None:
            try:
                answers.append(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.append(error if isinstance(error, OSError) else OSError(str(error)))

        thread = threading.Thread(target=work, name="resolve", daemon=True)
        thread.start()
        thread.join(self._limit.left_s())
        if not answers:
            raise httpcore2.ConnectTimeout
        if isinstance(answers[0], OSError) or not answers[0]:
            raise FetchError(f"unknown host {host}", "unreachable", is_connection=True)
        return answers[0]


class _LimitedStream(httpcore2.NetworkStream):
    """A network stream that applies the time limit to all its operations."""

    def __init__(self, stream: httpcore2.NetworkStream, limit: TimeLimit) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._limit.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._limit.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002 - it has no certificates
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(_ssl_context(), server_hostname, self._limit.left_s())
        return _LimitedStream(stream, self._limit)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@cache
def _ssl_context() -> ssl.SSLContext:
    """The TLS context that all of this program's requests share. Loading its certificates takes 20 to 50 ms.

    Raises FetchError if SSL_CERT_FILE or SSL_CERT_DIR names a file that cannot be read or has no certificates.
    """
    import httpx2  # 0.1 s

    try:
        context: ssl.SSLContext = httpx2.create_ssl_context()
    except OSError as error:  # also the base class of SSLError
        reason = "no certificate was found" if isinstance(error, ssl.SSLError) else (error.strerror or "").lower()
        message = f"the certificates in SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {reason}"
        raise FetchError(message, "unreachable", is_connection=True) from error
    context.set_alpn_protocols(["http/1.1"])
    return context
