"""Measures whether the multilingual embedder's score refuses off-topic questions in several languages.

    python -m benchmarks.off_topic SETS/languages

SETS/languages has folders in BEIR format, named by language: questions in that language about a corpus whose passages
are in several languages. For each language, prints which share of these questions and of 20 off-topic ones get an
answer with `--min-score 0.3`, the default, and their two lowest and three highest scores. First only the passages in
that language are ingested, then all of them.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.corpora import ingest_all, read_lines
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import Settings

MIN_SCORE: Final = 0.3
OFF_TOPIC: Final = {
    "de": (
        "Wie viele Monde hat der Mars?",
        "Wer schrieb Don Quijote?",
        "Bei welcher Temperatur siedet Stickstoff?",
        "Wie strickt man einen Schal?",
        "Wer gewann die Fußball-Weltmeisterschaft 1998?",
        "Wie wird Insulin im Körper gebildet?",
        "Was ist die Hauptstadt der Mongolei?",
        "Wie wechselt man das Öl eines Rasenmähers?",
        "Wann wurde der Buchdruck erfunden?",
        "Wie wirken Impfungen?",
        "Was macht ein Notar?",
        "Wie hoch ist der Kilimandscharo?",
        "Wie schließt man eine Spülmaschine an?",
        "Welche Instrumente gehören zu einem Streichquartett?",
        "Wie taucht ein U-Boot?",
        "Was unterscheidet Jazz von Blues?",
        "Wie alt werden Elefanten?",
        "Wie erzieht man einen Welpen?",
        "Wie entstehen Polarlichter?",
        "Wie wird Papier recycelt?",
    ),
    "ja": (
        "火星には衛星がいくつありますか",
        "ドン・キホーテの作者は誰ですか",
        "窒素の沸点は何度ですか",
        "マフラーはどうやって編みますか",
        "1998年のサッカーワールドカップで優勝したのはどこですか",
        "インスリンは体内でどのように作られますか",
        "モンゴルの首都はどこですか",
        "芝刈り機のオイル交換の方法を教えてください",
        "活版印刷はいつ発明されましたか",
        "ワクチンはどのように効くのですか",
        "公証人の仕事は何ですか",
        "キリマンジャロの高さはどのくらいですか",
        "食器洗い機の取り付け方を教えてください",
        "弦楽四重奏の楽器は何ですか",
        "潜水艦はどうやって潜るのですか",
        "ジャズとブルースの違いは何ですか",
        "象の寿命はどのくらいですか",
        "子犬のしつけ方を教えてください",
        "オーロラはなぜ見えるのですか",
        "紙はどのように再生されますか",
    ),
    "ru": (
        "Сколько спутников у Марса?",
        "Кто написал «Дон Кихота»?",
        "При какой температуре кипит азот?",
        "Как связать шарф?",
        "Кто выиграл чемпионат мира по футболу 1998 года?",
        "Как в организме образуется инсулин?",
        "Какой город является столицей Монголии?",
        "Как поменять масло в газонокосилке?",
        "Когда изобрели книгопечатание?",
        "Как действуют прививки?",
        "Чем занимается нотариус?",
        "Какова высота Килиманджаро?",
        "Как подключить посудомоечную машину?",
        "Какие инструменты входят в струнный квартет?",
        "Как погружается подводная лодка?",
        "Чем джаз отличается от блюза?",
        "Сколько живут слоны?",
        "Как воспитывать щенка?",
        "Отчего возникает полярное сияние?",
        "Как перерабатывают бумагу?",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sets", type=Path)
    sets: Path = parser.parse_args().sets
    for language, off_topic in OFF_TOPIC.items():
        own = [entry["text"] for entry in read_lines(sets / language / "queries.jsonl")]
        entries = read_lines(sets / language / "corpus.jsonl")
        for name, prefix in (("own language", language), ("all languages", "")):
            passages = (entry for entry in entries if entry["_id"].startswith(prefix))
            own_scores, other_scores = _best_scores(passages, (own, off_topic))
            print(
                f"{language}, passages in {name}: answered {_described(own_scores)}; "
                f"off-topic answered {_described(other_scores)}"
            )


def _best_scores(passages: Iterable[dict[str, str]], groups: Iterable[Sequence[str]]) -> list[list[float]]:
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch, "pages")
        pages.mkdir()
        for entry in passages:
            (pages / f"{entry['_id']}.txt").write_text(entry["text"], encoding="utf-8")
        settings = Settings(store=Path(scratch, "store"), embedding="multilingual")
        ingest_all(pages, settings)
        with closing(Retriever.open(settings)) as retriever:
            return [
                sorted(retriever.retrieve(question, limit=1, min_score=0).best_score for question in questions)
                for questions in groups
            ]


def _described(scores: Sequence[float]) -> str:
    share = sum(score >= MIN_SCORE for score in scores) / len(scores)
    return f"{share:.2f} of {len(scores)} ({', '.join(f'{score:.2f}' for score in (*scores[:2], *scores[-3:]))})"


if __name__ == "__main__":
    main()
