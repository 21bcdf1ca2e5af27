"""Addresses of stores in PostgreSQL: a database and a schema.

An address may contain a password. Messages and logs must show `str` of an address, which masks it.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from streamrag_cli.store.address import StoreUrl

DEFAULT_SCHEMA: Final = "streamrag"
_SCHEMES: Final = ("postgresql", "postgres")
_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresUrl(StoreUrl):
    """`postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME`, with any parameter of libpq.

    `url` is the address for libpq, including the password; `schema` contains the tables. Raises ValueError.
    """

    __slots__ = ("schema", "url")
    scheme = "postgresql"

    def __init__(self, raw: str) -> None:
        parts = urlsplit(raw)
        if parts.scheme not in _SCHEMES:
            raise ValueError("must start with postgresql://")
        parameters = parse_qsl(parts.query, keep_blank_values=True)
        schemas = [value for name, value in parameters if name == "schema"]
        self.schema = schemas[-1] if schemas else DEFAULT_SCHEMA
        if not _SCHEMA_NAME.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise ValueError(
                "its schema must consist of at most 63 characters a-z, 0-9 and _, and not begin with pg_ or a digit"
            )
        # libpq does not decode `+` as a space.
        query = urlencode([(name, value) for name, value in parameters if name != "schema"], quote_via=quote)
        self.url = f"postgresql://{parts.netloc}{parts.path}{query and '?'}{query}"

    @property
    def password(self) -> str:
        """The decoded password of the address; "" if it has none."""
        parts = urlsplit(self.url)
        in_query = [value for name, value in parse_qsl(parts.query) if name == "password"]
        user, _, _ = parts.netloc.rpartition("@")
        return in_query[-1] if in_query else unquote(user.partition(":")[2])

    def in_schema(self, schema: str) -> "PostgresUrl":
        """The address of another schema in the same database."""
        return PostgresUrl(f"{self.url}{'&' if '?' in self.url else '?'}schema={schema}")

    def with_secret(self) -> str:
        """The whole address with its password, from which it can be recreated. Must not be shown."""
        if self.schema == DEFAULT_SCHEMA:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}schema={self.schema}"

    def __str__(self) -> str:
        parts = urlsplit(self.with_secret())
        user, at, host = parts.netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        masked = f"{name}{colon and ':***'}{at}{host}"
        query = re.sub(r"(^|&)((?:ssl)?password)=[^&]*", r"\1\2=***", parts.query)
        return f"postgresql://{masked}{parts.path}{'?' if query else ''}{query}"

    def __repr__(self) -> str:
        return f"PostgresUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresUrl) and (self.url, self.schema) == (other.url, other.schema)

    def __hash__(self) -> int:
        return hash((self.url, self.schema))
