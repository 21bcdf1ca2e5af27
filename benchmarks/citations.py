"""Measures how well unsupported citations are detected: the shares of right and of wrong citations that are marked.

    python -m benchmarks.citations SETS/squad [--half tune|report] [--show N]

Statements are made from the questions, answers and sentences in a data set in BEIR format whose queries have
`answers`. Right ones cite the passage that they come from. Wrong ones have another number or another name of the same
kind, taken from another passage, or cite another passage. Every second article is for tuning, the others for the
report.
Also judges the hand-written answers in `written_answers.py`.
"""

import argparse
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.written_answers import WRITTEN
from streamrag_cli.answer.support import unsupported
from streamrag_cli.model import Source

_SENTENCE_END: Final = re.compile(r"(?<=[a-z)\"0-9][.!?]) +(?=[A-Z\"])")
_NUMBER: Final = re.compile(r"(?<![\w.,/:\u2013-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w/:-]|[.,]\d)")
_NUMBER_WORD: Final = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fifteen|twenty|thirty|forty|fifty)\b"
)
_NAME: Final = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]{2,}(?: (?:of |de )?[A-Z][a-z]{2,}){0,2})(?=[ ,.;])")
_SUBJECT: Final = re.compile(
    r"(?:Who|What|Which(?: [a-z]+){1,2}|What(?: [a-z]+){1,2}) ((?:is|was|were|are|has|had|can|will|would|led|made"
    r"|won|wrote|founded|created|became|began|ruled|built|signed|controls|caused|helped|used|produced|[a-z]+ed) .+)\?"
)
_WHEN: Final = re.compile(r"(?:When|In what year|In which year|What year) (?:did|was|were|is) (.+)\?")
_WHERE: Final = re.compile(r"(?:Where|In what (?:city|country|state)) (?:did|was|were|is|are|do|does) (.+)\?")
_HOW_MANY: Final = re.compile(r"How (?:many|much) (.+)\?")
_WORDINGS: Final = {
    "began": "started",
    "large": "big",
    "also": "in addition",
    "used": "employed",
    "many": "a lot of",
    "however": "still",
    "because": "since",
    "often": "frequently",
    "several": "a number of",
    "most": "the majority of",
    "became": "turned into",
    "important": "significant",
    "such as": "for example",
    "found": "discovered",
    "known as": "called",
    "located": "situated",
    "included": "comprised",
    "about": "around",
}


