"""Limits the rate per client, and groups addresses into clients.

The limits use the monotonic clock, so that a change to the system clock does not lengthen a wait.
"""

import ipaddress
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

_PERIODS_S: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rates:
    """A sliding-window rate limit per client, such as `120/minute`."""

    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        count, _, period = rate.partition("/")
        self._most = int(count)
        self._period_s = _PERIODS_S[period]
        self._clock = clock
        self._hits: defaultdict[str, deque[float]] = defaultdict(deque)
        self._sweep_at_s = clock() + self._period_s

    def hit(self, client: str) -> int | None:
        """Count one request from `client` and return None, or return the seconds to wait if the limit is reached.

        A request above the limit is not counted.
        """
        wait_s = self.wait_s(client)
        if wait_s is None:
            self._hits[client].append(self._clock())
        return wait_s

    def wait_s(self, client: str) -> int | None:
        """How many seconds `client` must wait for its next request (at least 1), or None if it may send one now."""
        now_s = self._clock()
        self._drop_idle(now_s)
        hits = self._hits.get(client)
        if hits is None:
            return None
        while hits and hits[0] <= now_s - self._period_s:
            hits.popleft()
        if len(hits) < self._most:
            return None
        return max(1, math.ceil(hits[0] + self._period_s - now_s))

    def _drop_idle(self, now_s: float) -> None:
        """Once per period, forget the clients that made no request in the last period."""
        if now_s < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + self._period_s
        for client in [name for name, hits in self._hits.items() if not hits or hits[-1] <= now_s - self._period_s]:
            del self._hits[client]


def client_group(address: str) -> str:
    """A name for all addresses that one client can use: an IPv6 client can use every address of its /64 network.

    >>> client_group("2001:db8:1:2:3:4:5:6"), client_group("::ffff:192.0.2.7"), client_group("192.0.2.7")
    ('2001:db8:1:2::/64', '192.0.2.7', '192.0.2.7')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
