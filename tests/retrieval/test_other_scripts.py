"""Questions and documents in scripts that the built-in embedder does not support are matched by their words."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamrag_cli.errors import NothingRelevantError
from streamrag_cli.events import AskEvent, Notice, Token
from streamrag_cli.model import Question
from streamrag_cli.retrieval.lexical import content_words, is_outside_latin
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.service.local import LocalService
from tests.support.collection import make_collection

DOCUMENTS = {
    "station.md": "# 山区气象站\n\n气象站每天早上七点放飞探空气球。数据由两名观测员记录，保存三年。\n",
    "bakery.md": "# 面包房\n\n面包房每天清晨四点开始烤面包，周一休息。\n",
    "library.md": "# 図書館\n\n図書館は月曜日が休館日です。本は二週間借りることができます。\n",
    "pool.md": "# 수영장\n\n수영장은 오전 여섯 시에 문을 엽니다. 어린이는 보호자와 함께 입장해야 합니다.\n",
    "zoo.md": "# สวนสัตว์\n\nสวนสัตว์เปิดเวลาแปดโมงเช้า ค่าเข้าชมหนึ่งร้อยบาท\n",
    "museum.md": "# Музей\n\nМузей открывается в десять часов утра. Билет стоит триста рублей.\n",
    "harbour.md": "# Harbour\n\nThe harbour office opens at eight. A berth costs twelve euros a night.\n",
}


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    with closing(Retriever.open(make_collection(tmp_path_factory.mktemp("polyglot"), DOCUMENTS))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("探空气球什么时候放飞？", "station.md"),
        ("面包房星期几休息？", "bakery.md"),
        ("本は何週間借りられますか", "library.md"),
        ("수영장은 몇 시에 문을 여나요?", "pool.md"),
        ("สวนสัตว์เปิดกี่โมง", "zoo.md"),
        ("Когда открывается музей?", "museum.md"),
        ("When does the harbour office open?", "harbour.md"),
    ],
)
def test_the_document_with_the_words_of_the_question_is_the_only_relevant_one(
    question: str, source: str, polyglot: Retriever
) -> None:
    hits = polyglot.retrieve(question, limit=5, min_score=0.3).hits

    assert [hit.source for hit in hits] == [f"docs/{source}"]


@pytest.mark.parametrize(
    "question",
    [
        "火星上有多少卫星？",
        "怎样修理自行车轮胎？",
        "火星の衛星はいくつありますか",
        "화성의 위성은 몇 개입니까?",
        "ดาวอังคารมีดวงจันทร์กี่ดวง",
        "Сколько спутников у Марса?",
        "How many moons does Mars have?",
    ],
)
def test_an_off_topic_question_is_rejected_in_any_script(question: str, polyglot: Retriever) -> None:
    with pytest.raises(NothingRelevantError):
        polyglot.retrieve(question, limit=5, min_score=0.3)


def test_only_questions_in_unsupported_scripts_are_scored_without_vectors(polyglot: Retriever) -> None:
    assert polyglot.retrieve("面包房几点烤面包？", limit=1, min_score=0.0).is_lexical_only
    assert not polyglot.retrieve("What does a berth cost?", limit=1, min_score=0.0).is_lexical_only


def test_a_passage_in_the_language_of_the_question_precedes_one_that_only_shares_its_characters(tmp_path: Path) -> None:
    documents = {
        "rent.md": "# 賃貸\n\n賃貸住宅の借主は、一か月前までに通知すれば契約を解約できる。退去のときには敷金が戻る。\n",
        "lease.md": "# 租房\n\n租客提前退租，押金七日内退还。\n",
    }
    question = "引っ越しをする何日前に大家さんに知らせる必要がありますか"
    with closing(Retriever.open(make_collection(tmp_path, documents))) as retriever:
        hits = retriever.retrieve(question, limit=2, min_score=0.0).hits

    assert [hit.source for hit in hits] == ["docs/rent.md", "docs/lease.md"]


def test_question_words_are_not_searched_for() -> None:
    assert content_words("面包房几点开？") == ["面", "包", "房", "点", "开", "面包", "包房", "点开"]
    assert content_words("What is the café's menu?") == ["café", "menu"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("42 %", False),
        ("naïve façade", False),
        ("Docker 怎么安装", True),
        ("Ελλάδα", True),
        ("Ａｂｃ", False),
    ],
)
def test_the_script_of_most_words_is_the_script_of_the_text(text: str, expected: bool) -> None:
    assert is_outside_latin(text) is expected


def test_an_answer_reports_that_only_words_were_compared(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, {"bakery.md": DOCUMENTS["bakery.md"]})

    async def answered(text: str) -> list[AskEvent]:
        return [
            event async for event in LocalService().ask(Question(text=text, accepted_at=time.perf_counter()), settings)
        ]

    events = asyncio.run(answered("面包房星期几休息？"))

    assert [event.code for event in events if isinstance(event, Notice)] == ["language_unsupported", "quotes_only"]
    assert "周一休息" in "".join(event.text for event in events if isinstance(event, Token))
