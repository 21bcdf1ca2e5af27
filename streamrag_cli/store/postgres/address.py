"""Addresses of stores in PostgreSQL: a database and a schema.

An address may contain passwords. Messages and logs must show `str` of an address, which contains only parameters that
are known to be harmless. Errors must not quote parts of an address, because it may have been split in the wrong place.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from streamrag_cli.store.address import StoreUrl

DEFAULT_SCHEMA: Final = "streamrag"
_SCHEMES: Final = ("postgresql", "postgres")
_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(\d*))?")
_SECRETS: Final = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_SHOWN: Final = ("user", "host", "hostaddr", "port", "dbname", "service", "schema")
KEYWORDS: Final = frozenset(
    """application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer
    oauth_scope options passfile password port replication require_auth requirepeer scram_client_key scram_server_key
    service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl
    sslcrldir sslkey sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs
    tcp_user_timeout user""".split()
)
"""The names of libpq 18's connection parameters."""
_ADVICE: Final = (
    "percent-encode special characters in names and passwords: %40 for @, %2F for /, %3A for :, %3F for ?,"
    " %23 for # and %25 for %"
)


class PostgresUrl(StoreUrl):
    """An address like `postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME`, with any libpq parameters.

    It is parsed by libpq's rules, except that special characters after the password must be escaped. Otherwise a
    part of the password could be mistaken for a host or database. Raises ValueError.

    `parameters` are the parameters for libpq, including the password. `schema` is the schema that contains the tables,
    and `url` is the address for libpq.
    """

    __slots__ = ("_shown", "parameters", "schema", "url")
    scheme = "postgresql"

    def __init__(self, raw: str) -> None:
        scheme, _, rest = raw.partition("://")
        if scheme.lower() not in _SCHEMES or not raw[len(scheme) :].startswith("://"):
            raise ValueError("must start with postgresql://")
        credentials = match[0] if (match := re.match(r"[^@/]*@", rest)) else ""
        location, _, query = rest[len(credentials) :].partition("?")
        hosts, _, database = location.partition("/")
        options = dict(_pairs(query))
        self.schema = options.pop("schema", DEFAULT_SCHEMA)
        if not _SCHEMA_NAME.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise ValueError(
                "the name of the schema must consist of at most 63 characters a-z, 0-9 and _, and must not begin with"
                " pg_ or a digit"
            )
        if re.search(r"[@;&=#\s]", location):
            raise ValueError(_ADVICE)
        self.parameters: Mapping[str, str] = {
            **_credentials(credentials.removesuffix("@")),
            **_hosts(hosts),
            **({"dbname": _decoded(database)} if database else {}),
            **options,
        }
        parameters = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        schema = {} if self.schema == DEFAULT_SCHEMA else {"schema": self.schema}
        self._shown = _shown(credentials, location, options | schema)
        base = f"postgresql://{credentials}{location}"
        self.url = base.replace(" ", "%20") + (f"?{parameters}" if parameters else "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The decoded passwords and keys in the address."""
        return tuple(value for name, value in self.parameters.items() if name in _SECRETS and value)

    def in_schema(self, schema: str) -> "PostgresUrl":
        """The address of another schema in the same database."""
        return PostgresUrl(f"{self.url}{'&' if '?' in self._after_credentials else '?'}schema={schema}")

    def with_secret(self) -> str:
        """The whole address, including its password, which can be parsed again. It must not be shown."""
        if self.schema == DEFAULT_SCHEMA:
            return self.url
        return f"{self.url}{'&' if '?' in self._after_credentials else '?'}schema={self.schema}"

    @property
    def _after_credentials(self) -> str:
        return re.sub(r"^postgresql://[^@/]*@", "", self.url)

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"PostgresUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresUrl) and (self.url, self.schema) == (other.url, other.schema)

    def __hash__(self) -> int:
        return hash((self.url, self.schema))


def _pairs(query: str) -> list[tuple[str, str]]:
    """Parse and decode the parameters in an address's query, by libpq's rules. Raises ValueError."""
    pairs = []
    for part in query.removesuffix("&").split("&") if query else []:
        name, equals, value = part.partition("=")
        if not equals or (name != "schema" and re.search(r"[=;#\s]", value)):
            raise ValueError(
                "the parameters must have the form ?NAME=VALUE&NAME=VALUE, with special characters percent-encoded,"
                " such as %3D for = and %26 for &"
            )
        name, value = _decoded(name), _decoded(value)
        if (name, value) == ("ssl", "true"):  # libpq also accepts this JDBC parameter
            name, value = "sslmode", "require"
        if name not in KEYWORDS and name != "schema":
            is_harmless = "@" not in query and re.fullmatch(r"[a-z_]{1,30}", name)
            raise ValueError(
                f"{f'the parameter {name!r} is' if is_harmless else 'one of the parameters is'} not known to libpq"
                " (docs/postgres.md)"
            )
        pairs.append((name, value))
    return pairs


def _credentials(text: str) -> dict[str, str]:
    user, _, password = text.partition(":")
    decoded = {"user": _decoded(user), "password": _decoded(password)}
    return {name: value for name, value in decoded.items() if value}


def _hosts(text: str) -> dict[str, str]:
    """The parameters `host` and `port` for libpq. Several hosts and their ports are separated by commas."""
    matches = [_HOST.fullmatch(each) for each in text.split(",")]
    ports = [match[2] or "" for match in matches if match]
    if None in matches or not all(1 <= int(port) <= 65535 for port in ports if port):
        raise ValueError(f"the port must be a number from 1 to 65535; {_ADVICE}")
    hosts = ",".join(_decoded(match[1].strip("[]")) for match in matches if match)
    host_parameters = {"host": hosts, "port": ",".join(ports)}
    return {name: value for name, value in host_parameters.items() if value.strip(",")}


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00|\0", text):
        raise ValueError(_ADVICE)
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoded characters must be valid UTF-8") from None


def _shown(credentials: str, location: str, parameters: Mapping[str, str]) -> str:
    user, colon, _ = credentials.partition(":")
    masked = f"{user}:***@" if colon else credentials
    harmless = ((name, "***" if name in _SECRETS else quote(value, safe="")) for name, value in parameters.items())
    query = "&".join(f"{name}={value}" for name, value in harmless if name in _SHOWN or value == "***")
    return f"postgresql://{masked}{location}{'?' if query else ''}{query}"
