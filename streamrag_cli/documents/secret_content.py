"""Finds keys and tokens in file contents, because they must not be sent to a model.

Every file that the user did not name is searched. Example keys do not count: they are truncated, contain a placeholder
word or are not random. Some secrets count only in data files (`secret_data`): a tutorial may show a Kubernetes secret,
but a manifest contains one.
"""

import base64
import binascii
import re
from pathlib import PurePath
from typing import Final

from streamrag_cli.documents.formats import format_of
from streamrag_cli.documents.key_heuristics import Check, first_kind, is_placeholder, looks_random
from streamrag_cli.documents.read import unicode_encoding
from streamrag_cli.documents.secret_data import secret_data, secret_hint
from streamrag_cli.documents.secret_names import Suspicion, is_data

_API_DESCRIPTION: Final = re.compile(rb"""[{"'\s]*+(?:openapi|swagger)["']?\s*:""")

_PEM: Final = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
)
_PUTTY: Final = re.compile(rb"Private-Lines: \d+\s+([A-Za-z0-9+/]{40,})")
_PEM_HEADER: Final = re.compile(rb"^\W*[A-Za-z][A-Za-z-]*: .*$", re.MULTILINE)
_BETWEEN_BASE64: Final = re.compile(rb"""[\s"',;>#*|()\[\]{}\\]+""")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}|=[A-Za-z0-9+/]{4}")
_MAX_KEY_BYTES: Final = 20_000
_LONG_TEXT_LETTERS: Final = 2000

_AWS_ID: Final = re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
_AWS_SECRET: Final = re.compile(rb"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_AWS_SECRET_SET: Final = re.compile(
    rb"""(?i:aws_?secret_?(?:access_?)?key|secret_?access_?key)["']?\s*(?:=>|[:=,])\s*["']?"""
    rb"""([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"""
)


def secret_reason(path: PurePath, data: bytes, suspicion: Suspicion = "") -> str | None:
    """Return the kind of secret in the file, as a short phrase, or None.

    `suspicion` is the result of `classify_name` for the file's name.
    """
    data = _as_utf_8(data)
    if kind := key_in(data):
        return kind
    if path.name.casefold().endswith(".asc") and data.lstrip().startswith(b"-----BEGIN PGP"):
        return "a PGP block"
    if is_data(path) and not _API_DESCRIPTION.match(data):
        is_prose = (entry := format_of(path)) is not None and entry.name == "text" and is_running_text(data)
        if not is_prose and (kind := secret_data(path, data)):
            return kind
        if suspicion == "unless_prose" and not is_prose:
            return "a suspicious name"
    if suspicion and not is_running_text(data, min_letters=_LONG_TEXT_LETTERS):
        return secret_hint(data)
    return None


def key_in(data: bytes) -> str | None:
    """Return the kind of key or token in a UTF-8 text in any format, or None."""
    return first_kind(_CHECKS, data)


def is_running_text(data: bytes, *, min_letters: int = 200) -> bool:
    """Whether the data is prose rather than names and values.

    >>> is_running_text(b"The garden had not been open for ten years. " * 9), is_running_text(b"bank: hunter2\\n" * 30)
    (True, False)
    """
    text = data[:20_000].decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    letters = sum(1 for character in text if character.isalpha() or character == " ")
    return letters >= min_letters and letters >= 0.75 * len(text) and letters >= 25 * len(lines)


