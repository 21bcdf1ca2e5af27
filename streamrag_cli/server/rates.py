"""How often each client may do something within a period, and who counts as one client.

Times come from a clock that nobody sets: after a step of the system's clock nobody is refused for longer.
"""

import ipaddress
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

_PERIODS_S: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rates:
    """At most so many hits for each client in any period of this length, such as `120/minute`."""

    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        count, _, period = rate.partition("/")
        self._most = int(count)
        self._period_s = _PERIODS_S[period]
        self._clock = clock
        self._hits: defaultdict[str, deque[float]] = defaultdict(deque)
        self._sweep_at_s = clock() + self._period_s

    def hit(self, client: str) -> int | None:
        """Count one hit. If there were too many, count nothing and return after how many seconds to try again."""
        wait_s = self.wait_s(client)
        if wait_s is None:
            self._hits[client].append(self._clock())
        return wait_s

    def wait_s(self, client: str) -> int | None:
        """For how many seconds a client would be refused, at least 1; None if it would not be."""
        now_s = self._clock()
        self._forget(now_s)
        hits = self._hits.get(client)
        if hits is None:
            return None
        while hits and hits[0] <= now_s - self._period_s:
            hits.popleft()
        if len(hits) < self._most:
            return None
        return max(1, math.ceil(hits[0] + self._period_s - now_s))

    def _forget(self, now_s: float) -> None:
        """Once in a period, drop the clients that have not been seen for one."""
        if now_s < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + self._period_s
        for client in [name for name, hits in self._hits.items() if not hits or hits[-1] <= now_s - self._period_s]:
            del self._hits[client]


def client_group(address: str) -> str:
    """Addresses that one client can choose among count as one: an IPv6 client has the 2**64 of its network.

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
