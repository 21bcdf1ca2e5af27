"""How often what stays on a terminal equals one render of the whole text, over many texts and sizes of terminal.

    python -m benchmarks.rendering_exactness

The texts are the examples of the CommonMark specification and what installed packages say about themselves, each
streamed in random pieces at random times through terminals of 8, 15, 24 and 40 rows and 40, 80 and 100 columns,
and compared cell by cell, with colours. It also counts how many of them Rich's own `Markdown` renders otherwise.
"""

import argparse
import io
import itertools
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.markdown import Markdown

from streamrag_cli.render.markdown.parsing import parse
from streamrag_cli.render.markdown.rows import StreamableMarkdown
from streamrag_cli.text import sanitise
from tests.render.documents import HOW_TO_GET_IT, installed_documents, specification_examples
from tests.render.emulator import rendered_at_once, streamed

HEIGHTS = (8, 15, 24, 40)
WIDTHS = (40, 80, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--longest-chars", type=int, default=20_000)
    arguments = parser.parse_args()
    examples = {f"example {number}": text for number, text in enumerate(specification_examples(), 1)}
    if not examples:
        print(f"without the specification; get it with: {HOW_TO_GET_IT}")
    documents = {name: text[: arguments.longest_chars] for name, text in installed_documents().items()}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for kind, texts in (("examples", examples), ("documents", documents)):
            sizes = list(itertools.product(WIDTHS, HEIGHTS))
            found = list(pool.map(differences, texts.items(), chunksize=4))
            for name, where in found:
                for what, columns, lines in where:
                    print(f"{name} at {columns}x{lines}: {what} differs")
            wrong = sum(len(where) for _, where in found)
            own = sum(pool.map(differs_from_rich, texts.values(), chunksize=16))
            print(
                f"{kind}: {len(texts)} texts x {len(sizes)} sizes, {wrong} differ; {own} texts are not as in plain Rich"
            )


def differences(named: tuple[str, str]) -> tuple[str, list[tuple[str, int, int]]]:
    """Where this text ends otherwise than one render of it: in its text, or in its colours alone."""
    name, text = named
    where = []
    for seed, (columns, lines) in enumerate(itertools.product(WIDTHS, HEIGHTS)):
        shown = streamed(text, columns=columns, lines=lines, seed=seed)
        wanted = rendered_at_once(text, columns=columns, lines=lines)
        if shown.cells != wanted.cells:
            where.append(("colour" if shown.text == wanted.text else "text", columns, lines))
    return name, where


def differs_from_rich(text: str) -> bool:
    """Whether Rich's own Markdown gives other text, blanks at the ends of rows aside."""
    safe = sanitise(text)
    return _printed(Markdown(safe, hyperlinks=False)) != _printed(StreamableMarkdown(parse(safe)))


def _printed(markdown: Markdown) -> list[str]:
    out = io.StringIO()
    try:
        Console(file=out, width=80, color_system=None, markup=False, highlight=False, emoji=False).print(markdown)
    except IndexError:  # Rich's own, on an end tag without a beginning
        return ["Rich fails"]
    return [line.rstrip() for line in out.getvalue().split("\n")]


if __name__ == "__main__":
    main()
