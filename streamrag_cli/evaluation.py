"""Measures retrieval quality on questions with known relevant documents.

The corpus is ingested into a temporary store; each entry becomes a document with its title as the heading. Each
question runs through the normal retrieval, and a document is ranked by its best chunk. `ir_measures`, an interface to
trec_eval, computes the metrics; it is installed with `pip install 'streamrag[eval]'`.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.events import IngestEvent
from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise
from streamrag_cli.model import Hit, Turn
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.scratch import ScratchDirectory
from streamrag_cli.setting_row import MAX_TOP_K
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.store.rows import EVERYTHING
from streamrag_cli.text import sanitise_line

Unit: TypeAlias = Literal["document", "chunk"]
_ENTRIES_PER_FOLDER: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question with the grades of its relevant documents.

    A correct answer contains one of the strings in `answers`, which is empty if no answer is known. `history` contains
    the conversation's earlier turns, oldest first.
    """

    id: str
    text: str
    grades: Mapping[str, int]
    answers: tuple[str, ...]
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results of an evaluation. Metrics are means over the questions, from 0 to 1.

    `answer_rate` is the share of questions whose quotes contain a known answer, among the questions with known answers;
    None if no answers are known. `ms_per_query` is the time for retrieval only.
    """

    ndcg_at_10: float
    recall_at_5: float
    mrr_at_10: float
    answer_rate: float | None
    ms_per_query: float
    documents: int
    chunks: int
    queries: int

    def as_mapping(self) -> dict[str, float | int | None]:
        return {
            "ndcg@10": round(self.ndcg_at_10, 4),
            "recall@5": round(self.recall_at_5, 4),
            "mrr@10": round(self.mrr_at_10, 4),
            "answer_rate": None if self.answer_rate is None else round(self.answer_rate, 4),
            "ms_per_query": round(self.ms_per_query, 2),
            "documents": self.documents,
            "chunks": self.chunks,
            "queries": self.queries,
        }


def evaluate(
    folder: Path,
    settings: Settings,
    *,
    limit: int | None = None,
    by: Unit = "document",
    on_ingest: Callable[[IngestEvent], None] = lambda _: None,
    on_question: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Evaluate a folder in BEIR layout: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`.

    A question with a `history`, a list of earlier questions and their answers, is asked as a follow-up.

    `by` selects what is ranked: documents by their best chunk, or chunks. A chunk is relevant if it contains a known
    answer and belongs to a relevant document; questions without a relevant chunk are skipped.

    With `limit`, only that many questions are evaluated. They are evenly spaced in the file, so that the sample is
    representative and always the same. Raises UsageError `bad_evaluation_set` if the folder does not have this layout,
    ConfigurationError `eval_not_installed` if the packages for metrics are missing, and the errors that ingest and
    retrieval raise.
    """
    _require_metrics_packages()
    queries = _sample(_queries(folder), limit)
    with ScratchDirectory("streamrag-eval-") as scratch:
        corpus = scratch.path / "corpus"
        ids = write_corpus(folder / "corpus.jsonl", corpus)
        with open_store(settings.store).scratch_store(scratch.path) as store:
            scratch_settings = replace(settings, store=store, collection="evaluation")
            for event in ingest_or_raise(IngestRequest(paths=(corpus,), working_directory=corpus), scratch_settings):
                on_ingest(event)
            with closing(Retriever.open(scratch_settings)) as retriever:
                return _measure(retriever, queries, ids, settings.top_k, on_question, by=by)


def _measure(
    retriever: Retriever,
    queries: Sequence[Query],
    ids: Mapping[str, str],
    top_k: int,
    on_question: Callable[[int, int], None],
    *,
    by: Unit = "document",
) -> Report:
    if by == "chunk":
        queries = _by_chunk(retriever, queries, ids)
    run: dict[str, dict[str, float]] = {}
    spent_s = 0.0
    answered: list[bool] = []
    for number, query in enumerate(queries, start=1):
        started = time.perf_counter()
        retrieved = retriever.retrieve(query.text, history=query.history, limit=MAX_TOP_K, min_score=0.0)
        spent_s += time.perf_counter() - started
        run[query.id] = _documents(retrieved.hits, ids) if by == "document" else _chunks(retrieved.hits)
        if query.answers:
            answered.append(_quotes_answer(query, retrieved, retriever, top_k))
        on_question(number, len(queries))
    ndcg, recall, mrr = _metrics({query.id: dict(query.grades) for query in queries}, run)
    counts = retriever.reader.counts()
    return Report(
        ndcg_at_10=ndcg,
        recall_at_5=recall,
        mrr_at_10=mrr,
        answer_rate=sum(answered) / len(answered) if answered else None,
        ms_per_query=spent_s * 1000 / len(queries),
        documents=counts.documents,
        chunks=counts.chunks,
        queries=len(queries),
    )


