"""Classifies files by name: read always, read only after a closer check, or read only if the user names them.

Only the names of data files count (`db-secret.yaml`, `Chrome Passwords.csv`), not the names of prose and source code: a
page about secrets is not a secret, and `secrets.py` is judged by its content (`secret_content`).
"""

import re
from fnmatch import translate
from pathlib import PurePath
from typing import Final, Literal, TypeAlias

from streamrag_cli.documents.formats import format_of, has_ambiguous_suffix, kind_for_secrets

Suspicion: TypeAlias = Literal["", "secret", "unless_prose", "if_hinted"]
"""How to treat a file, judging by its name. "secret": do not read it. "unless_prose": read it only if it is prose.
"if_hinted": withhold it if its content suggests a secret. "": read it without restrictions."""

NEVER_READ_FILES: Final = (
    # settings files with passwords and tokens
    ".env*", "*.env", ".netrc*", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".htpasswd", ".git-credentials",
    ".dockercfg", ".boto", ".s3cfg", ".vault-token", "*.tfvars", "*.tfstate", "*.tfstate.*", "wg[0-9]*.conf",
    "rclone.conf", "wp-config*.php", ".vault_pass*",
    # private keys and key stores
    "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.p8", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.gpg", "*.pgp",
    "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "id_xmss*", "identity.age",
    "*.pem.*", "*.key.txt", "*.p12.*", "*.pfx.*", "*.ppk.*",
    # shell and database histories
    ".*_history",
)  # fmt: skip

TOOL_DIRECTORIES: Final = (".git", ".hg", ".svn", ".bzr")
"""Directories in which version control systems keep their data. It is not secret, but useless for questions."""

NEVER_READ_DIRECTORIES: Final = (
    *TOOL_DIRECTORIES,
    ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".password-store", ".gcloud", ".terraform.d", ".mozilla",
)  # fmt: skip

SECRET_DIRECTORIES: Final = ("secret", "secrets", "credentials", "passwords", ".secrets", ".credentials")
"""Data files in these directories are treated like data files with secret names; prose and source code are read."""

_FILES: Final = re.compile("|".join(translate(pattern) for pattern in NEVER_READ_FILES))

# Matched with lower-case names whose words are separated by dashes.
_SECRET_WORDS: Final = re.compile(
    r"secrets?(?![a-z])|credential|(?<![a-z])creds?(?![a-z])|passw(?:or|d)|passphrase|(?<![a-z])pass(?:keys?)?$"
    r"|passw(?:ö|oe)rt|kennw(?:o|ö|oe)rt|contrase(?:ñ|n)a|mots?-de-passe|(?<![a-z])senhas?(?![a-z])"
    r"|(?:api|private|access|secret|auth|encryption|signing|master|deploy|ssh|gpg|pgp|root|gcp|gcloud|aws|azure"
    r"|firebase|host|license|wallet|account)-?keys?(?![a-z])|key-?store|trust-?store"
    r"|(?:access|auth|api|refresh|bearer|bot|github|gitlab|slack|npm|pypi)-?tokens?(?![a-z])"
    r"|(?:recovery|backup)-(?:codes?|keys?|phrases?)|seed-phrases?|(?:2fa|mfa|otp|totp)-(?:codes?|seeds?)"
    r"|kube-?config|htpasswd|admin-?sdk|tfvars|tfstate|(?<![a-z])vault(?![a-z])"
    r"|(?:bitwarden|1-?password|lastpass|keepassx?c?|dashlane|keychain|proton-?pass|enpass)-.*export"
)
_SERVICE_ACCOUNT: Final = re.compile(r"service-?accounts?(?![a-z])")
_SUSPICIOUS_WORDS: Final = re.compile(
    r"(?<![a-z])(?:tokens?|o?auth2?|logins?|cookies?|keys?|databases?|db|connections?|postman|sessions?|app-?settings"
    r"|service-?accounts?|accounts?)(?![a-z])"
    r"|^(?:admin|pip|settings|gradle|local|application|config|environment|docker-?config|mongod?|redis|my|odbc)(?:-|$)"
)
_PROSE_WORDS: Final = re.compile(
    r"(?<![a-z])(?:how-?to|guides?|guidelines?|read-?me|polic(?:y|ies)|docs?|documentation|tutorials?|faq|help|overview"
    r"|intro(?:duction)?|management|rotation|handling|practices?|manual|instructions?|about|explained|checklist|primer"
    r"|basics|concepts?|design|articles?|lessons?|chapters?|handbook|cheat-?sheet|reference|glossary|reset|forgot"
    r"|forgotten|strength|rules|validation|validators?|schemas?|forms?|fields?|i18n|locales?|translations?|messages"
    r"|strings|labels|generator|meter|counts?|statistics|stats|surveys?|lengths?|expiry|complexity|requirements?|examples?|samples?|templates?|placeholder)(?![a-z])"
)
_PHP_CONFIG: Final = re.compile(r"(?:config|settings|database|db|secrets?|credentials?|parameters|local|env)\.php")


