"""Checks the key in a request and limits guessing: after several wrong keys an address has to wait.

During that time, a key that was accepted from the address before continues to work. Otherwise a client that guesses
keys could lock out other clients with the same address, such as all clients behind a proxy that is not trusted.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers

from streamrag_cli.server.rates import Rates
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server_keys import ServerKey

WRONG_KEY_RATE: Final = "10/minute"
_MAX_REMEMBERED: Final = 10_000


class KeyRing:
    """One server's keys, and the addresses from which they were accepted."""

    def __init__(self, keys: Sequence[ServerKey]) -> None:
        self._digests = [(each.name, _digest(each.key)) for each in keys]
        self._failures = Rates(WRONG_KEY_RATE)
        self._accepted: dict[tuple[str, str], None] = {}

    def name_of(self, presented: str | None, client: str) -> str:
        """Check the key `presented` by `client` (see `rates.client_group`), and return its name.

        Raises RefusedError: `key_missing`, `key_refused`, `too_many_refused_keys`.
        """
        if presented is None:
            hint = 'curl -H "Authorization: Bearer $STREAMRAG_SERVER_KEY" URL'
            raise RefusedError(401, "a key is required", code="key_missing", hint=hint)
        name = self._matching(presented)
        wait_s = self._failures.wait_s(client)
        if wait_s is not None and (name is None or (client, name) not in self._accepted):
            raise RefusedError(
                429,
                "too many wrong keys from this address",
                code="too_many_refused_keys",
                hint="wait the number of seconds in the Retry-After header",
                retry_after_s=wait_s,
            )
        if name is None:
            self._failures.hit(client)
            raise RefusedError(
                401, "the key is wrong", code="key_refused", hint="send the key that is set in STREAMRAG_SERVER_KEY"
            )
        self._remember(client, name)
        return name

    def _matching(self, presented: str) -> str | None:
        """The name of the matching key, or None. Takes the same time for every key, to resist timing attacks."""
        digest = _digest(presented)
        matching = [name for name, known in self._digests if hmac.compare_digest(digest, known)]
        return matching[0] if matching else None

    def _remember(self, client: str, name: str) -> None:
        self._accepted.pop((client, name), None)
        self._accepted[client, name] = None
        if len(self._accepted) > _MAX_REMEMBERED:
            del self._accepted[next(iter(self._accepted))]


def presented_key(headers: Headers) -> str | None:
    """The key in `Authorization: Bearer KEY`, or the password in `Basic`, which browsers support."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return None
        case _:
            return None


def _digest(key: str) -> bytes:
    """The digest of a key. Comparing digests, which have equal lengths, does not reveal a key's length."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
