"""Recognises files that are secrets as a whole, such as password exports, Kubernetes secrets and `.netrc` files.

Only data files are checked. In documentation, the same lines are examples.
"""

import base64
import binascii
import csv
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from streamrag_cli.documents.formats import TEXT, format_of
from streamrag_cli.documents.key_heuristics import Check, first_kind, is_placeholder, looks_random
from streamrag_cli.documents.setting_values import MAX_DIGITS, is_number_or_rule

_NO_VALUE: Final = rb"""(?:null|none|nil|true|false|undefined|~|""|'')(?![\w])"""
_VALUE: Final = rb"""(?!""" + _NO_VALUE + rb""")["']?([^\s"'<>{}\[\]$%*,;]{4,})"""

_K8S_SECRET: Final = re.compile(
    rb"""(?:^|[{,])[^\S\n]*+["']?kind["']?\s*:\s*["']?Secret["']?\s*(?:[,}#]|$)""", re.MULTILINE
)
_K8S_ENTRY: Final = re.compile(
    rb"""^(?:data|stringData)[^\S\n]*+:[^\S\n]*+\n(?:[^\S\n]*+(?:#.*)?\n)*+[^\S\n]++["']?[\w.-]+["']?\s*+:\s*+"""
    rb"""(?:[|>]-?[^\S\n]*+\n\s*+)?"""
    + _VALUE
    + rb"""|"(?:data|stringData)"\s*:\s*\{\s*"[\w.-]+"\s*:\s*"([^"]{4,})\"""",
    re.MULTILINE,
)
_CLIENT_KEY: Final = re.compile(rb"""client-key-data["']?\s*:\s*["']?([A-Za-z0-9+/]{40,})""")
_KUBE_USER: Final = re.compile(
    rb"""^[^\S\n]*+["']?(?:token|password|id-token|refresh-token)["']?\s*:\s*""" + _VALUE, re.MULTILINE
)
_STATE: Final = re.compile(rb'"(?:lineage|serial)"\s*:')
_STATE_VALUES: Final = re.compile(rb'"(?:attributes|outputs|primary)"\s*:\s*\{\s*"')
_ACCOUNT_KEY: Final = re.compile(
    rb'"private_key"\s*:\s*"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\n)?[A-Za-z0-9+/\\]{40,}'
)
_OAUTH: Final = re.compile(rb'"(?:refresh_token|client_secret)"\s*:\s*"([A-Za-z0-9_/.~-]{20,})"')
_JSON_WEB_KEY: Final = re.compile(rb'"(?:d|k)"\s*:\s*"([A-Za-z0-9_-]{40,})"')
_DOCKER_AUTH: Final = re.compile(rb'"(?:auth|identitytoken|password)"\s*:\s*"([A-Za-z0-9+/=_.-]{8,})"')
_NPMRC: Final = re.compile(rb"^[^\S\n]*+(?://\S+:)?_(?:auth|authToken|password)\s*=\s*" + _VALUE, re.MULTILINE)
_PYPIRC: Final = re.compile(rb"^[^\S\n]*+password\s*[=:]\s*" + _VALUE, re.MULTILINE)
_NETRC: Final = re.compile(rb"^[^\S\n]*+(?:machine\s+\S+|default)\s+login\s+\S+\s+password\s+(\S+)", re.MULTILINE)
_HTPASSWD: Final = re.compile(rb"^[^\s:#]+:(?:\$apr1\$|\$2[abxy]?\$\d|\{SHA\}|\$[156y]\$)\S{10,}", re.MULTILINE)
_PASSWORD_HASH: Final = re.compile(
    rb"(?:\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$v=\d+\$[^\s$\"',]+\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}"
    rb"|\$[56y]\$[^\s$]{1,40}\$[./A-Za-z0-9]{30,}|pbkdf2[_:-]?sha\d+[$:]\d+[$:][^\s$:\"']+[$:][A-Za-z0-9+/=]{20,})"
)
_WIREGUARD: Final = re.compile(rb"^[^\S\n]*+(?:PrivateKey|PresharedKey)\s*=\s*([A-Za-z0-9+/]{43})=", re.MULTILINE)
_COOKIES: Final = re.compile(
    rb"^(?:#HttpOnly_)?\S+\t(?:TRUE|FALSE)\t\S+\t(?:TRUE|FALSE)\t\d+\t[^\t\n]+\t\S+", re.MULTILINE
)
_ENCRYPTED_PASSWORD: Final = re.compile(rb'"encryptedPassword"\s*:\s*"([A-Za-z0-9+/=]{16,})"')
_EXPORTED_LOGIN: Final = re.compile(rb'"login"\s*:\s*\{[^{}]{0,500}"password"\s*:\s*"([^"\s]{4,})"')
_JWT: Final = re.compile(rb"(?<![\w.-])(eyJ[A-Za-z0-9_-]{10,})\.(eyJ[A-Za-z0-9_-]{10,})\.([A-Za-z0-9_-]{20,})")

