"""The second stage of an ingest: embeds batches of texts in its own thread.

A batch is embedded in the order of its documents, so that its first documents are complete if the ingest is
interrupted. Only its last texts are embedded longest first, so that concurrent workers finish at about the same time.
Each text is embedded once per batch, and the embeddings of recent texts are cached, because texts such as licences and
footers occur in many files.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self, overload

from streamrag_cli.retrieval.embedder import Embedder, embed_passages
from streamrag_cli.store.interface import EmbeddedPassages
from streamrag_cli.store.time_limit import Cancellation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SORTED_TEXTS: Final = 16
"""The number of texts at the end of a batch that are embedded longest first."""


class Passage(NamedTuple):
    """A text's vector and its packed token states, which are b"" if it has none."""

    vector: "NDArray[np.float32]"
    token_states: bytes


class BatchEmbedder:
    """Embeds batches one after the other, in a thread. At the end of the `with` block, all batches are cancelled.

    If a batch fails, all later batches also fail, so that a server that does not respond gets no further requests.
    """

    def __init__(
        self, embedder: Embedder, *, remembered_texts: int, known: "Mapping[bytes, Passage] | None" = None
    ) -> None:
        """Cache the embeddings of the last `remembered_texts` texts. `known` are cached ones, keyed by `text_key`."""
        self._known = dict(known or {})
        self._embedder = embedder
        self._remembered_texts = remembered_texts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed-batches")
        self._stopped = Cancellation()
        self._current: _CancellableTexts | None = None
        self._recent: OrderedDict[bytes, Passage] = OrderedDict()
        self._fresh: dict[bytes, Passage] = {}
        """The current batch's embeddings."""
        self.embedded_texts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Cancel all batches, without waiting for texts that are being embedded."""
        self._stopped.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def share_done(self) -> float:
        """The share of the current batch that has been embedded, from 0 to 1. Any thread can read it."""
        current = self._current
        return current.share_taken if current else 0.0

    def begin(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> Future[EmbeddedPassages]:
        """Submit the texts in the next batch. The result of the future has one row per text.

        The future raises the errors that `Embedder.embed_documents` raises. `known` maps texts that the store already
        contains to their embeddings.
        """
        return self._thread.submit(self._embed, texts, known)

    def _embed(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> EmbeddedPassages:
        self._current = None  # not reset at the end, because the progress of this batch may still be read
        try:
            passages = self._passages(texts, known)
        except BaseException:
            self._stopped.cancel()
            raise
        else:
            self._fresh = {}  # its vectors would keep the whole batch in memory
            return passages

    def _passages(self, texts: Sequence[str], known: "Mapping[str, Passage]") -> EmbeddedPassages:
        if self._stopped.is_cancelled:
            raise EmbeddingCancelledError
        keys = list(map(text_key, texts))
        passages = {key: cached[key] for cached in (self._known, self._recent) for key in keys if key in cached}
        passages |= {key: known[text] for key, text in zip(keys, texts, strict=True) if text in known}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in passages}
        self._fresh = dict(passages)
        in_order = list(new)
        in_order[-_SORTED_TEXTS:] = sorted(in_order[-_SORTED_TEXTS:], key=lambda key: -len(new[key]))
        chars = sum(map(len, texts))
        self._current = _CancellableTexts(
            [new[key] for key in in_order], self._stopped, chars_done=chars - sum(map(len, new.values()))
        )

        def keep(row: int, vector: "NDArray[np.float32]", token_states: bytes) -> None:
            self._fresh[in_order[row]] = Passage(vector, token_states)

        embedded = embed_passages(self._embedder, self._current, self._stopped, keep)
        if new and any(passage.vector.shape != embedded.vectors[0].shape for passage in passages.values()):
            # The server has replaced the model. The store rejects vectors with another dimension.
            self._recent.clear()
            self._known.clear()
            return self._passages(texts, {})
        self.embedded_texts += len(new)
        passages.update(zip(in_order, map(Passage, embedded.vectors, embedded.token_states), strict=True))
        self._remember(passages)
        return _rows(keys, passages) if texts else embedded

    def finished(self, texts: Sequence[str]) -> EmbeddedPassages | None:
        """The embeddings of `texts` if all of them have been embedded; otherwise None. Used after an interruption."""
        keys = list(map(text_key, texts))
        cached = [self._fresh.get(key) or self._recent.get(key) or self._known.get(key) for key in keys]
        passages = {key: passage for key, passage in zip(keys, cached, strict=True) if passage}
        return _rows(keys, passages) if keys and all(cached) else None

    def embedded_of(self, texts: Sequence[str]) -> int:
        """The number of `texts` that have been embedded."""
        return sum(
            any(text_key(text) in cached for cached in (self._fresh, self._recent, self._known)) for text in texts
        )

    def unused(self) -> dict[bytes, Passage]:
        """The embeddings, keyed by `text_key`, that the next ingest may need after an interruption."""
        return self._known | self._recent | self._fresh

    def _remember(self, passages: "dict[bytes, Passage]") -> None:
        for key, passage in list(passages.items())[-self._remembered_texts :]:
            self._recent.pop(key, None)
            self._recent[key] = passage._replace(
                vector=passage.vector.copy()
            )  # a view would keep its whole batch in memory
        while len(self._recent) > self._remembered_texts:
            self._recent.popitem(last=False)


def text_key(text: str) -> bytes:
    """A text's key in the cache of embeddings."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _rows(keys: Sequence[bytes], passages: "Mapping[bytes, Passage]") -> EmbeddedPassages:
    import numpy as np  # the embedder has imported it

    in_order = [passages[key] for key in keys]
    return EmbeddedPassages(
        np.stack([passage.vector for passage in in_order]), [passage.token_states for passage in in_order]
    )


class _CancellableTexts(Sequence[str]):
    """A sequence of texts that raises EmbeddingCancelledError after cancellation.

    This stops embedders, because they access each text or slice of texts immediately before they embed it.
    """

    def __init__(self, texts: Sequence[str], stopped: Cancellation, *, chars_done: int = 0) -> None:
        """`chars_done` is the number of characters in texts in the batch that do not have to be embedded."""
        self._texts = texts
        self._stopped = stopped
        self._chars = chars_done + sum(map(len, texts)) or 1
        self._taken = chars_done

    @property
    def share_taken(self) -> float:
        """The share of the batch, in characters, that was accessed or does not have to be embedded, from 0 to 1."""
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
        texts = self._texts[index]
        self._taken += len(texts) if isinstance(texts, str) else sum(map(len, texts))
        return texts


class EmbeddingCancelledError(Exception):
    """The ingest ended before a batch was embedded. Only the batch's future raises this error."""
