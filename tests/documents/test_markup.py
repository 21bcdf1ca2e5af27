"""Markup, comments and page settings are removed from text, and lines keep their numbers in the file."""

import pytest

from streamrag_cli.model import Document
from tests.support.loading import loaded


def numbered(document: Document) -> list[tuple[int, str]]:
    """Return the line number and text of each line that is not blank."""
    lines = document.text.split("\n")
    assert document.line_numbers is not None
    return [(number, line) for number, line in zip(document.line_numbers, lines, strict=True) if line]


def test_asciidoc_is_converted_to_visible_text() -> None:
    source = (
        ":toc:\n:tool: Anvil\n= The _{tool}_ book\n// a note to myself\n\n////\n90 sparks\n////\n\n"
        "Use {tool} (((index, of it))) with ((care)), see <<next,the next part>>, <<b#_hot_iron>>, "
        "https://a.example[the site].\n\n"
        "[[next]]\n[source,sh]\n----\n// kept <1>\n== kept\n----\n<1> What it does\n\n"
        "[comment]\n80 sparks\n\n* *bold* and `code*`\n.. deeper\n\n====\nIn a box.\n====\n"
    )

    document = loaded("a.adoc", source)

    assert document.title == "The Anvil book"
    assert numbered(document) == [
        (3, "# The Anvil book"),
        (10, "Use Anvil  with care, see the next part, hot iron, the site."),
        (15, "```sh"),
        (15, "// kept <1>"),
        (16, "== kept"),
        (16, "```"),
        (18, "- What it does"),
        (23, "- bold and `code*`"),
        (24, "- deeper"),
        (27, "In a box."),
    ]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.adoc", "|===\n|tool |weight\n\n|tongs |3\n|sledge\n|9\n|===\n"),
        ("a.org", "| tool | weight |\n|------+--------|\n| tongs | 3 |\n| sledge | 9 |\n"),
        ("a.md", "| tool | weight |\n|---|--:|\n| tongs | 3 |\n| sledge | 9 |\n"),
        ("a.mdx", "| tool | weight |\n|---|--:|\n| tongs | 3 |\n| sledge | 9 |\n"),
        (
            "a.tex",
            "\\begin{tabular}{ll}\n\\hline tool & weight \\\\ \\hline\ntongs & 3 \\\\\nsledge & 9\n\\end{tabular}\n",
        ),
        ("a.rst", "====== ======\ntool   weight\n====== ======\ntongs  3\nsledge 9\n====== ======\n"),
        (
            "a.rst",
            "+------+------+\n|tool  |weight|\n+======+======+\n|tongs |3     |\n+------+------+\n"
            "|sledge|9     |\n+------+------+\n",
        ),
        ("a.rst", ".. csv-table::\n   :header: tool, weight\n\n   tongs, 3\n   sledge, 9\n"),
        ("a.rst", ".. list-table::\n\n   * - tool\n     - weight\n   * - tongs\n     - 3\n   * - sledge\n     - 9\n"),
        ("a.1", ".TH A 1\n.TS\nl l.\ntool\tweight\ntongs\t3\nsledge\t9\n.TE\n"),
    ],
)
def test_table_rows_of_different_formats_have_the_column_names(name: str, source: str) -> None:
    assert [line for _, line in numbered(loaded(name, source))] == [
        "- tool: tongs; weight: 3",
        "- tool: sledge; weight: 9",
    ]


def test_org_comments_drawers_and_hidden_subtrees_are_dropped() -> None:
    source = (
        "#+TITLE: Forge\n#+FILETAGS: :iron:heat:\n# a comment\n* TODO [#B] Fire [1/3] :work:\n:PROPERTIES:\n"
        ":ID: 7\n:END:\n"
        "DEADLINE: <2031-02-03>\nHeat /it/ to =red*hot*= as [[https://a.example][the table]] says.\n"
        "** COMMENT Old\n80 degrees\n*** Older\n70 degrees\n** New\n#+begin_comment\n60 degrees\n#+end_comment\n"
        "#+begin_src sh\n* kept\n#+end_src\n- [X] steel :: the metal\n"
    )

    document = loaded("a.org", source)

    assert (document.title, document.summary) == ("Forge", "iron heat")
    assert numbered(document) == [
        (4, "# Fire"),
        (8, "- Deadline: 2031-02-03"),
        (9, "Heat it to `red*hot*` as the table says."),
        (14, "## New"),
        (19, "```sh"),
        (19, "* kept"),
        (19, "```"),
        (21, "- steel: the metal"),
    ]


