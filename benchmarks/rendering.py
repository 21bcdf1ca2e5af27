"""Measures the cost of rendering an answer while it is written, compared with other methods.

    python -m benchmarks.rendering                 every shape at 1,000 to 16,000 tokens, and the bytes written
    python -m benchmarks.rendering --compare-live  the mixed answer compared with Rich's Live and with plain text

An answer arrives in tokens of about four characters, 100 per second of a simulated clock. It is rendered on a terminal
with 100 columns and 40 rows that discards its output. Times are CPU seconds of this process. The lower limit is a
single render of the complete text by Rich. `Live` renders the text so far twelve times per second. Only some of its
frames, evenly spaced, are actually rendered, and their total time is extrapolated.
"""

import argparse
import gc
import io
import itertools
import re
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from streamrag_cli.render.markdown import MarkdownStream

TOKEN_CHARS: Final = 4
TOKENS_PER_S: Final = 100
LIVE_FRAMES_PER_S: Final = 12
COLUMNS, LINES = 100, 40
SIZES: Final = (1_000, 4_000, 16_000)

_WORDS: Final = (
    "the store keeps every chunk with its source and a reader can open the file at that line because retrieval is one "
    "batch call and only the answer streams so nothing that scrolled away has to be taken back when a model is slow"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--compare-live", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES))
    arguments = parser.parse_args()
    streamed(SHAPES["mixed"](2_000))  # imports and caches
    if arguments.compare_live:
        compare_with_live(arguments.rounds)
    else:
        by_shape(arguments.shapes, arguments.rounds)


def by_shape(shapes: list[str], rounds: int) -> None:
    print(f"{'shape':<10} {'us/token at 1k':>15} {'4k':>7} {'16k':>7} {'16k/1k':>7} {'x render':>9} {'bytes/char':>11}")
    for name in shapes:
        texts = [SHAPES[name](size * TOKEN_CHARS) for size in SIZES]
        costs = [min(streamed(text)[0] for _ in range(rounds)) for text in texts]
        per_token = [cost / len(text) * TOKEN_CHARS * 1e6 for cost, text in zip(costs, texts, strict=True)]
        floor = min(_cpu_s(rendered, texts[-1]) for _ in range(rounds))
        sent = streamed(texts[-1])[1] / len(texts[-1])
        print(
            f"{name:<10} {per_token[0]:15.0f} {per_token[1]:7.0f} {per_token[2]:7.0f} "
            f"{per_token[2] / per_token[0]:7.2f} {costs[2] / floor:9.1f} {sent:11.1f}"
        )


def compare_with_live(rounds: int) -> None:
    print(f"{'tokens':>7} {'plain':>8} {'one render':>11} {'streamed':>9} {'Live 12/s':>10} {'Live/streamed':>14}")
    for size in SIZES:
        text = SHAPES["mixed"](size * TOKEN_CHARS)
        plain = min(_cpu_s(written_plainly, text) for _ in range(rounds))
        floor = min(_cpu_s(rendered, text) for _ in range(rounds))
        ours = min(streamed(text)[0] for _ in range(rounds))
        live = live_s(text)
        print(f"{size:7} {plain:8.3f} {floor:11.3f} {ours:9.3f} {live:10.2f} {live / ours:14.0f}")


class Nowhere(io.StringIO):
    """An output that counts the bytes written to it and discards them."""

    def __init__(self) -> None:
        super().__init__()
        self.sent_bytes = 0

    def write(self, text: str) -> int:
        self.sent_bytes += len(text.encode())
        return len(text)


def streamed(text: str) -> tuple[float, int]:
    """CPU seconds and bytes of one answer; a frame that is due between two tokens is rendered between them."""
    out = Nowhere()
    tokens = [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]
    gc.collect()
    started = time.process_time()
    stream = MarkdownStream(out, columns=COLUMNS, lines=LINES, color_system="truecolor", references={1: "file:///a"})
    for number, token in enumerate(tokens):
        now_s = number / TOKENS_PER_S
        if stream.due_s is not None and stream.due_s < now_s:
            stream.tick(stream.due_s)
        stream.feed(token, now_s)
    stream.finish()
    return time.process_time() - started, out.sent_bytes


def rendered(text: str) -> None:
    _console(Nowhere()).print(Markdown(text, hyperlinks=False))


def written_plainly(text: str) -> None:
    out = Nowhere()
    for at in range(0, len(text), TOKEN_CHARS):
        out.write(text[at : at + TOKEN_CHARS])
        out.flush()


def live_s(text: str, *, drawn: int = 60) -> float:
    """CPU seconds of Rich's Live, extrapolated from `drawn` of its frames."""
    frames = len(text) // TOKEN_CHARS * LIVE_FRAMES_PER_S // TOKENS_PER_S
    chosen = sorted({round((at + 0.5) * frames / drawn) for at in range(min(drawn, frames))})
    spent_s = 0.0
    with Live(console=_console(Nowhere()), auto_refresh=False) as live:
        for frame in chosen:
            spent_s += _cpu_s(
                lambda part: live.update(Markdown(part), refresh=True), text[: len(text) * frame // frames]
            )
    return spent_s * frames / len(chosen)


def _console(out: io.StringIO) -> Console:
    return Console(file=out, force_terminal=True, width=COLUMNS, height=LINES, legacy_windows=False)


def _cpu_s(work: Callable[[str], None], text: str) -> float:
    gc.collect()
    started = time.process_time()
    work(text)
    return time.process_time() - started


def _prose(chars: int, *, marked: bool = True) -> str:
    words: list[str] = []
    length = 0
    for number, word in enumerate(itertools.cycle(_WORDS)):
        if length >= chars:
            return " ".join(words)
        shown = f"**{word}**" if marked and number % 23 == 7 else f"`{word}`" if marked and number % 31 == 9 else word
        shown = f"{shown} [1]" if marked and number % 40 == 39 else shown
        words.append(shown)
        length += len(shown) + 1
    raise AssertionError


def _repeated(parts: Callable[[int], str], chars: int, *, first: str = "", last: str = "") -> str:
    def all_parts() -> Iterator[str]:
        length = 0
        for number in itertools.count():
            if length >= chars:
                return
            part = parts(number)
            length += len(part)
            yield part

    return first + "".join(all_parts()) + last


def _section(number: int) -> str:
    code = _repeated(lambda line: f"    total_{line} = add(total_{line}, {number})  # running\n", 300)
    return (
        f"## Part {number}\n\n{_prose(420)}.\n\n{_prose(260)}:\n\n"
        f"- {_prose(90)}\n- {_prose(60)}\n  - {_prose(50)}\n- {_prose(80)}\n\n"
        f"```python\ndef part_{number}():\n{code}```\n\n1. {_prose(80)}\n2. {_prose(100)}\n3. {_prose(70)}\n\n"
        f"| name | what it is | size |\n|---|---|--:|\n{_repeated(_table_row, 240)}\n> {_prose(150)}\n\n"
    )


def _table_row(number: int) -> str:
    return f"| row {number} | {_prose(20 + number * 7 % 15, marked=False)} | {number * 37 % 1000} |\n"


SHAPES: Final[dict[str, Callable[[int], str]]] = {
    "mixed": lambda chars: _repeated(_section, chars),
    "fence": lambda chars: _repeated(
        lambda n: f"    value_{n} = compute({n}, 'text')  # step {n}\n", chars, first="```python\n", last="```\n"
    ),
    "table": lambda chars: _repeated(_table_row, chars, first="| name | what | size |\n|---|---|--:|\n"),
    "list": lambda chars: _repeated(lambda n: f"- {_prose(40 + n * 13 % 90)}\n", chars),
    "ordered": lambda chars: _repeated(lambda n: f"{n + 1}. {_prose(40 + n * 13 % 90)}\n", chars),
    "paragraph": _prose,
    "lines": lambda chars: re.sub(r"(.{60,75}?) ", r"\1\n", _prose(chars)),
    "quote": lambda chars: _repeated(lambda n: f"> {_prose(70)}\n" + (">\n" if n % 4 == 3 else ""), chars),
    "undefined": lambda chars: _repeated(lambda n: f"As [word {n}] says, {_prose(80)}.\n\n", chars),
    "one quote": lambda chars: _repeated(lambda _: f"> {_prose(70)}\n", chars),
}


if __name__ == "__main__":
    main()