def _documents(hits: Sequence[Hit], ids: Mapping[str, str]) -> dict[str, float]:
    """Return each document's score by id: the reciprocal rank of its best chunk."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(ids[hit.source], 1.0 / hit.rank)
    return best


def _chunks(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.chunk.id: 1.0 / hit.rank for hit in hits}


def _by_chunk(retriever: Retriever, queries: Sequence[Query], ids: Mapping[str, str]) -> list[Query]:
    """Return the questions with a relevant chunk, with the grades of chunks instead of documents."""
    catalog = retriever.reader.catalog
    paths = {ids[record.source]: record.path for record in catalog.documents_under(EVERYTHING)}
    relevant_queries: list[Query] = []
    for query in queries:
        grades = {
            chunk.id: grade
            for document, grade in query.grades.items()
            if document in paths
            for chunk in catalog.chunks_of(paths[document])
            if grade > 0 and contains_answer(chunk.text, query.answers)
        }
        if grades:
            relevant_queries.append(replace(query, grades=grades))
    if not relevant_queries:
        raise _bad_layout("no chunk of a relevant document contains a known answer")
    return relevant_queries


def _require_metrics_packages() -> None:
    try:
        import ir_measures  # noqa: F401
        import pytrec_eval  # noqa: F401 - ir_measures needs it
    except ImportError as error:
        raise ConfigurationError(
            "streamrag eval requires packages that are not installed: ir_measures and pytrec_eval",
            code="eval_not_installed",
            hint="pip install 'streamrag[eval]'",
        ) from error


def _metrics(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> tuple[float, float, float]:
    import ir_measures
    from ir_measures import RR, R, nDCG

    means = ir_measures.calc_aggregate([nDCG @ 10, R @ 5, RR @ 10], qrels, run)
    return means[nDCG @ 10], means[R @ 5], means[RR @ 10]


def _quotes_answer(query: Query, retrieved: Retrieved, retriever: Retriever, top_k: int) -> bool:
    quotes = pick_quotes(
        query.text, retrieved, max_hits=top_k, embedder=retriever.embedder, chunk_after=retriever.chunk_after
    )
    return contains_answer(" ".join(f"{quote.text} {quote.block}" for quote in quotes), query.answers)


def contains_answer(text: str, answers: Iterable[str]) -> bool:
    """Whether `text` contains one of the answers word for word. Case and punctuation do not matter."""
    folded = _folded(text)
    return any(_folded(answer) in folded for answer in answers)


def _folded(text: str) -> str:
    """Reduce `text` to its words in lower case, because an answer's punctuation does not matter."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def write_corpus(file: Path, folder: Path) -> dict[str, str]:
    """Write each entry as a Markdown file under `folder`; return the ids of the entries by file name.

    Raises UsageError `bad_evaluation_set`.
    """
    ids: dict[str, str] = {}
    for number, entry in enumerate(_json_lines(file)):
        name = f"{number // _ENTRIES_PER_FOLDER:04d}/{number:07d}.md"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        title = sanitise_line(str(entry.get("title") or ""))
        heading = f"# {title}\n\n" if title else ""
        path.write_text(f"{heading}{entry['text']}\n", encoding="utf-8", errors="replace")
        ids[name] = str(entry["_id"])
    if not ids:
        raise _bad_layout(f"{file} contains no entries")
    return ids


def _queries(folder: Path) -> list[Query]:
    grades: dict[str, dict[str, int]] = {}
    for query_id, document_id, grade in _relevance(folder / "qrels.tsv"):
        grades.setdefault(query_id, {})[document_id] = grade
    file = folder / "queries.jsonl"
    queries = [
        Query(
            id=str(entry["_id"]),
            text=str(entry["text"]),
            grades=grades[str(entry["_id"])],
            answers=_answers(entry),
            history=_history(entry, file),
        )
        for entry in _json_lines(file)
        if str(entry["_id"]) in grades
    ]
    if not queries:
        raise _bad_layout(f"no question in {file} has a relevant document in qrels.tsv")
    return queries


def _history(entry: Mapping[str, Any], file: Path) -> tuple[Turn, ...]:
    """Return the turns before a question. `history` and a turn's answer may be missing or null."""
    history = entry.get("history")
    turns = [] if history is None else history
    if not isinstance(turns, list) or not all(map(_is_turn, turns)):
        raise _bad_layout(
            f"{file}, question {entry['_id']}: history must be a list of objects with question and answer"
        )
    return tuple(Turn(question=turn["question"], answer=turn.get("answer") or "") for turn in turns)


def _is_turn(turn: object) -> bool:
    return (
        isinstance(turn, dict) and isinstance(turn.get("question"), str) and isinstance(turn.get("answer"), str | None)
    )


def _answers(entry: Mapping[str, Any]) -> tuple[str, ...]:
    answers = entry.get("answers") or entry.get("answer") or ()
    return (answers,) if isinstance(answers, str) else tuple(map(str, answers))


def _relevance(file: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(_lines(file)):
        parts = line.rstrip("\n").split("\t")
        if number == 0 and not parts[-1].strip().lstrip("-").isdigit():
            continue  # the header line of BEIR files
        try:
            query_id, document_id, grade = parts
            yield query_id, document_id, int(grade)
        except ValueError:
            raise _bad_layout(
                f"{file}, line {number + 1}: expected a query id, a document id and a grade, separated by tabs"
            ) from None


def _json_lines(file: Path) -> Iterator[Mapping[str, Any]]:
    required = {"_id", "text"}
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not required <= entry.keys():
            raise _bad_layout(f"{file}, line {number}: expected a JSON object with _id and text")
        yield entry


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield from lines
    except OSError as error:
        raise _bad_layout(f"{file}: {error.strerror}") from None


def _bad_layout(problem: str) -> UsageError:
    return UsageError(
        problem,
        code="bad_evaluation_set",
        hint="streamrag eval DIR, with corpus.jsonl, queries.jsonl and qrels.tsv in DIR",
    )


def _sample(queries: Sequence[Query], limit: int | None) -> list[Query]:
    if limit is None or limit >= len(queries):
        return list(queries)
    return [queries[index * len(queries) // limit] for index in range(limit)]