def test_man_macros_are_converted_to_visible_text() -> None:
    source = (
        '.\\" a comment\n.TH FORGE 1 "May 2031"\n.SH NAME\nforge \\- heat iron\n.SH OPTIONS\n.TP\n'
        '.BR \\-q ", " \\-\\-quiet\n'
        'Print nothing\\fB at all\\fR. \\" hidden\n.ig\nhidden\n..\n.de Xy\nhidden\n. .\n.nf\nforge  -q\n.fi\n'
    )

    document = loaded("forge.1", source)

    assert document.title == "FORGE(1)"
    assert numbered(document) == [
        (3, "# NAME"),
        (4, "forge - heat iron"),
        (5, "# OPTIONS"),
        (7, "- -q, --quiet:"),
        (8, "Print nothing at all."),
        (16, "```"),
        (16, "forge  -q"),
        (16, "```"),
    ]


def test_mdoc_macros_are_converted_to_visible_text() -> None:
    source = (
        ".Dd May 1, 2031\n.Dt QUENCH 8\n.Os\n.Sh NAME\n.Nm quench\n.Nd cool iron\n.Sh SYNOPSIS\n.Nm\n.Op Fl v Ar file\n"
        ".Sh SEE ALSO\n.Xr forge 1 ,\n.Pa /etc/quench\n"
    )

    document = loaded("quench.8", source)

    assert document.title == "QUENCH(8)"
    assert [line for _, line in numbered(document)] == [
        "# NAME", "quench", "cool iron", "# SYNOPSIS", "quench", "[-v file]", "# SEE ALSO", "forge(1),", "/etc/quench",
    ]  # fmt: skip


def test_a_log_file_with_a_numeric_suffix_is_not_a_manual_page() -> None:
    assert loaded("app.log.1", "started\n.stopped\n").text == "started\n.stopped\n"


@pytest.mark.fault("hidden-text")
def test_latex_is_converted_to_visible_text() -> None:
    source = (
        "\\documentclass{book}\n% old preamble\n\\title{On \\emph{Iron}}\n\\newcommand{\\x}[1]{\n  hidden}\n"
        "\\begin{document}\n"
        "\\section[s]{Heat \\& more}\\label{a}\n% it is 80 degrees\n"
        "It is $900$ degrees, 5\\% more % once 70\nthan in \\cite{b} "
        "\\texttt{a\\_b}.\n\\begin{comment}\n60 degrees\n\\end{comment}\n\\iffalse\n50 degrees\n\\fi\n"
        "\\begin{verbatim}\n% kept\n\\end{verbatim}\n\\begin{itemize}\n\\item Caf\\'e\n\\end{itemize}\n"
        "\\end{document}\n40 degrees\n"
    )

    document = loaded("a.tex", source)

    assert document.title == "On Iron"
    assert numbered(document) == [
        (7, "## Heat & more"),
        (9, "It is 900 degrees, 5% more"),
        (10, "than in `a_b`."),
        (18, "```"),
        (18, "% kept"),
        (18, "```"),
        (21, "- Café"),
    ]


def test_latex_units_are_converted_to_symbols() -> None:
    source = "\\SI{8}{\\hour}, \\qty{9.81}{\\metre\\per\\second\\squared}, \\SIrange{1}{2}{\\degreeCelsius}, \\si{kg}."

    assert loaded("a.tex", source).text == "8 h, 9.81 m/s², 1–2 °C, kg."


def test_latex_macros_without_arguments_are_expanded() -> None:
    preamble = "\\newcommand{\\forge}{Forge~\\no\\xspace}\n\\def\\no{3}\n\\newcommand*\\heat[1]{#1 degrees}\n"
    body = "\\begin{document}\nIn \\forge{} and \\forge we reach \\heat{900}.\n\\end{document}\n"

    assert loaded("a.tex", preamble + body).text == "In Forge 3 and Forge 3 we reach 900."


def test_a_percent_sign_in_verbatim_text_or_a_url_is_not_a_comment() -> None:
    source = "Write \\verb|%d| or \\url{http://a.example/%20b} or 3\\% % hidden\n"

    assert loaded("a.tex", source).text == "Write `%d` or http://a.example/%20b or 3%"


