"""Adapts the score curve to embedders for which it was not fitted.

Cosines differ between embedders: those of unrelated texts are 0.1 with one, and 0.75 with another. So the range of an
embedder is measured at the first ingest of a collection, with the questions and passages of `calibration_texts`, which
do not depend on the collection: cosines of questions with the passages of others, and with their own passages. A linear
map of this range onto that of the built-in embedder makes the built-in curve apply.
"""

from dataclasses import dataclass
from typing import Final, Self

from streamrag_cli.retrieval.calibration_texts import PAIRS
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE, ScoreCurve
from streamrag_cli.store.interface import Manifest

COSINE_RANGE: Final = "cosine_range"
"""The key of the range in the metadata of a collection. The value is `str(CosineRange)`."""
_UNRELATED_QUANTILE: Final = 0.95
"""The quantile of the cosines of unrelated texts. It is high, because a question is compared with many passages."""
_MIN_WIDTH: Final = 0.02
"""If the range is smaller, the embedder does not distinguish texts by topic, and the built-in curve is used."""


@dataclass(frozen=True, slots=True)
class CosineRange:
    """Typical cosines of an embedder: the highest of unrelated texts, and the mean of questions and their answers."""

    unrelated: float
    related: float

    def __str__(self) -> str:
        return f"{self.unrelated:.4f} {self.related:.4f}"

    @classmethod
    def parse(cls, text: str) -> Self:
        unrelated, related = map(float, text.split())
        return cls(unrelated, related)

    @property
    def curve(self) -> ScoreCurve:
        """The built-in curve, with cosines mapped from this range to that of the built-in embedder."""
        if self.related - self.unrelated < _MIN_WIDTH:
            return BUILTIN_CURVE
        slope = (BUILTIN_RANGE.related - BUILTIN_RANGE.unrelated) / (self.related - self.unrelated)
        at_zero = BUILTIN_RANGE.unrelated - slope * self.unrelated
        return ScoreCurve(
            bias=BUILTIN_CURVE.bias + BUILTIN_CURVE.per_cosine * at_zero,
            per_cosine=BUILTIN_CURVE.per_cosine * slope,
            per_coverage=BUILTIN_CURVE.per_coverage,
        )


BUILTIN_RANGE: Final = CosineRange(unrelated=0.158, related=0.677)


def measure(embedder: Embedder) -> CosineRange:
    """The range of an embedder, from one call for all texts. Raises the errors of `Embedder.embed_documents`."""
    import numpy as np  # the embedder has already imported it

    questions, passages = zip(*PAIRS, strict=True)
    vectors = embedder.embed_documents([*questions, *passages])
    cosines = vectors[: len(PAIRS)] @ vectors[len(PAIRS) :].T
    answers = np.eye(len(PAIRS), dtype=bool)
    return CosineRange(
        unrelated=float(np.quantile(cosines[~answers], _UNRELATED_QUANTILE)), related=float(cosines[answers].mean())
    )


def needs_calibration(embedder: Embedder) -> bool:
    """Whether no curve was fitted to the embedder: its `score_curve` is None."""
    return _own_curve(embedder) is None


def score_curve(embedder: Embedder, catalog: Manifest) -> ScoreCurve:
    """The embedder's own curve, or else the one calibrated for this collection, or else the built-in one."""
    curve = _own_curve(embedder)
    if curve is None:
        measured = catalog.meta(COSINE_RANGE)
        curve = CosineRange.parse(measured).curve if measured else BUILTIN_CURVE
    return curve


def _own_curve(embedder: Embedder) -> ScoreCurve | None:
    """An embedder without the attribute, such as one passed to `ingest`, is scored like the built-in one."""
    curve: ScoreCurve | None = getattr(embedder, "score_curve", BUILTIN_CURVE)
    return curve
