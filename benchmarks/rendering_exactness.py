"""Counts how often a streamed answer ends up identical to Rich's output for the complete text, on terminals of many
sizes.

    python -m benchmarks.rendering_exactness

The texts are the examples from the CommonMark specification and the descriptions of installed packages, each streamed
in random pieces at random times to terminals with 8, 15, 24 and 40 rows and 40, 80 and 100 columns. The reference is
`rich.markdown.Markdown(text, hyperlinks=False)`; trailing blanks and the colours of code are ignored. Each difference
is printed with its kind.
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
    parser.add_argument("--every", type=int, default=1, help="use only every n-th text")
    arguments = parser.parse_args()
    examples = {f"example {number}": text for number, text in enumerate(specification_examples(), 1)}
    if not examples:
        print(f"the specification is missing; get it with: {HOW_TO_GET_IT}")
    documents = {name: text[: arguments.longest_chars] for name, text in installed_documents().items()}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for kind, texts in (("examples", examples), ("documents", documents)):
            chosen = list(texts.items())[:: arguments.every]
            results = list(pool.map(partial(exceptions, html=arguments.html), chosen, chunksize=4))
            for (name, _), differences in zip(chosen, results, strict=True):
                for (columns, lines), reason in differences.items():
                    print(f"{name} at {columns}x{lines}: {reason}")
            print(f"{kind}: {len(chosen)} texts x {len(SIZES)} sizes")
            for reason, count in Counter(reason for each in results for reason in each.values()).items():
                print(f"  {count:5} in {sum(reason in each.values() for each in results)} texts: {reason}")


def exceptions(named: tuple[str, str], html: Html) -> dict[tuple[int, int], str]:
    """The terminal sizes at which this text ends differently from the reference, with the reason."""
    _, text = named
    differences = {}
    for seed, (columns, lines) in enumerate(SIZES):
        try:
            reason = exception(text, columns=columns, lines=lines, seed=seed, html=html)
        except IndexError:  # a bug in Rich: an end tag without a start tag
            reason = RICH_FAILS
        if reason:
            differences[columns, lines] = reason
    return differences


if __name__ == "__main__":
    main()
