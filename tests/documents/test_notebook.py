import json
from typing import Any

import pytest

from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from tests.documents.loading import loaded, outline


def notebook(**fields: Any) -> Document:
    return loaded("a.ipynb", json.dumps(fields))


def test_cells_are_read_in_order_under_the_headings_of_markdown_cells() -> None:
    document = notebook(
        nbformat=4,
        metadata={"kernelspec": {"language": "python"}},
        cells=[
            {"cell_type": "markdown", "source": ["# Study\n", "\n", "Intro."]},
            {
                "cell_type": "code",
                "source": "# not a heading\nprint(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["1\n"]},
                    {"output_type": "execute_result", "data": {"text/plain": "\x1b[31m2\x1b[0m", "text/html": "<b>"}},
                    {"output_type": "stream", "text": "x" * 501},
                    {"output_type": "error", "traceback": ["no"]},
                ],
            },
            {"cell_type": "markdown", "source": "## Result\n\nGood."},
            {"cell_type": "raw", "source": "raw"},
            {"cell_type": "code", "source": [], "outputs": []},
        ],
    )

    assert (document.title, document.line_numbers) == ("Study", None)
    assert outline(document) == [
        (
            "Study",
            "# Study\n\nIntro.\n\n```python\n# not a heading\nprint(1)\n```\n\n```output\n1\n```\n\n```output\n2\n```",
        ),
        ("Study > Result", "## Result\n\nGood.\n\nraw"),
    ]


def test_format_3_is_read_too() -> None:
    document = notebook(
        nbformat=3,
        worksheets=[
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": "Old"},
                    {"cell_type": "code", "language": "python", "input": "a = '```'", "outputs": [{"text": "3"}]},
                ]
            }
        ],
    )

    assert outline(document) == [("Old", "## Old\n\n````\na = '```'\n````\n\n```output\n3\n```")]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 1}', "[" * 100_000], ids=str)
def test_what_is_no_notebook_is_corrupt(content: str) -> None:
    with pytest.raises(DocumentError) as caught:
        loaded("a.ipynb", content)

    assert caught.value.code == "corrupt"


def test_an_escaped_lone_surrogate_is_replaced() -> None:
    document = loaded("a.ipynb", '{"cells": [{"cell_type": "markdown", "source": "a\\ud800\\u0000b"}]}')

    assert document.text == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b\n\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"cells": [{"cell_type": "code", "source": "x = 1", "outputs": 5}]}', "```\nx = 1\n```\n\n"),
        ('{"worksheets": [{"cells": 5}]}', ""),
    ],
)
def test_what_should_be_a_list_and_is_none_is_left_out(content: str, text: str) -> None:
    assert loaded("a.ipynb", content).text == text