_SECRET_COLUMNS: Final = {
    "password", "passwords", "pass", "passwd", "login_password", "secret access key", "secretaccesskey", "passwort",
    "kennwort", "mot de passe", "contraseña", "otpauth", "login_totp", "recovery code", "api key", "client secret",
}  # fmt: skip
_OWNER_COLUMNS: Final = re.compile(
    r"url|website|site|web site|login|login[_ ]uri|user|user ?names?|login[_ ]username|login name|e-?mail|title|name"
    r"|account|access ?key ?id|benutzer(?:name)?|utilisateur|usuario|host|service"
)
_PERSON_COLUMNS: Final = re.compile(
    r"login|user|user ?names?|login[_ ]username|login name|e-?mail|benutzer(?:name)?|utilisateur|usuario"
)
_MIN_PIN_DIGITS: Final = 4

_HINTS: Final = (
    ("the beginning of a private key", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY")),
    ("an AWS access key", re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}")),
    (
        "a password or token",
        re.compile(
            rb"""(?i:pass(?:word|wd|phrase)?|pwd|secret|token|(?:api|access|private|secret|auth|account)[-_ ]?key"""
            rb"""|_auth|credentials?)["']?\]?\s*(?:=>|[:=,])\s*""" + _VALUE
        ),
    ),
    (
        "a password or token",
        re.compile(rb"(?i)<(?:password|passphrase|privateKey|apiKey|token|secret)>\s*([^\s<$][^<\n$]{2,})"),
    ),
    ("a URL with a password", re.compile(rb"://[^\s/:@\"'<>{$]+:[^\s/@\"'<>{$]{3,}@")),
    ("a cookie", re.compile(rb'"httpOnly"\s*:|^# (?:Netscape )?HTTP Cookie File', re.MULTILINE | re.IGNORECASE)),
)
_ONLY_A_TOKEN: Final = re.compile(rb"\s*(?=\S*[0-9])(?=\S*[A-Za-z])[\w.~+/=:-]{16,}\s*")


def secret_hint(data: bytes) -> str | None:
    """Return what suggests a secret in a file with a suspicious name, as a short phrase; None if nothing does."""
    for kind, pattern in _HINTS:
        if any(not pattern.groups or not _is_number_or_rule(match[1]) for match in pattern.finditer(data)):
            return kind
    return "a token" if _ONLY_A_TOKEN.fullmatch(data[:4096]) else None


def secret_data(path: PurePath, data: bytes) -> str | None:
    """Return the kind of secret, as a short phrase, if the whole file is a secret of a known kind; else None."""
    if (format_of(path) or TEXT).name == "table" and _is_password_export(data):
        return "a list of passwords"
    return first_kind(_CHECKS, data)


def _is_password_export(data: bytes) -> bool:
    """Whether the data is a table with an account column and a password column that contains a password."""
    lines = data[:65_536].decode("utf-8", "replace").lstrip("\ufeff").splitlines()
    if len(lines) < 2:
        return False
    delimiter = max(",;\t", key=lines[0].count)
    try:
        header, *rows = csv.reader(lines[:50], delimiter=delimiter)
    except csv.Error:
        return False
    columns = [column.strip().casefold() for column in header]
    secret_columns = [at for at, column in enumerate(columns) if column in _SECRET_COLUMNS]
    has_owner = any(_OWNER_COLUMNS.fullmatch(column) for column in columns)
    max_digits = _MIN_PIN_DIGITS - 1 if any(map(_PERSON_COLUMNS.fullmatch, columns)) else MAX_DIGITS
    return has_owner and any(
        len(row) > at
        and row[at].strip(" *x-")
        and not is_number_or_rule(row[at], is_plural=columns[at].endswith("words"), max_digits=max_digits)
        for row in rows
        for at in secret_columns
    )


def _is_number_or_rule(value: bytes) -> bool:
    return is_number_or_rule(value.decode("utf-8", "replace"))


def _is_kubernetes_secret(data: bytes) -> bool:
    for document in re.split(rb"^---", data, flags=re.MULTILINE):
        if _K8S_SECRET.search(document) and any(
            not is_placeholder(entry[1] or entry[2]) for entry in _K8S_ENTRY.finditer(document)
        ):
            return True
    return False


def _is_kubeconfig(data: bytes) -> bool:
    return b"users" in data and b"clusters" in data and _KUBE_USER.search(data) is not None


def _is_terraform_state(data: bytes) -> bool:
    return _STATE.search(data) is not None and _STATE_VALUES.search(data) is not None


def _contains_jwt(data: bytes) -> bool:
    return any(looks_random(match[3]) and not _is_sample_jwt(match[2]) for match in _JWT.finditer(data))


def _is_sample_jwt(payload: bytes) -> bool:
    try:
        claims = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except (binascii.Error, ValueError):
        return True
    return b"John Doe" in claims or b"1234567890" in claims or b"example" in claims


def _any_real(pattern: re.Pattern[bytes]) -> Callable[[bytes], bool]:
    return lambda data: any(
        not is_placeholder(match[1]) and not _is_number_or_rule(match[1]) for match in pattern.finditer(data)
    )


def _any_random(pattern: re.Pattern[bytes]) -> Callable[[bytes], bool]:
    return lambda data: any(looks_random(match[1]) for match in pattern.finditer(data))


_CHECKS: Final = (
    Check("a Kubernetes secret", (b"Secret",), _is_kubernetes_secret),
    Check("a Kubernetes client key", (b"client-key-data",), _any_real(_CLIENT_KEY)),
    Check("a Kubernetes login", (b"current-context",), _is_kubeconfig),
    Check("Terraform state", (b'"terraform_version"',), _is_terraform_state),
    Check("a service account key", (b'"private_key"',), _any_real(_ACCOUNT_KEY)),
    Check("a private key", (b'"kty"',), _any_random(_JSON_WEB_KEY)),
    Check("an OAuth secret", (b'_token"', b'"client_secret"'), _any_random(_OAUTH)),
    Check("a registry login", (b'"auths"',), _any_real(_DOCKER_AUTH)),
    Check("a registry token", (b"_auth",), _any_real(_NPMRC)),
    Check("a registry token", (b"[pypi]", b"[distutils]"), _any_real(_PYPIRC)),
    Check("a login", (b"machine",), _any_real(_NETRC)),
    Check("password hashes", (b":$", b":{SHA}"), lambda data: _HTPASSWD.search(data) is not None),
    Check("password hashes", (b"$", b"pbkdf2"), lambda data: _PASSWORD_HASH.search(data) is not None),
    Check("a WireGuard key", (b"PrivateKey", b"PresharedKey"), _any_random(_WIREGUARD)),
    Check("cookies", (b"TRUE\t",), lambda data: _COOKIES.search(data) is not None),
    Check("saved passwords", (b'"encryptedPassword"',), _any_real(_ENCRYPTED_PASSWORD)),
    Check("saved passwords", (b'"login"',), _any_real(_EXPORTED_LOGIN)),
    Check("an encrypted vault", (b"$ANSIBLE_VAULT;",), lambda data: data.startswith(b"$ANSIBLE_VAULT;")),
    Check("a JSON web token", (b"eyJ",), _contains_jwt),
)
