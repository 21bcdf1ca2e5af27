import json
from typing import Any

import pytest

from streamrag_cli.errors import DocumentError
from streamrag_cli.model import Document
from tests.support.loading import loaded, outline


def notebook(**fields: Any) -> Document:
    return loaded("a.ipynb", json.dumps(fields))


def test_notebook_cells_are_read_in_order_under_their_markdown_headings() -> None:
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


def test_notebook_format_3_is_supported() -> None:
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
def test_a_file_that_is_not_a_notebook_is_reported_as_corrupt(content: str) -> None:
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
def test_values_of_the_wrong_type_are_ignored(content: str, text: str) -> None:
    assert loaded("a.ipynb", content).text == text


def outputs_of(*outputs: Any) -> str:
    cell = {"cell_type": "code", "source": "run()", "outputs": list(outputs)}
    return notebook(cells=[cell]).text.removeprefix("```\nrun()\n```\n\n").rstrip()


@pytest.mark.fault("docx-and-notebook-parts")
def test_a_long_output_keeps_its_beginning_and_end() -> None:
    lines = ["Best height: 2.74 m", *(f"step {number}" for number in range(900)), "Loss: 0.25"]
    text = outputs_of({"output_type": "stream", "text": [f"{line}\n" for line in lines]})

    assert text.startswith("```output\nBest height: 2.74 m\nstep 0\n")
    assert text.count("\n[…]\n```\n\n```output\nstep ") == 1
    assert text.endswith("\nstep 899\nLoss: 0.25\n```")
    assert len(text) < 2000


def test_stream_pieces_are_joined_and_overwritten_text_is_removed() -> None:
    text = outputs_of(
        {"output_type": "stream", "text": "10 %\r50 %\r100 %\nso"}, {"output_type": "stream", "text": "me\n"}
    )

    assert text == "```output\n100 %\nsome\n```"


@pytest.mark.fault("docx-and-notebook-parts")
@pytest.mark.parametrize("kind", ["error", "pyerr"])
def test_an_error_output_keeps_only_its_message(kind: str) -> None:
    error = {"output_type": kind, "ename": "ValueError", "evalue": "no tides", "traceback": ["\x1b[0;31mTraceback"]}

    assert outputs_of(error) == "```output\nValueError: no tides\n```"


def test_an_html_table_output_becomes_rows() -> None:
    html = "<table><thead><tr><th></th><th>port</th><th>tide</th></tr></thead><tr><th>0<td>Oban<td>2.7</tr></table>"
    new = {"output_type": "execute_result", "data": {"text/plain": "  port tide\n0 Oban 2.7", "text/html": html}}
    old = {"output_type": "pyout", "text": "  port tide\n0 Oban 2.7", "html": [html]}

    assert outputs_of(new) == outputs_of(old) == "- 0; port: Oban; tide: 2.7"


@pytest.mark.parametrize(
    "name",
    [
        "<IPython.core.display.HTML object>",
        "<Figure size 640x480 with 1 Axes>",
        "[<matplotlib.lines.Line2D at 0x7f00>]",
    ],
)
def test_an_output_that_only_shows_an_object_reference_is_dropped(name: str) -> None:
    shown = {"output_type": "display_data", "data": {"text/plain": name, "text/html": "<p>Spring tide</p>"}}

    assert outputs_of(shown) == "```output\nSpring tide\n```"
    assert outputs_of({"output_type": "display_data", "data": {"text/plain": name, "image/png": "aGk="}}) == ""


def test_a_huge_progress_bar_is_reduced_to_its_last_text() -> None:
    assert outputs_of({"output_type": "stream", "text": "#" * 3_000_000 + "\r" + "done"}) == "```output\ndone\n```"
