"""Names that are never read unless a person names the file: they hold secrets, or a tool's private state.

One list, by name alone and without regard to case, because the contents must not be opened to find out.
"""

import re
from fnmatch import translate
from typing import Final

NEVER_READ_FILES: Final = (
    # settings that carry passwords and tokens
    ".env*", "*.env", ".netrc*", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".htpasswd", ".git-credentials",
    ".dockercfg", ".boto", ".s3cfg", ".vault-token",
    "credentials*", ".credentials*", "secrets.y*ml", "secrets.json", "secrets.toml", "*.tfvars",
    "service-account*.json",
    # private keys and key stores
    "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.p8", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.gpg",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "id_xmss*", "identity.age",
    # what was typed at a prompt
    ".*_history",
)  # fmt: skip

NEVER_READ_DIRECTORIES: Final = (
    ".git", ".hg", ".svn", ".bzr",
    ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".password-store", ".gcloud", ".terraform.d", ".mozilla",
)  # fmt: skip

PROSE_SUFFIXES: Final = (
    ".md",
    ".markdown",
    ".mdx",
    ".rst",
    ".html",
    ".htm",
    ".adoc",
    ".asciidoc",
    ".org",
    ".pdf",
    ".docx",
)
"""`credentials.md` is a page about credentials; `credentials.json` and `credentials` are credentials."""

_FILES: Final = re.compile("|".join(translate(pattern) for pattern in NEVER_READ_FILES))


def is_never_read(name: str, *, directory: bool) -> bool:
    """Whether a file or directory of this name is left alone when it is met on a walk.

    >>> is_never_read("ID_RSA", directory=False), is_never_read("keys.md", directory=False)
    (True, False)
    """
    folded = name.casefold()
    if directory:
        return folded in NEVER_READ_DIRECTORIES
    if folded.startswith("credentials") and folded.endswith(PROSE_SUFFIXES):
        return False
    return _FILES.match(folded) is not None
