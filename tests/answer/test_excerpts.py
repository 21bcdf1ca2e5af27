"""Excerpts of sources and their line numbers."""

from pathlib import Path

import pytest

from streamrag_cli.answer.excerpts import as_sources
from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.load import load
from streamrag_cli.documents.read import read_file
from streamrag_cli.model import Hit
from streamrag_cli.store.stemming import stems


def shown(file: Path, question: str) -> tuple[str, int | None, int | None]:
    """The excerpt of the file's first chunk, and its line numbers."""
    (first, *_) = chunk(load(file, read_file(file, limit_bytes=100_000)))
    hit = Hit(chunk=first, source=file.name, path=str(file), score=0.5, rank=1)
    (source,) = as_sources([hit], {"": dict.fromkeys(stems([question])[0], 1.0)}, question=question)
    return source.content, source.line_start, source.line_end


PAGE = """\
---
title: Harbour
---

# Harbour

The harbour lies in a bay. Boats of all kinds come here, as they always have.

- The **fee** for a [berth](fees.md) is `<length>` times two.
- Water is free.

```
not --asked
```
"""


@pytest.mark.fault("excerpt-best-sentence")
@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("fee berth", ("The fee for a berth is <length> times two. Water is free.", 9, 14)),
        ("free water", ("Water is free.", 10, 14)),
        (
            "zeppelin",
            (
                "The harbour lies in a bay. Boats of all kinds come here, as they always have. The fee for a berth is"
                " <length> times two. Water is free.",
                7,
                14,
            ),
        ),
    ],
)
def test_an_excerpt_begins_with_the_sentence_that_matches_the_question(
    question: str, expected: tuple[str, int, int], tmp_path: Path
) -> None:
    file = tmp_path / "harbour.md"
    file.write_text(PAGE, encoding="utf-8")

    assert shown(file, question) == expected


@pytest.mark.fault("excerpt-best-sentence")
def test_an_excerpt_of_code_skips_licence_and_imports(tmp_path: Path) -> None:
    file = tmp_path / "sail.c"
    file.write_text("/* Copyright A. B. */\n#include <wind.h>\n\nint reef(int n);\n", encoding="utf-8")

    assert shown(file, "wind") == ("int reef(int n);", 4, 4)


def test_a_long_excerpt_is_cut_between_words(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text(f"Short one here. The winch {'turns ' * 60}", encoding="utf-8")

    assert shown(file, "winch")[0] == f"The winch {'turns ' * 23}".rstrip() + "..."


def test_the_line_number_is_correct_below_an_underlined_heading(tmp_path: Path) -> None:
    file = tmp_path / "winch.rst"
    file.write_text("Winch\n=====\n\nIt turns both ways.\n", encoding="utf-8")

    assert shown(file, "turns") == ("It turns both ways.", 4, 4)


BOILER = """\
# Heating

The boiler is new.

| code | meaning |
|------|---------|
| F4 | no flame |
| E5 | internal fault |

Bleed the radiators.
"""


@pytest.mark.parametrize(("question", "line"), [("boiler", 3), ("flame", 7), ("internal fault", 8), ("radiators", 10)])
def test_the_line_number_is_correct_above_in_and_below_a_table(tmp_path: Path, question: str, line: int) -> None:
    file = tmp_path / "heating.md"
    file.write_text(BOILER, encoding="utf-8")

    assert shown(file, question)[1] == line


def test_a_markdown_comment_does_not_change_the_number_of_the_line_above(tmp_path: Path) -> None:
    file = tmp_path / "heating.md"
    file.write_text("# Heating\n\nThe boiler is new.\n\n%% check this %%\n\nBleed the radiators.\n", encoding="utf-8")

    assert shown(file, "boiler")[1] == 3