def test_the_text_between_mdx_tags_is_kept() -> None:
    source = (
        "import Tabs from './tabs'\nexport const x = {\n  y: 1,\n}\n\n# Forge\n\n{/* it was\n80 degrees */}\n\n"
        '<Tabs items={[{ a: ">" }]}>\n<Tab title="Iron">\n\nHeat it, `{kept} <b>`.\n\n```jsx\nimport kept\n'
        "```\n\n</Tab>\n</Tabs>\n"
    )

    assert numbered(loaded("a.mdx", source)) == [
        (6, "# Forge"),
        (12, "Iron"),
        (14, "Heat it, `{kept} <b>`."),
        (16, "```jsx"),
        (17, "import kept"),
        (18, "```"),
    ]


@pytest.mark.fault("hidden-text")
def test_markdown_comments_are_removed_except_in_code() -> None:
    source = (
        "Iron <!-- was\nlead --> melts.\n\n<!-- a whole\nblock -->\n\n`<!-- kept -->`\n\n```\n"
        "<!-- kept -->\n%% kept %%\n```\n\n"
        "[//]: # (hidden)\n\n%% hidden\nstill %%\n\nAt 100%% of it.\n\n<!-- never closed\n"
    )

    assert numbered(loaded("a.md", source)) == [
        (1, "Iron  melts."),
        (7, "`<!-- kept -->`"),
        (9, "```"),
        (10, "<!-- kept -->"),
        (11, "%% kept %%"),
        (12, "```"),
        (19, "At 100%% of it."),
        (21, "<!-- never closed"),
    ]


def test_links_between_notes_are_replaced_by_the_names_of_the_notes() -> None:
    source = "See [[Hot iron|the iron]], [[Tools#Tongs]] and ![[photo.png]]==this== one. ^b7\n\n> [!tip] Heat\n> it\n"

    assert loaded("a.md", source).text == "See the iron, Tools > Tongs and this one.\n\n> Heat\n> it\n"


def test_rst_comments_and_targets_are_dropped_but_boxes_and_code_are_kept() -> None:
    source = (
        "Forge\n=====\n\n:Author: Ida\n\n.. _top:\n\n.. it is 80\n   degrees\n\n"
        ".. note:: Take *care*\n   of :ref:`it <top>`.\n\n"
        ".. code-block:: sh\n   :linenos:\n\n   .. kept\n\nSo::\n\n  ``kept``\n\n.. index:: x\n"
        ".. image:: a.png\n   :alt: A fire\n"
    )

    assert numbered(loaded("a.rst", source)) == [
        (1, "# Forge"),
        (11, "Take care"),
        (12, "of it."),
        (17, "```sh"),
        (17, ".. kept"),
        (17, "```"),
        (19, "So:"),
        (21, "```"),
        (21, "``kept``"),
        (21, "```"),
        (24, "A fire"),
    ]


def test_markup_in_a_plain_text_file_is_kept_unchanged() -> None:
    source = "*stars* <tag> <!-- kept --> % kept\n# kept\n---\na: b\n---\n"

    assert loaded("a.txt", source).text == source


