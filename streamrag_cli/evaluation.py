"""Retrieval quality on questions with known answers.

The corpus goes through the ordinary ingest into a throw-away store, each entry as a document with its title as
heading, and each question through the ordinary retrieval. A document scores as its best chunk does. The metrics
are those of `ir_measures`, the interface to trec_eval; it comes with `pip install 'streamrag[eval]'`.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from streamrag_cli.answer.quoting import pick_quotes
from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.events import IngestEvent
from streamrag_cli.ingest.pipeline import IngestRequest, ingest_or_raise
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.retrieval.search import Retrieved
from streamrag_cli.setting_row import MAX_TOP_K
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from streamrag_cli.text import sanitise_line

Unit: TypeAlias = Literal["document", "chunk"]
_ENTRIES_PER_FOLDER: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question, the grade of each relevant document, and, where known, strings that a right answer contains."""

    id: str
    text: str
    grades: Mapping[str, int]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Metrics are means over the questions, 0 to 1. `answer_rate` is the share of questions whose quotes contain a
    known answer, None where no answers are known. `ms_per_query` is the time of retrieval alone.
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

    `by` says what is ranked: documents, by their best chunk, or chunks, of which those are relevant that hold a known
    answer and belong to a relevant document; questions without such a chunk are left out then.

    `limit` takes that many questions, evenly spread over the file, so that a smaller run is a fair sample and
    always the same one. Raises UsageError for a folder that is not in this layout, ConfigurationError without the
    packages that measure, and what ingest and retrieval raise.
    """
    _need_measures()
    queries = _spread(_queries(folder), limit)
    with tempfile.TemporaryDirectory(prefix="streamrag-eval-") as scratch:
        corpus = Path(scratch, "corpus")
        ids = _write_corpus(folder / "corpus.jsonl", corpus)
        with open_store(settings.store).scratch_store(Path(scratch)) as store:
            throw_away = replace(settings, store=store, collection="evaluation")
            for event in ingest_or_raise(IngestRequest(paths=(corpus,), working_directory=corpus), throw_away):
                on_ingest(event)
            with closing(Retriever.open(throw_away)) as retriever:
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
        found = retriever.retrieve(query.text, limit=MAX_TOP_K, min_score=0.0)
        spent_s += time.perf_counter() - started
        run[query.id] = _documents(found.hits, ids) if by == "document" else _chunks(found.hits)
        if query.answers:
            answered.append(_quotes_answer(query, found, retriever, top_k))
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
    """Each document with a number that falls with the rank of its best chunk."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(ids[hit.source], 1.0 / hit.rank)
    return best


def _chunks(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.chunk.id: 1.0 / hit.rank for hit in hits}


def _by_chunk(retriever: Retriever, queries: Sequence[Query], ids: Mapping[str, str]) -> list[Query]:
    """The questions with the grades of chunks instead of those of documents."""
    catalog = retriever.reader.catalog
    paths = {ids[record.source]: record.path for record in catalog.documents_under("/")}
    found: list[Query] = []
    for query in queries:
        wanted = [_folded(answer) for answer in query.answers]
        grades = {
            chunk.id: grade
            for document, grade in query.grades.items()
            if document in paths
            for chunk in catalog.chunks_of(paths[document])
            if grade > 0 and any(answer in _folded(chunk.text) for answer in wanted)
        }
        if grades:
            found.append(replace(query, grades=grades))
    if not found:
        raise _not_in_layout("no question has a known answer that a chunk of its documents holds")
    return found


def _need_measures() -> None:
    try:
        import ir_measures  # noqa: F401
        import pytrec_eval  # noqa: F401 - what the former measures with
    except ImportError as error:
        raise ConfigurationError(
            "measuring retrieval needs packages that are not installed",
            code="eval_not_installed",
            hint="pip install 'streamrag[eval]'",
        ) from error


def _metrics(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> tuple[float, float, float]:
    import ir_measures
    from ir_measures import RR, R, nDCG

    found = ir_measures.calc_aggregate([nDCG @ 10, R @ 5, RR @ 10], qrels, run)
    return found[nDCG @ 10], found[R @ 5], found[RR @ 10]


def _quotes_answer(query: Query, found: Retrieved, retriever: Retriever, top_k: int) -> bool:
    quotes = pick_quotes(
        query.text, found, max_hits=top_k, embedder=retriever.embedder, chunk_after=retriever.chunk_after
    )
    said = _folded(" ".join(f"{quote.text} {quote.block}" for quote in quotes))
    return any(_folded(answer) in said for answer in query.answers)


def _folded(text: str) -> str:
    """Words alone, lower-cased: a gold answer's punctuation is not what is measured."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def _write_corpus(file: Path, folder: Path) -> dict[str, str]:
    """Write each entry as a Markdown file under `folder`; return entry ids by file name."""
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
        raise _not_in_layout(f"{file} has no entries")
    return ids


def _queries(folder: Path) -> list[Query]:
    grades: dict[str, dict[str, int]] = {}
    for query_id, document_id, grade in _relevance(folder / "qrels.tsv"):
        grades.setdefault(query_id, {})[document_id] = grade
    found = [
        Query(
            id=str(entry["_id"]),
            text=str(entry["text"]),
            grades=grades[str(entry["_id"])],
            answers=_answers(entry),
        )
        for entry in _json_lines(folder / "queries.jsonl")
        if str(entry["_id"]) in grades
    ]
    if not found:
        raise _not_in_layout(f"no question of {folder / 'queries.jsonl'} has a relevant document in qrels.tsv")
    return found


def _answers(entry: Mapping[str, Any]) -> tuple[str, ...]:
    given = entry.get("answers") or entry.get("answer") or ()
    return (given,) if isinstance(given, str) else tuple(map(str, given))


def _relevance(file: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(_lines(file)):
        parts = line.rstrip("\n").split("\t")
        if number == 0 and not parts[-1].strip().lstrip("-").isdigit():
            continue  # the heading that BEIR files have
        try:
            query_id, document_id, grade = parts
            yield query_id, document_id, int(grade)
        except ValueError:
            raise _not_in_layout(
                f"{file}, line {number + 1}: not query, document and grade separated by tabs"
            ) from None


def _json_lines(file: Path) -> Iterator[Mapping[str, Any]]:
    needed = {"_id", "text"}
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not needed <= entry.keys():
            raise _not_in_layout(f"{file}, line {number}: not a JSON object with _id and text")
        yield entry


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield from lines
    except OSError as error:
        raise _not_in_layout(f"{file}: {error.strerror}") from None


def _not_in_layout(why: str) -> UsageError:
    return UsageError(
        why, code="bad_evaluation_set", hint="streamrag eval DIR, with corpus.jsonl, queries.jsonl and qrels.tsv in DIR"
    )


def _spread(queries: Sequence[Query], limit: int | None) -> list[Query]:
    if limit is None or limit >= len(queries):
        return list(queries)
    return [queries[index * len(queries) // limit] for index in range(limit)]
