"""Random keys and tokens that look real, generated when a test runs."""

import base64
import random
import string
import textwrap

WORDS = string.ascii_letters + string.digits


def random_text(length: int, alphabet: str = WORDS, *, seed: int = 7) -> str:
    """Random text without the repetitions and words that mark a placeholder."""
    chosen = random.Random(f"{seed} {length}")
    return "4b" + "".join(chosen.choice(alphabet) for _ in range(length - 4)) + "R9"


def private_key(kind: str = "", *, size: int = 1190) -> str:
    """A PEM block of random bytes in an ASN.1 sequence of the correct length."""
    body = b"\x30\x82" + size.to_bytes(2) + random.Random(size).randbytes(size)
    lines = "\n".join(textwrap.wrap(base64.b64encode(body).decode(), 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----\n"


AWS_ID = "AKIA" + random_text(16, string.ascii_uppercase + "234567").upper()
AWS_SECRET = random_text(40, WORDS + "+")