@dataclass(frozen=True, slots=True)
class Passage:
    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A statement that cites `passage`, and the question that it answers."""

    kind: str
    statement: str
    passage: Passage
    question: str = ""
    answer: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--show", type=int, default=0, help="print this many misjudged statements of each kind")
    arguments = parser.parse_args()
    passages, questions = _read(arguments.set)
    titles = sorted({each.title for each in passages.values()})
    chosen = set(titles[0 if arguments.half == "tune" else 1 :: 2])
    chance = random.Random(4)
    right = [
        case for each in passages.values() if each.title in chosen for case in _right(each, questions[each.id], chance)
    ]
    pool = [each for each in passages.values() if each.title in chosen]
    groups = {
        "right": right,
        "wrong number": [each for case in right for each in _wrong_number(case, pool, chance)],
        "wrong name": [each for case in right for each in _wrong_name(case, right, chance)],
        "another article": [_wrong_source(case, pool, chance, same_title=False) for case in right],
        "another passage of the article": [_wrong_source(case, pool, chance, same_title=True) for case in right],
    }
    for name, cases in groups.items():
        _report(name, [case for case in cases if case.passage.text], show=arguments.show)
    written: dict[str, list[Case]] = {"right": [], "with an error": []}
    for each in WRITTEN:
        passage = Passage("", "", each.passage)
        written["right"] += [Case("written", text, passage, each.question) for text in each.right]
        written["with an error"] += [Case("written", text, passage, each.question) for text in each.wrong]
    for name, cases in written.items():
        _report(name, cases, show=arguments.show, is_marked_already=True)


def _report(name: str, cases: Sequence[Case], *, show: int, is_marked_already: bool = False) -> None:
    marked: Counter[str] = Counter()
    total: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    took_ms = []
    for case in cases:
        source = Source(
            n=1,
            source="passage.txt",
            page=None,
            line_start=1,
            line_end=9,
            title=case.passage.title,
            content="",
            score=1.0,
            chunk_id="c",
            text=case.passage.text,
        )
        started = time.thread_time()
        answer = case.statement if is_marked_already else f"{case.statement.rstrip('.')} [1]."
        is_marked = bool(unsupported(answer, [source], [case.question]))
        took_ms.append(1000 * (time.thread_time() - started))
        total[case.kind] += 1
        marked[case.kind] += is_marked
        if is_marked == (name == "right") and shown[case.kind] < show:
            shown[case.kind] += 1
            print(
                f"    [{case.kind}] {case.statement}\n        Q: {case.question}\n        P: {case.passage.text[:700]}"
            )
    by_kind = ", ".join(f"{kind} {marked[kind] / count:.3f} of {count}" for kind, count in sorted(total.items()))
    print(f"{name}: marked {marked.total() / total.total():.4f} of {total.total()} ({by_kind}); ", end="")
    print(f"{sum(took_ms) / len(took_ms):.2f} ms on average, at most {max(took_ms):.1f} ms")


def _read(folder: Path) -> tuple[dict[str, Passage], dict[str, list[tuple[str, str]]]]:
    passages = {}
    for line in (folder / "corpus.jsonl").read_text().splitlines():
        row = json.loads(line)
        passages[row["_id"]] = Passage(row["_id"], row["title"], row["text"])
    queries = {}
    for line in (folder / "queries.jsonl").read_text().splitlines():
        row = json.loads(line)
        queries[row["_id"]] = (row["text"].strip(), row["answers"][0])
    questions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, passage, _ = line.split("\t")
        questions[passage].append(queries[query])
    return passages, questions


def _right(passage: Passage, questions: Sequence[tuple[str, str]], chance: random.Random) -> Iterator[Case]:
    for question, answer in questions:
        for kind, statement in _declaratives(question, answer):
            yield Case(kind, statement, passage, question, answer)
    if not questions:
        return
    question = questions[0][0]
    sentences = [each.strip() for each in _SENTENCE_END.split(passage.text) if 6 <= len(each.split()) <= 45]
    for sentence in chance.sample(sentences, min(3, len(sentences))):
        yield Case("sentence", sentence, passage, question)
        if (shortened := sentence.split(",")[0]) != sentence and len(shortened.split()) >= 6:
            yield Case("shortened", shortened, passage, question)
        if (reworded := _reworded(sentence)) != sentence:
            yield Case("reworded", reworded, passage, question)
        if (rewritten := _other_forms(sentence)) != sentence:
            yield Case("other forms", rewritten, passage, question)
    if len(sentences) > 2:
        first, second = chance.sample(sentences, 2)
        yield Case("joined", f"{first.rstrip('.')}, and {second[0].lower()}{second[1:]}", passage, question)


def _declaratives(question: str, answer: str) -> Iterator[tuple[str, str]]:
    if match := _SUBJECT.fullmatch(question):
        yield "declarative", f"{answer[0].upper()}{answer[1:]} {match[1]}."
        yield "declarative", f"The one that {match[1]} is {answer}."
    elif match := _WHEN.fullmatch(question):
        yield "declarative", f"It was in {answer} that {match[1]}."
    elif match := _WHERE.fullmatch(question):
        yield "declarative", f"{match[1][0].upper()}{match[1][1:]} in {answer}."
    elif match := _HOW_MANY.fullmatch(question):
        yield "declarative", f"There were {answer} {match[1]}."
    else:
        yield "declarative", f"The answer is {answer}."


def _reworded(sentence: str) -> str:
    for old, new in _WORDINGS.items():
        sentence = re.sub(rf"\b{old}\b", new, sentence)
    return sentence


def _other_forms(sentence: str) -> str:
    """The sentence with numbers and dates in another form."""
    words = "zero one two three four five six seven eight nine ten eleven twelve".split()
    sentence = re.sub(r"(?<=\d),(?=\d{3})", "", sentence)
    sentence = re.sub(r"(\d+) ?%", r"\1 percent", sentence)
    sentence = re.sub(r"\b([A-Z][a-z]+) (\d{1,2}), (\d{4})", r"\2 \1 \3", sentence)
    sentence = re.sub(
        r"(?<![\d.,-])(\d\d?)(?= [a-z])", lambda m: words[int(m[1])] if int(m[1]) < 13 else m[1], sentence
    )
    return re.sub(r"\b(?:two|three|four|five|six|seven|eight|nine|ten)\b", lambda m: str(words.index(m[0])), sentence)


def _wrong_number(case: Case, pool: Sequence[Passage], chance: random.Random) -> Iterator[Case]:
    """The statement with another number of the same kind instead of one that its question does not have."""
    pattern = _NUMBER if _NUMBER.search(case.answer or case.statement) else _NUMBER_WORD
    if case.kind == "other forms":
        return
    matches = [each for each in pattern.finditer(case.statement) if each[0] not in case.question and each[0] != "1"]
    if case.answer:
        matches = [each for each in matches if each[0] in case.answer]
    if not matches:
        return
    for _ in range(60):
        match = chance.choice(matches)
        others = [each[0] for each in pattern.finditer(chance.choice(pool).text) if _shape(each[0]) == _shape(match[0])]
        if others and (other := chance.choice(others)) not in case.passage.text and other not in case.question:
            statement = case.statement[: match.start()] + other + case.statement[match.end() :]
            yield replace(case, statement=statement, kind=f"{case.kind}, {_shape(match[0])}")
            return


def _shape(number: str) -> str:
    if number.isalpha():
        return "word"
    plain = number.replace(",", "")
    if "." in number:
        return "decimal"
    return (
        "year"
        if len(plain) == 4 and plain[:2] in {"10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20"}
        else ("small" if len(plain) < 3 else "large")
    )


def _wrong_name(case: Case, right: Sequence[Case], chance: random.Random) -> Iterator[Case]:
    """The statement with another name: another answer to such a question, or a name from another article."""
    if case.answer:
        if not re.fullmatch(r"(?:[A-Z][\w.'-]+)(?: (?:of |the |de )*[A-Z][\w.'-]+)*", case.answer):
            return
        word = case.question.split()[0]
        for _ in range(300):
            other = chance.choice(right)
            if (
                other.answer
                and other.question.startswith(word)
                and other.passage.title != case.passage.title
                and re.fullmatch(r"(?:[A-Z][\w.'-]+)(?: (?:of |the |de )*[A-Z][\w.'-]+)*", other.answer)
                and other.answer not in case.passage.text + case.question
                and case.answer in case.statement
            ):
                yield replace(case, statement=case.statement.replace(case.answer, other.answer, 1))
                return
        return
    matches = [
        each for each in _NAME.finditer(case.statement) if each[0] not in case.question and not _is_month(each[0])
    ]
    for _ in range(40 if matches else 0):
        elsewhere = chance.choice(right).passage
        names = [each[0] for each in _NAME.finditer(elsewhere.text) if not _is_month(each[0])]
        if names and elsewhere.title != case.passage.title:
            match, name = chance.choice(matches), chance.choice(names)
            if name not in case.passage.text + case.question:
                statement = case.statement[: match.start()] + name + case.statement[match.end() :]
                yield replace(case, statement=statement)
                return


def _is_month(name: str) -> bool:
    return name in {
        *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
        *("November", "December", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    }


def _wrong_source(case: Case, pool: Sequence[Passage], chance: random.Random, *, same_title: bool) -> Case:
    fits: Callable[[Passage], bool] = lambda each: (each.title == case.passage.title) is same_title  # noqa: E731
    candidates = [each for each in pool if fits(each) and each.id != case.passage.id]
    return replace(case, passage=chance.choice(candidates) if candidates else Passage("", "", ""))


if __name__ == "__main__":
    main()
