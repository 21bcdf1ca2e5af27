"""The second stage of an ingest: batches of texts become vectors in a thread of its own.

A batch is embedded longest text first, whatever document a text is from, so that where texts are embedded side by
side all come to an end together. The same text is embedded once in a batch, and not again if it came by lately:
licences, footers and copies repeat.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, overload

from streamrag_cli.retrieval.embedder import Embedder, embed_passages
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Passage(NamedTuple):
    """The vector of a text, and the packed states of its tokens or b""."""

    vector: "NDArray[np.float32]"
    token_states: bytes


class BatchEmbedder:
    """Embeds batches one after the other, in a thread. Leaving it breaks off what is under way.

    After a batch that failed those behind it fail as well: a server that is gone is not asked once more for each.
    """

    def __init__(self, embedder: Embedder, *, remembered_texts: int) -> None:
        """What was made of the last `remembered_texts` is kept for texts that come again."""
        self._embedder = embedder
        self._remembered_texts = remembered_texts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed-batches")
        self._stopped = Cancellation()
        self._wanted: _CancellableTexts | None = None
        self._recent: OrderedDict[bytes, Passage] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def share_done(self) -> float:
        """How much of the batch under way is embedded, 0 to 1. For any thread."""
        wanted = self._wanted
        return wanted.share_taken if wanted else 0.0

    def begin(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> Future[EmbeddedPassages]:
        """Start on the next batch: one row for each text, in their order. Fails as `Embedder.embed_documents` does.

        `known` has the texts that need no embedding.
        """
        return self._thread.submit(self._embed, texts, known)

    def _embed(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> EmbeddedPassages:
        try:
            return self._passages(texts, known)
        except BaseException:
            self._stopped.cancel()
            raise
        finally:
            self._wanted = None

    def _passages(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> EmbeddedPassages:
        keys = [sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        found = {key: self._recent[key] for key in keys if key in self._recent}
        found |= {key: known[text] for key, text in zip(keys, texts, strict=True) if text in known}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        by_length = sorted(new, key=lambda key: -len(new[key]))
        self._wanted = _CancellableTexts([new[key] for key in by_length], self._stopped)
        made = embed_passages(self._embedder, self._wanted, self._stopped)
        if new and any(passage.vector.shape != made.vectors[0].shape for passage in found.values()):
            # The service has another model under the same name. The store says so, once it has vectors of one kind.
            self._recent.clear()
            return self._passages(texts, {})
        states = made.token_states or [b""] * len(new)
        found.update(zip(by_length, map(Passage, made.vectors, states), strict=True))
        self._remember(found)
        if not texts:
            return made
        import numpy as np  # the embedder has brought it

        passages = [found[key] for key in keys]
        return EmbeddedPassages(
            np.stack([passage.vector for passage in passages]), [passage.token_states for passage in passages]
        )

    def _remember(self, found: "dict[bytes, Passage]") -> None:
        for key, passage in list(found.items())[-self._remembered_texts :]:
            self._recent.pop(key, None)
            self._recent[key] = passage._replace(vector=passage.vector.copy())  # a row alone would keep its whole batch
        while len(self._recent) > self._remembered_texts:
            self._recent.popitem(last=False)


class _CancellableTexts(Sequence[str]):
    """Texts that can be had until nobody wants their vectors any more: then whoever is embedding them fails.

    An embedder takes each text, or slice of texts, when it is about to embed it.
    """

    def __init__(self, texts: Sequence[str], stopped: Cancellation) -> None:
        self._texts = texts
        self._stopped = stopped
        self._chars = sum(map(len, texts)) or 1
        self._taken = 0

    @property
    def share_taken(self) -> float:
        """By characters: the texts are embedded longest first."""
        return min(1.0, self._taken / self._chars)

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if self._stopped.is_cancelled:
            raise EmbeddingCancelledError
        found = self._texts[index]
        self._taken += len(found) if isinstance(found, str) else sum(map(len, found))
        return found


class EmbeddingCancelledError(Exception):
    """The ingest has ended before these texts were embedded. Nobody sees it but who looks at a batch's future."""
