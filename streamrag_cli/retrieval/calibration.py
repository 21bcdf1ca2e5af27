"""Adapts the score curve to embedders for which it was not fitted.

Cosines differ between embedders: those between unrelated texts are 0.1 with one embedder, and 0.75 with another. An
embedder's range is therefore measured at a collection's first ingest, with the questions and passages in
`calibration_texts`. The lower end comes from questions and unrelated passages, and the upper end from questions and the
passages that answer them. A linear map converts this range to that of the built-in embedder, so that its curve applies.
"""

from dataclasses import dataclass
from typing import Final, Self

from streamrag_cli.retrieval.calibration_texts import PAIRS
from streamrag_cli.retrieval.embedder import Embedder
from streamrag_cli.retrieval.relevance import BUILTIN_CURVE, ScoreCurve
from streamrag_cli.store.interface import Manifest

COSINE_RANGE: Final = "cosine_range"
"""The key for the cosine range in a collection's metadata. Its value is the `str` of a `CosineRange`."""
_UNRELATED_QUANTILE: Final = 0.95
"""The quantile of the cosines between unrelated texts. It is high because a question is compared with many passages."""
_MIN_WIDTH: Final = 0.02
"""The minimum width of a range. Narrower ones are not used, because such an embedder does not distinguish topics."""


@dataclass(frozen=True, slots=True)
class CosineRange:
    """An embedder's typical cosines: a high one for unrelated texts, and the mean for questions and their answers."""

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
        """The built-in embedder's score curve, adapted to cosines in this range."""
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
    """Measure an embedder's cosine range with one call for all texts. Raises the errors of `embed_documents`."""
    import numpy as np  # the embedder has already imported it

    questions, passages = zip(*PAIRS, strict=True)
    vectors = embedder.embed_documents([*questions, *passages])
    cosines = vectors[: len(PAIRS)] @ vectors[len(PAIRS) :].T
    answers = np.eye(len(PAIRS), dtype=bool)
    return CosineRange(
        unrelated=float(np.quantile(cosines[~answers], _UNRELATED_QUANTILE)), related=float(cosines[answers].mean())
    )


def needs_calibration(embedder: Embedder) -> bool:
    """Whether the embedder has no score curve, so that its cosines must be calibrated."""
    return _own_curve(embedder) is None


def score_curve(embedder: Embedder, catalog: Manifest) -> ScoreCurve:
    """The embedder's own curve. If it has none, the curve calibrated for the collection, or else the built-in curve."""
    curve = _own_curve(embedder)
    if curve is None:
        measured = catalog.meta(COSINE_RANGE)
        curve = CosineRange.parse(measured).curve if measured else BUILTIN_CURVE
    return curve


def _own_curve(embedder: Embedder) -> ScoreCurve | None:
    """The embedder's own curve, or None. Without the attribute `score_curve`, the built-in curve counts as its own."""
    curve: ScoreCurve | None = getattr(embedder, "score_curve", BUILTIN_CURVE)
    return curve