def classify_name(path: PurePath, *, in_secret_directory: bool = False) -> Suspicion:
    """Return how to treat a file that was found in a folder, judging by its name.

    >>> [classify_name(PurePath(name)) for name in ("id_rsa", "keys.md", "Chrome Passwords.csv", "passwords.txt")]
    ['secret', '', 'secret', 'unless_prose']
    """
    name = path.name.casefold()
    if is_prose(path):
        return ""
    entry = format_of(path)
    if kind_for_secrets(path) == "code" and not name.startswith("wp-config"):
        return "if_hinted" if _PHP_CONFIG.fullmatch(name) else ""
    words = _words(path.name)
    if _PROSE_WORDS.search(words):
        return "secret" if name.startswith(".env") else ""
    if _FILES.match(name):
        return "secret"
    if entry is None and path.suffix:
        return ""  # the format is not supported, so it is never read
    format_name = entry.name if entry else None
    if _has_secret_name(words, format_name, in_secret_directory=in_secret_directory):
        return "unless_prose" if format_name == "text" else "secret"
    return "if_hinted" if _SUSPICIOUS_WORDS.search(words) else ""


def _has_secret_name(words: str, format_name: str | None, *, in_secret_directory: bool) -> bool:
    if in_secret_directory or _SECRET_WORDS.search(words):
        return True
    return format_name == "json" and _SERVICE_ACCOUNT.search(words) is not None


def is_prose(path: PurePath) -> bool:
    """Whether the file name has the suffix of a prose format, such as Markdown, Word or EPUB.

    `credentials.md` is a page about credentials; `credentials.json` and `credentials` are credentials.
    """
    return kind_for_secrets(path) == "prose"


def is_data(path: PurePath) -> bool:
    """Whether the file name has the suffix of a format for data or plain text, not for prose or source code."""
    return kind_for_secrets(path) not in {"prose", "code"}


def is_excluded_directory(name: str) -> bool:
    """Whether a directory with this name is skipped unless the user names it."""
    return name.casefold() in NEVER_READ_DIRECTORIES


def is_secret_directory(name: str) -> bool:
    """Whether data files in a directory with this name are treated like data files with secret names."""
    return name.casefold() in SECRET_DIRECTORIES


def is_about_a_hidden_file(name: str) -> bool:
    """Whether a file name begins with a dot only because the file documents a hidden one, as `.env.md` does for `.env`.

    >>> is_about_a_hidden_file(".env.md"), is_about_a_hidden_file(".notes.md")
    (True, False)
    """
    path = PurePath(name.casefold())
    return is_prose(path) and not has_ambiguous_suffix(path) and _FILES.match(path.stem) is not None


def _words(name: str) -> str:
    """Return the words in a file name without its last suffix, in lower case, separated by dashes."""
    stem = name.rpartition(".")[0] or name
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)", "-", stem)
    return re.sub(r"[\W_]+", "-", separated).strip("-").casefold()
