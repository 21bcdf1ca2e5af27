"""How long and how much a client may take, in one place; `docs/serving.md` lists them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times in seconds, sizes in bytes.

    `ping_s` of silence are broken by a comment, since proxies close what is silent for 60 s. A client that takes
    nothing for `send_stall_s` while bytes wait for it is dropped; so is one whose request is not complete in time.
    """

    ping_s: float = 15.0
    send_stall_s: float = 20.0
    headers_s: float = 10.0
    body_s: float = 15.0
    idle_s: float = 15.0
    headers_bytes: int = 32_768
    url_bytes: int = 262_144
    query_parameters: int = 100
    body_bytes: int = 262_144
    send_buffer_bytes: int = 65_536
    waiting_events: int = 256
