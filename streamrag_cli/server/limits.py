"""Limits on the time and size of requests and replies; documented in `docs/serving.md`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A server's limits: durations in seconds (`_s`), sizes in bytes (`_bytes`), and counts.

    If a stream is idle for `ping_s`, the server sends a comment, because proxies close connections that are idle for a
    minute. A client is disconnected if it reads nothing for `send_stall_s` while bytes are waiting. It is also
    disconnected if its headers take longer than `headers_s`, or its body longer than `body_s`.
    """

    ping_s: float = 15.0
    send_stall_s: float = 20.0
    headers_s: float = 10.0
    body_s: float = 15.0
    idle_s: float = 15.0
    headers_bytes: int = 32_768
    url_bytes: int = 262_144
    query_parameters: int = 100
    body_bytes: int = 1_048_576
    send_buffer_bytes: int = 65_536
    waiting_events: int = 256
