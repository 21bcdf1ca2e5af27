import pytest

from tests.support.loading import loaded, outline

PAGE = """<!DOCTYPE html>
<html>
<head><title>Guide
 to it</title><style>p {}</style></head>
<body>
<nav><a href="/">Home</a></nav>
<h1>Guide<a class="headerlink" href="#g">¶</a></h1>
<p>First <b>bold</b>
  words &amp; more.<script>alert(1)</script></p>
<!-- a comment
of two lines -->
<p>Second.<br>New line.</p>
<h2>Use</h2>
<ul><li>one</li><li>two <i>x</i></li></ul>
<pre>
def f():
    return 1

  # end
</pre>
<table>
<tr><th>Name</th><th>Age</th></tr>
<tr><td><p>Ada</p><p>L.</p></td><td>36</td></tr>
</table>
<div hidden>no</div><div style="display: none">no</div><template>no</template><noscript>no</noscript>
Tail.
</body>
</html>
"""


def test_html_is_converted_to_visible_text() -> None:
    document = loaded("a.html", PAGE)

    assert document.title == "Guide to it"
    assert outline(document) == [
        ("Guide", "# Guide\n\nFirst bold words & more.\n\nSecond.\nNew line."),
        (
            "Guide > Use",
            "## Use\n\n- one\n- two x\n\n```\ndef f():\n    return 1\n\n  # end\n```\n\n"
            "- Name: Ada L.; Age: 36\n\nTail.",
        ),
    ]


def test_front_matter_of_a_template_is_not_text() -> None:
    document = loaded(
        "sauna.html", "---\nlayout: page\ntitle: Sauna\ndescription: Heating\n---\n<p>It takes an hour.</p>\n"
    )

    assert (document.title, document.summary, document.text) == ("Sauna", "Heating", "It takes an hour.")
    assert list(document.line_numbers or ())[:1] == [6]


def test_line_numbers_match_the_file() -> None:
    document = loaded("a.html", PAGE)
    assert document.line_numbers is not None
    lines = dict(zip(document.text.split("\n"), document.line_numbers, strict=True))

    assert {
        text: lines[text] for text in ("# Guide", "Second.", "New line.", "- two x", "- Name: Ada L.; Age: 36", "Tail.")
    } == {
        "# Guide": 7,
        "Second.": 12,
        "New line.": 12,
        "- two x": 14,
        "- Name: Ada L.; Age: 36": 23,
        "Tail.": 26,
    }
    assert abs(lines["    return 1"] - 17) <= 1


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ('<meta charset="koi8-r">', "koi8-r"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">', "cp1251"),
        ('<?xml version="1.0" encoding="windows-1251"?>', "cp1251"),
        ('<meta charset="koi8-r">', "utf-16"),
        ('<meta charset="utf-8">', "utf-8"),
        ('<meta charset="nonsense">', "utf-8"),
        ("", "utf-8"),
    ],
)
def test_the_encoding_comes_from_the_byte_order_mark_or_the_declaration(declaration: str, encoding: str) -> None:
    document = loaded("a.html", f"{declaration}<p>Привет, мир</p>".encode(encoding))

    assert (document.text, document.notes) == ("Привет, мир", ())


def test_nested_tables_keep_their_own_rows() -> None:
    page = "<table><tr><td>left<table><tr><td>a</td><td>b</td></tr></table></td><td>right</td></tr></table>"

    assert loaded("a.html", page).text == "left\n\na | b\n\nright"


def test_headings_inside_a_layout_table_are_headings() -> None:
    page = "<table><tr><td><h2>Use</h2><p>So.</p></td></tr></table>"

    assert [path for path, _ in outline(loaded("a.html", page))] == ["Use"]


def test_internal_and_external_entities_are_not_expanded() -> None:
    page = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "yyyy">]><p>a&x;&y;b</p>'

    assert "root:" not in loaded("a.html", page).text
    assert "yyyy" not in loaded("a.html", page).text.replace('"yyyy"', "")


def test_pages_beyond_the_parsers_line_limit_have_no_line_numbers() -> None:
    assert loaded("a.html", "<p>x</p>\n" * 70_000).line_numbers is None


@pytest.mark.fault("hostile-markup")
def test_a_page_that_is_nested_too_deeply_gets_a_note() -> None:
    document = loaded("a.html", f"<p>The jetty is long.</p>{'<div>' * 300}<p>The pier is short.</p>")

    assert document.text == "The jetty is long."
    assert document.notes == ("elements are nested more than 255 levels deep: the text after that point is missing",)


@pytest.mark.slow
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "x",
        "<table><tr><td>" * 50_000 + "x",
        "<p>" * 300_000,
        "<" * 300_000,
        "&amp" * 300_000,
        "<pre>" + "\n" * 500_000,
    ],
    ids=["divs", "tables", "paragraphs", "brackets", "entities", "newlines"],
)
def test_hostile_pages_are_loaded_within_the_time_limit(page: str) -> None:
    loaded("a.html", page)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('<p>Run:</p><pre><code class="language-sh">\nforge  &lt;iron&gt;\n\n  --hot\n\n</code></pre><p>Done.</p>',
         "Run:\n\n```sh\nforge  <iron>\n\n  --hot\n```\n\nDone."),
        ('<ul><li>Heat:<pre class="lang-py">forge()</pre>slowly</li></ul>',
         "- Heat:\n\n```py\nforge()\n```\n\nslowly"),
        ("<pre>a\n```\nb\n````</pre>", "`````\na\n```\nb\n````\n`````"),
        ("<pre> \n </pre><p>Done.</p>", "Done."),
        ("<pre>The iron is heated until it is white hot.\nIt is then put on the anvil by a smith.\n\n  1. Intro</pre>",
         "The iron is heated until it is white hot.\nIt is then put on the anvil by a smith.\n\n  1. Intro"),
    ],
)  # fmt: skip
def test_preformatted_code_is_fenced_but_preformatted_prose_is_not(source: str, text: str) -> None:
    assert loaded("a.html", f"<body>{source}</body>").text == text


def test_line_numbers_after_a_code_block_are_correct() -> None:
    document = loaded("a.html", "<body>\n<p>Run</p>\n<pre>\na\nb\n\n</pre>\n<h2>Next</h2>\n<p>End.</p></body>")

    assert document.line_numbers is not None
    shown = list(zip(document.text.split("\n"), document.line_numbers, strict=True))
    assert [each for each in shown if each[0]] == [
        ("Run", 2), ("```", 4), ("a", 4), ("b", 5), ("```", 5), ("## Next", 8), ("End.", 9),
    ]  # fmt: skip
    assert outline(document)[1] == ("Next", "## Next\n\nEnd.")


@pytest.mark.fault("definition-lists")
def test_a_definition_is_on_the_line_of_its_term() -> None:
    terms = (
        "<dl><dt>berth</dt><dd><p>A place for a boat.</p><p>It has a number.</p></dd><dt>hook</dt>\n<dt>anchor</dt>"
        "<dd>Holds the boat.</dd><dt>How deep?</dt><dd>Two metres.</dd><dt>Kinds</dt><dd><ul><li>swing</ul></dd>"
        "<dt>none</dt><dd></dd><div><dt>slip</dt><dd><pre>x = 1</pre></dd></div></dl><p>End.</p>"
    )

    assert loaded("a.html", f"<body>{terms}</body>").text == (
        "- berth: A place for a boat.\n\nIt has a number.\n\n- hook, anchor: Holds the boat.\n- How deep? Two metres."
        "\n- Kinds:\n\n- swing\n\n- none:\n\n- slip:\n\n```\nx = 1\n```\n\nEnd."
    )
