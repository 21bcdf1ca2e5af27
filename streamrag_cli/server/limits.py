"""Limits on the time and size of requests and replies; documented in `docs/serving.md`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on time in seconds, and on size in bytes.

    If a stream is idle for `ping_s`, the server sends a comment, because proxies close connections that are idle for a
    minute. A client is disconnected if it reads nothing for `send_stall_s` while bytes are waiting, or if it sends too
    slowly.
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
