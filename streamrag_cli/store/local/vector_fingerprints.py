"""Fingerprints that detect vectors that have changed since they were written.

Neither SQLite nor Chroma has checksums for vectors. A checksum of the bytes would not be reliable, because Chroma
normalises vectors and its rounding depends on the processor. The fingerprint of a vector therefore consists of its
cosines with `_DIRECTIONS` fixed directions. They change if the vector changes enough to affect a search, but rounding
does not change them.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import shake_256
from typing import TYPE_CHECKING, Final

from streamrag_cli.store.interface import FloatArray

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIRECTIONS: Final = 4
FINGERPRINT_BYTES: Final = 4 * _DIRECTIONS
_TOLERANCE: Final = 1e-3
"""The tolerated difference between two values. Rounding changes a value by less than 1e-5. A random vector matches a
fingerprint with a probability below 1e-12."""


def fingerprints(vectors: FloatArray) -> list[bytes]:
    """The fingerprint of each row of `vectors`, `FINGERPRINT_BYTES` long."""
    return [row.tobytes() for row in _projected(vectors)]


def changed_vectors(ids: Sequence[str], vectors: FloatArray, expected: Mapping[str, object]) -> list[str]:
    """The ids of vectors that do not match their fingerprint in `expected`. Vectors without one count as unchanged."""
    import numpy as np

    known = [index for index, each in enumerate(ids) if each in expected]
    stored = [expected[ids[index]] for index in known]
    if not known:
        return []
    blank = b"\xff" * FINGERPRINT_BYTES  # NaN matches nothing
    intact = [each if isinstance(each, bytes) and len(each) == FINGERPRINT_BYTES else blank for each in stored]
    rows = np.frombuffer(b"".join(intact), dtype="<f4").reshape(-1, _DIRECTIONS)
    with np.errstate(all="ignore"):
        is_same = (np.abs(_projected(vectors[known]) - rows) <= _TOLERANCE).all(axis=1)
    return [ids[index] for index, same in zip(known, is_same.tolist(), strict=True) if not same]


def _projected(vectors: FloatArray) -> "NDArray[np.float32]":
    import numpy as np

    matrix = np.asarray(vectors, dtype=np.float32)
    with np.errstate(all="ignore"):  # the components of a damaged vector may be infinite or NaN
        lengths = np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        return np.asarray((matrix @ _directions(matrix.shape[1])) / lengths, dtype="<f4")


@lru_cache(maxsize=4)
def _directions(dimension: int) -> "NDArray[np.float32]":
    """An array of 1 and -1 with the shape (dimension, `_DIRECTIONS`), the same on every machine."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(shake_256(b"streamrag").digest(dimension * _DIRECTIONS // 8 + 1), np.uint8))
    return (2.0 * bits[: dimension * _DIRECTIONS].reshape(dimension, _DIRECTIONS) - 1.0).astype(np.float32)