@pytest.mark.fault("hostile-markup")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name", ["a.adoc", "a.org", "a.man", "a.tex", "a.mdx", "a.md", "a.srt", "a.vtt", "a.yaml", "a.toml", "a.ini"]
)
@pytest.mark.parametrize(
    "unit",
    ["<!--", "%%", "[[", "{", "<a ", "\\x{", "\\begin{comment}\n", "(((", "`", "\\f", "- ", "a:\n ", "#+begin_src\n",
     ":x:\n", "*_", "00:00 --> ", "////\n", "|===\n", "import {\n", '"', "'''", "$$", "==", "[a]", ".de x\n",
     "&anchor ", "+++\n"],
)  # fmt: skip
def test_markup_with_unmatched_marks_is_loaded_within_the_time_limit(name: str, unit: str) -> None:
    loaded(name, unit * (30_000 // len(unit)))


def test_a_letter_at_the_end_of_a_cell_is_not_a_cell_style() -> None:
    text = loaded("a.adoc", "|===\n|Keyword|Sample\n\n|Or|a\n|===\n").text

    assert "- Keyword: Or; Sample: a" in text


def test_predefined_strings_of_manual_pages_are_expanded() -> None:
    text = loaded("a.1", ".TH A 1\n.SH NAME\nThe user\\*(Aqs home can\\*[Aq]t be \\*(lqmoved\\*(rq.\n").text

    assert "The user's home can't be “moved”." in text


@pytest.mark.parametrize("paragraph", [".PP", ".sp", ".LP"])
def test_a_term_before_indented_text_in_a_manual_page_is_a_list_item(paragraph: str) -> None:
    source = (
        f".TH FORGE 1\n.SH OPTIONS\n{paragraph}\n\\fB\\-q\\fR, \\fB\\-\\-quench=\\fR\\fB\\fIn\\fR\\fR\n.RS 4\n"
        f"Cool after\n\\fIn\\fR\nseconds\\&. The default is 600\\&.\n.sp\nOr by hand\\&.\n.RE\n{paragraph}\n"
        f".B blow\n.RS\nUse the bellows.\n.RE\n{paragraph}\nauto\n.RS 4\nNothing to do\\&.\n.RE\n"
    )

    assert [line for _, line in numbered(loaded("a.1", source))] == [
        "# OPTIONS",
        "- -q, --quench=n:",
        "Cool after",
        "n",
        "seconds. The default is 600.",
        "Or by hand.",
        "- blow:",
        "Use the bellows.",
        "- auto:",
        "Nothing to do.",
    ]
    assert "- -q, --quench=n:\nCool after\nn\n" in loaded("a.1", source).text


@pytest.mark.parametrize(
    ("above", "shown"),
    [
        ("Run it like this:\n.RS 4\nforge \\-\\-hot\n.RE", "Run it like this:\n\nforge --hot"),
        ("\\fBforge\\fR is run as\n.RS 4\n.nf\nforge \\-\\-hot\n.fi\n.RE", "forge is run as\n\n```\nforge --hot\n```"),
        ("It heats the iron until it is white and then cools\n.RS\nslowly\n.RE",
         "It heats the iron until it is white and then cools\n\nslowly"),
    ],
)  # fmt: skip
def test_a_sentence_before_indented_text_in_a_manual_page_is_not_a_term(above: str, shown: str) -> None:
    assert loaded("a.1", f".TH FORGE 1\n.SH USE\n.PP\n{above}\n").text == f"# USE\n\n{shown}"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (".if n Quench it.\n.if t Harden it.", "Quench it."),
        (".if !t .B Quench it.\n.if !n Harden it.", "Quench it."),
        (".ie t Harden it.\n.el Quench it.", "Quench it."),
        (".if t \\{\\\nHarden it.\n.if n \\{\\\nTwice.\n.\\}\n.\\}\nQuench it.", "Quench it."),
        (".if n \\{\\\nQuench it.\n.\\}", "Quench it."),
        (".if \\n(.g Harden it.\n.if 'a'b' Harden it.\nQuench it.", "Quench it."),
        (".if t \\{ an open block\nQuench it.", "Quench it."),
    ],
)
def test_conditional_text_of_a_manual_page_is_chosen_as_on_a_terminal(source: str, shown: str) -> None:
    assert loaded("a.1", f".TH FORGE 1\n.SH USE\n{source}\n").text == f"# USE\n\n{shown}"


@pytest.mark.fault("definition-lists")
def test_a_restructuredtext_definition_is_on_the_line_of_its_term() -> None:
    source = (
        "berth\n    A place for a boat.\n    It has a number.\n\n    It costs.\n\nanchor : noun\n"
        "    Holds the boat.\n\n.. glossary::\n\n   slip\n      A ramp.\n\nHow deep?\n    Two metres.\n\n"
        "Kinds\n    - swing\n\nThis is a line that was wrapped with\n  an indentation.\n\nRun::\n\n    x = 1\n"
    )

    assert loaded("a.rst", source).text == (
        "- berth: A place for a boat.\nIt has a number.\n\nIt costs.\n\n- anchor (noun): Holds the boat.\n\n"
        "- slip: A ramp.\n\n- How deep? Two metres.\n\n- Kinds:\n- swing\n\n"
        "This is a line that was wrapped with\nan indentation.\n\nRun:\n\n```\nx = 1\n```"
    )


def test_restructuredtext_substitutions_are_replaced() -> None:
    source = "Retry it |n| times, not |other| or ``|n|``.\n\n.. |n| replace:: seven\n"

    assert loaded("a.rst", source).text.startswith("Retry it seven times, not other or `|n|`.")
