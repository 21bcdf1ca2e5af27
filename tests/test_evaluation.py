"""`eval`: metrics of a small set calculated by hand, and a regression test on a public set if available."""

import json
import os
import sys
from pathlib import Path

import pytest

from streamrag_cli.errors import ConfigurationError, ExitCode, UsageError
from streamrag_cli.evaluation import evaluate
from streamrag_cli.settings import Settings
from tests.support.collection import DOCUMENTS

SETS = Path(os.environ.get("STREAMRAG_EVALUATION_SETS") or Path(__file__).parents[2] / "shared" / "data")


def write_set(folder: Path, *, corpus: object = None, queries: object = None, qrels: str | None = None) -> Path:
    entries = corpus or [{"_id": name, "title": name, "text": text} for name, text in DOCUMENTS.items()]
    questions = queries or [
        {"_id": "q1", "text": "Who built the lighthouse?", "answers": ["Ada Brandt"]},
        {"_id": "q2", "text": "What is the range at springs?", "answer": "4.1 metres"},
        {"_id": "q3", "text": "How is chowder made?", "answers": ["with a blender"]},
        {"_id": "unjudged", "text": "Why?"},
    ]
    for name, lines in (("corpus.jsonl", entries), ("queries.jsonl", questions)):
        assert isinstance(lines, list)
        (folder / name).write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    default = "query-id\tcorpus-id\tscore\nq1\tlighthouse.md\t1\nq2\ttides.txt\t1\nq3\trecipes.md\t1\n"
    (folder / "qrels.tsv").write_text(qrels or default, encoding="utf-8")
    return folder


def test_metrics_of_a_small_set_match_results_calculated_by_hand(tmp_path: Path) -> None:
    report = evaluate(write_set(tmp_path), Settings(store=tmp_path / "unused"))

    mapping = report.as_mapping()
    assert list(mapping) == [
        "ndcg@10",
        "recall@5",
        "mrr@10",
        "answer_rate",
        "ms_per_query",
        "documents",
        "chunks",
        "queries",
    ]
    assert {key: value for key, value in mapping.items() if key not in {"ms_per_query", "chunks"}} == {
        "ndcg@10": 1.0,
        "recall@5": 1.0,
        "mrr@10": 1.0,
        "answer_rate": 0.6667,
        "documents": 4,
        "queries": 3,
    }
    assert not (tmp_path / "unused").exists()


def test_a_wrongly_judged_document_lowers_the_metrics(tmp_path: Path) -> None:
    report = evaluate(write_set(tmp_path, qrels="q1\tnot-there\t1\nq2\ttides.txt\t1\n"), Settings(store=tmp_path / "s"))

    assert (report.queries, report.ndcg_at_10, report.recall_at_5, report.mrr_at_10) == (2, 0.5, 0.5, 0.5)


def test_without_known_answers_the_answer_rate_is_unknown(tmp_path: Path) -> None:
    write_set(tmp_path, queries=[{"_id": "q1", "text": "Who built the lighthouse?"}])

    assert evaluate(tmp_path, Settings(store=tmp_path / "s")).answer_rate is None


def test_chunks_are_relevant_if_they_contain_a_known_answer(tmp_path: Path) -> None:
    filler = "The gulls circle the tower in the evening and rest on the rocks below it at night. " * 12
    entries = [
        {"_id": "tower", "title": "Tower", "text": f"{filler}\n\nThe tower was built by Ada Brandt.\n\n{filler}"},
        {"_id": "pier", "title": "Pier", "text": "The pier was built by Ada Brandt as well."},
    ]
    queries = [
        {"_id": "q1", "text": "Who built the tower?", "answers": ["Ada Brandt"]},
        {"_id": "q2", "text": "Who painted the tower?", "answers": ["Otto"]},
    ]
    folder = write_set(tmp_path, corpus=entries, queries=queries, qrels="q1\ttower\t1\nq2\ttower\t1\n")

    report = evaluate(folder, Settings(store=tmp_path / "unused"), by="chunk")

    assert (report.queries, report.ndcg_at_10, report.recall_at_5) == (1, 1.0, 1.0)


def test_questions_without_known_answers_cannot_be_judged_by_chunk(tmp_path: Path) -> None:
    queries = [{"_id": "q1", "text": "Who built the lighthouse?"}]
    with pytest.raises(UsageError, match="no chunk of a relevant document contains a known answer"):
        evaluate(write_set(tmp_path, queries=queries), Settings(store=tmp_path / "unused"), by="chunk")


def test_a_question_with_a_history_is_asked_as_a_follow_up(tmp_path: Path) -> None:
    history = [
        {"question": "How is chowder made?", "answer": "With clams."},
        {"question": "What is the range of tides?"},
    ]
    queries = [
        {"_id": "q1", "text": "Could you put that differently?", "history": history},
        {"_id": "q2", "text": "What is the range at springs?", "history": None},
    ]
    write_set(tmp_path, queries=queries, qrels="q1\ttides.txt\t1\nq2\ttides.txt\t1\n")

    report = evaluate(tmp_path, Settings(store=tmp_path / "s"))

    assert (report.queries, report.ndcg_at_10, report.recall_at_5) == (2, 1.0, 1.0)


def test_a_limit_reduces_the_number_of_questions(tmp_path: Path) -> None:
    assert evaluate(write_set(tmp_path), Settings(store=tmp_path / "s"), limit=2).queries == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"qrels": "q1\tlighthouse.md\t1\nq2 tides.txt 1\n"},
            "qrels.tsv, line 2: expected a query id, a document id and a grade",
        ),
        ({"qrels": "other\tlighthouse.md\t1\n"}, "has a relevant document in qrels.tsv"),
        ({"corpus": [{"text": "no id"}]}, "corpus.jsonl, line 1: expected a JSON object with _id and text"),
        ({"queries": ["a string"]}, "queries.jsonl, line 1: expected a JSON object with _id and text"),
        *(
            (
                {"queries": [{"_id": "q1", "text": "Why?", "history": history}]},
                "queries.jsonl, question q1: history must be a list of objects with question and answer",
            )
            for history in (
                "Who?",
                {"question": "Who?"},
                ["Who?"],
                [{"answer": "Ada"}],
                [{"question": "Who?", "answer": 1}],
            )
        ),
    ],
)
def test_a_folder_with_the_wrong_layout_is_a_usage_error(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    write_set(tmp_path, **changes)  # type: ignore[arg-type]

    with pytest.raises(UsageError) as caught:
        evaluate(tmp_path, Settings(store=tmp_path / "s"))

    assert message in caught.value.message


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        evaluate(tmp_path / "nowhere", Settings(store=tmp_path / "s"))


@pytest.mark.parametrize("package", ["ir_measures", "pytrec_eval"])
def test_without_the_metrics_packages_the_hint_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ConfigurationError) as caught:
        evaluate(write_set(tmp_path), Settings(store=tmp_path / "s"), on_ingest=lambda _: pytest.fail("it ingests"))

    assert (caught.value.exit_code, caught.value.code) == (ExitCode.CONFIGURATION, "eval_not_installed")
    assert caught.value.hint == "pip install 'streamrag[eval]'"


@pytest.mark.timeout(300)
@pytest.mark.skipif(not (SETS / "squad").is_dir(), reason="the public question sets are not available")
def test_retrieval_quality_on_squad_does_not_regress(tmp_path: Path) -> None:
    report = evaluate(SETS / "squad", Settings(store=tmp_path / "s"), limit=150)

    assert report.ndcg_at_10 >= 0.87
    assert report.answer_rate is not None
    assert report.answer_rate >= 0.83
