"""How often what stays on a terminal equals what Rich prints of the whole text, over many texts and sizes of terminal.

    python -m benchmarks.rendering_exactness

The texts are the examples of the CommonMark specification and what installed packages say about themselves, each
streamed in random pieces at random times through terminals of 8, 15, 24 and 40 rows and 40, 80 and 100 columns. The
reference is `rich.markdown.Markdown(text, hyperlinks=False)`; blanks at the ends of rows and the colours of code do
not count. Where the two differ, the kind of exception is named.
"""

import argparse
import itertools
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import get_args

from streamrag_cli.render.markdown.parsing import Html
from tests.support.markdown_documents import HOW_TO_GET_IT, installed_documents, specification_examples
from tests.support.rendering_exceptions import exception

HEIGHTS = (8, 15, 24, 40)
WIDTHS = (40, 80, 100)
SIZES = list(itertools.product(WIDTHS, HEIGHTS))
RICH_FAILS = "Rich fails"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--longest-chars", type=int, default=20_000)
    parser.add_argument("--html", choices=get_args(Html), default="dropped")
    parser.add_argument("--every", type=int, default=1, help="take only every n-th text")
    arguments = parser.parse_args()
    examples = {f"example {number}": text for number, text in enumerate(specification_examples(), 1)}
    if not examples:
        print(f"without the specification; get it with: {HOW_TO_GET_IT}")
    documents = {name: text[: arguments.longest_chars] for name, text in installed_documents().items()}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for kind, texts in (("examples", examples), ("documents", documents)):
            chosen = list(texts.items())[:: arguments.every]
            found = list(pool.map(partial(exceptions, html=arguments.html), chosen, chunksize=4))
            for (name, _), where in zip(chosen, found, strict=True):
                for (columns, lines), why in where.items():
                    print(f"{name} at {columns}x{lines}: {why}")
            print(f"{kind}: {len(chosen)} texts x {len(SIZES)} sizes")
            for why, count in Counter(why for where in found for why in where.values()).items():
                print(f"  {count:5} in {sum(why in where.values() for where in found)} texts: {why}")


def exceptions(named: tuple[str, str], html: Html) -> dict[tuple[int, int], str]:
    """At which sizes this text ends otherwise than it should, and why."""
    _, text = named
    where = {}
    for seed, (columns, lines) in enumerate(SIZES):
        try:
            why = exception(text, columns=columns, lines=lines, seed=seed, html=html)
        except IndexError:  # Rich's own, on an end tag without a beginning
            why = RICH_FAILS
        if why:
            where[columns, lines] = why
    return where


if __name__ == "__main__":
    main()