def _as_utf_8(data: bytes) -> bytes:
    if (mark_and_encoding := unicode_encoding(data)) is None:
        return data
    mark, encoding = mark_and_encoding
    return data[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")


def _contains_private_key(data: bytes) -> bool:
    return any(_is_key_body(data[match.end() : match.end() + _MAX_KEY_BYTES]) for match in _PEM.finditer(data))


def _is_key_body(after: bytes) -> bool:
    """Whether `after` begins with a complete key, which may be indented, escaped for JSON, or quoted line by line."""
    body, end, _ = after.partition(b"----")
    body = body.replace(b"\\\\n", b"\n").replace(b"\\n", b"\n").replace(b"\\r", b"\n").replace(b"&#10;", b"\n")
    parts: list[bytes] = []
    for part in _BETWEEN_BASE64.split(_PEM_HEADER.sub(b"", body)):
        if part in {b"", b"+", b"//", b"."}:
            continue
        if not _BASE64.fullmatch(part):
            if end:
                return False
            break
        parts.append(part)
    long_parts = [part for part in parts if len(part) >= 16]
    joined = b"".join(part for part in parts if not part.startswith(b"="))
    if len(set(long_parts)) * 2 < len(long_parts) or is_placeholder(joined, words=False):
        return False
    return len(set(joined)) >= min(24, len(joined) // 3) and _is_whole(joined.rstrip(b"="), ended=bool(end))


def _is_whole(body: bytes, *, ended: bool) -> bool:
    if len(body) >= 600:
        return True
    raw = _decoded(body)
    if not ended or raw is None:
        return len(body) >= 200
    if raw.startswith(b"openssh-key-v1\0"):
        return len(raw) >= 180
    if raw[:1] == b"\x30":  # a DER sequence begins with its length
        extra = raw[1] & 0x7F if len(raw) > 1 and raw[1] & 0x80 else 0
        length = int.from_bytes(raw[2 : 2 + extra]) if extra else raw[1] if len(raw) > 1 else 0
        return len(raw) >= 40 and 2 * len(raw) >= length
    return len(body) >= 120


def _decoded(body: bytes) -> bytes | None:
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _contains_aws_key(data: bytes) -> bool:
    for match in _AWS_ID.finditer(data):
        if not is_placeholder(match[0]):
            near = data[max(0, match.start() - 500) : match.end() + 500]
            if any(_is_aws_secret(secret[0]) for secret in _AWS_SECRET.finditer(near)):
                return True
    return False


def _is_aws_secret(value: bytes) -> bool:
    return (
        looks_random(value) and value.count(b"/") <= 5 and re.search(rb"[a-z].*[A-Z]|[A-Z].*[a-z]", value) is not None
    )


def _assigns_aws_secret(data: bytes) -> bool:
    return any(_is_aws_secret(match[1]) for match in _AWS_SECRET_SET.finditer(data))


def _token(kind: str, *literals: bytes, pattern: bytes) -> Check:
    """Return a check for tokens with a distinctive prefix. The group of `pattern` is the random part of the token."""
    compiled = re.compile(rb"(?<![A-Za-z0-9_-])(?:" + pattern + rb")(?![A-Za-z0-9_-])")
    return Check(kind, literals, lambda data: any(looks_random(match[1]) for match in compiled.finditer(data)))


_PROVIDER_KEY: Final = rb"(?:xai-|gsk_|nvapi-|pplx-|r8_)([A-Za-z0-9_-]{32,})"
_SERVICE_PREFIXES: Final = (
    *(b"dapi", b"glsa_", b"sbp_", b"tskey-", b"ATATT3x", b"lin_api_", b"ntn_", b"whsec_", b"sq0csp-", b"PMAK-"),
    *(b"NRAK-", b"figd_", b"ops_eyJ"),
)
_SERVICE_TOKEN: Final = (
    rb"(?:dapi|glsa_|sbp_|tskey-(?:auth|api|client)-|ATATT3x|lin_api_|ntn_|whsec_|sq0csp-|PMAK-|NRAK-|figd_|ops_)"
    rb"([A-Za-z0-9_=-]{26,})"
)


_CHECKS: Final = (
    Check("a private key", (b"PRIVATE KEY",), _contains_private_key),
    Check("a private key", (b"PuTTY-User-Key-File-",), lambda data: _PUTTY.search(data) is not None),
    Check("an AWS access key", (b"AKIA", b"ASIA"), _contains_aws_key),
    Check("an AWS secret key", (b"ecret", b"SECRET"), _assigns_aws_secret),
    _token("a GitHub token", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", pattern=rb"gh[pousr]_([A-Za-z0-9]{36,255})"),
    _token("a GitHub token", b"github_pat_", pattern=rb"github_pat_([A-Za-z0-9_]{40,255})"),
    _token("a GitLab token", b"glpat-", pattern=rb"glpat-([A-Za-z0-9_.-]{20,})"),
    _token(
        "a model provider key",
        b"sk-",
        pattern=rb"sk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-|or-v1-)?([A-Za-z0-9_-]{32,})",
    ),
    _token("a Slack token", b"xox", b"xapp-", pattern=rb"(?:xox[abeoprs]|xapp)-([A-Za-z0-9-]{20,})"),
    _token("a Slack webhook", b"hooks.slack.com", pattern=rb"hooks\.slack\.com/services/T\w+/B\w+/(\w{20,})"),
    _token("a Google API key", b"AIza", pattern=rb"AIza([A-Za-z0-9_-]{35})"),
    _token("a Google OAuth secret", b"GOCSPX-", pattern=rb"GOCSPX-([A-Za-z0-9_-]{24,})"),
    _token("a Google OAuth token", b"ya29.", pattern=rb"ya29\.([A-Za-z0-9_-]{30,})"),
    _token("a Hugging Face token", b"hf_", pattern=rb"hf_([A-Za-z0-9]{30,})"),
    _token("an npm token", b"npm_", pattern=rb"npm_([A-Za-z0-9]{36})"),
    _token("a PyPI token", b"pypi-", pattern=rb"pypi-([A-Za-z0-9_-]{60,})"),
    _token("a SendGrid key", b"SG.", pattern=rb"SG\.([A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64})"),
    _token("a DigitalOcean token", b"dop_v1_", b"doo_v1_", pattern=rb"do[op]_v1_([a-f0-9]{64})"),
    _token("a Stripe key", b"k_live_", pattern=rb"[rs]k_live_([A-Za-z0-9]{20,})"),
    _token("a Shopify token", b"shp", pattern=rb"shp(?:at|ca|pa|ss)_([a-fA-F0-9]{32})"),
    _token("a Vault token", b"hvs.", pattern=rb"hvs\.([A-Za-z0-9_-]{24,})"),
    _token("a Telegram token", b":AA", pattern=rb"[0-9]{8,10}:AA([A-Za-z0-9_-]{33})"),
    _token("a model provider key", b"xai-", b"gsk_", b"nvapi-", b"pplx-", b"r8_", pattern=_PROVIDER_KEY),
    _token("a registry token", b"dckr_pat_", b"rubygems_", pattern=rb"(?:dckr_pat_|rubygems_)([A-Za-z0-9_-]{24,})"),
    _token("a service token", *_SERVICE_PREFIXES, pattern=_SERVICE_TOKEN),
    _token("a Terraform token", b".atlasv1.", pattern=rb"[A-Za-z0-9]{14}\.atlasv1\.([A-Za-z0-9_-]{60,})"),
    _token("a Discord webhook", b"api/webhooks/", pattern=rb"discord(?:app)?\.com/api/webhooks/\d+/([\w-]{60,})"),
    _token("an Azure key", b"AccountKey=", pattern=rb"AccountKey=([A-Za-z0-9+/]{80,})={0,2}"),
    _token("an age key", b"AGE-SECRET-KEY-1", pattern=rb"AGE-SECRET-KEY-1([0-9A-Z]{58})"),
)
