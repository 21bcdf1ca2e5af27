"""A cache of recent questions' vectors. Each turn of a conversation embeds earlier questions again."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

from streamrag_cli.retrieval.embedder import EmbeddedQuestion, Embedder, embed_questions
from streamrag_cli.retrieval.follow_up import MAX_EARLIER_CHARS
from streamrag_cli.store.time_limit import Cancellation

_MAX_QUESTIONS: Final = 32  # one entry has about 30 kB, and at most 200 kB


class RecentQuestions:
    """Embeds questions and caches their vectors. Safe to share between threads."""

    def __init__(self) -> None:
        self._embedded: OrderedDict[tuple[str, str], EmbeddedQuestion] = OrderedDict()
        self._lock = Lock()

    def embed(
        self, embedder: Embedder, texts: Sequence[str], cancellation: Cancellation | None
    ) -> list[EmbeddedQuestion]:
        """Return the vectors of `texts`, in order. All texts that are not in the cache are embedded in one request.

        Raises the embedder's errors.
        """
        keys = [(embedder.name, text) for text in texts]
        with self._lock:
            known = {key: self._embedded[key] for key in keys if key in self._embedded}
        if new := [key for key in dict.fromkeys(keys) if key not in known]:
            known |= zip(new, embed_questions(embedder, [text for _, text in new], cancellation), strict=True)
        with self._lock:
            for key in reversed(keys):
                if len(key[1]) <= MAX_EARLIER_CHARS:
                    self._embedded[key] = known[key]
                    self._embedded.move_to_end(key)
            while len(self._embedded) > _MAX_QUESTIONS:
                self._embedded.popitem(last=False)
        return [known[key] for key in keys]
