"""The main content of web pages is found, and HTML tables are converted to text."""

import pytest

from tests.support.loading import loaded, outline

CONTENT = "<h1>Winches</h1><p>Grease the winch on the first day of each month.</p>"


def text_of(body: str) -> str:
    return loaded("a.html", f"<!DOCTYPE html><html><head><title>t</title></head><body>{body}</body></html>").text


@pytest.mark.fault("html-content")
@pytest.mark.parametrize(
    "body",
    [
        f"<div role=navigation>Home</div><div role=main>{CONTENT}</div><div class=footer>Imprint</div>",
        f"<header>Home</header><div>Side</div><main>{CONTENT}</main><footer>Imprint</footer>",
        f"<div>Home</div><article>{CONTENT}</article><div>Imprint</div>",
        f"<article>{CONTENT}</article><article><h2>Teaser</h2><p>Read of lamps.</p></article>",
        f"<main>{CONTENT}<nav>Next</nav><div class='related-posts'>Lamps</div><ul class=breadcrumbs><li>A</ul></main>",
        f"<main>{CONTENT}<div role=dialog>Hi</div><div class='cookie-banner'>Hi</div><dialog>Hi</dialog></main>",
        f"<main>{CONTENT}<p hidden>no</p><p aria-hidden=true>no</p><p style='display:none'>no</p><!-- no --></main>",
        f"<a class='skip-link' href='#m'>Skip</a><main id=m>{CONTENT}<div class='share buttons'>Post</div></main>",
        f"<div aria-hidden=true><main>{CONTENT}</main></div><div role=dialog>Cookies?</div>",
        f"<div id=cookie-law-info-bar>We use cookies.</div>{CONTENT}<div id=onetrust-consent-sdk>Accept</div>",
        f"<main>{CONTENT}<ol class='comment-list'><li><article>{'A comment. ' * 60}</article></ol></main>",
    ],
    ids=[
        "roles",
        "main",
        "article",
        "teaser",
        "around",
        "dialogs",
        "hidden",
        "share",
        "behind a dialog",
        "consent",
        "comments",
    ],
)
def test_only_the_main_content_is_read(body: str) -> None:
    assert text_of(body) == "# Winches\n\nGrease the winch on the first day of each month."


def test_marks_of_footnotes_are_dropped_and_other_superscripts_are_kept() -> None:
    marks = "<sup class=reference>[7]</sup>", "<sup><a href='#fn1'>1</a></sup>", "<sup>[note 2]</sup>"
    linked = "<a href='#fn2' class=footnote-ref role=doc-noteref><sup>2</sup></a>"

    text = text_of(
        f"<p>The winch{marks[0]}{linked} pulls{marks[1]} 40 m<sup>3</sup>{marks[2]} on the 1<sup>st</sup>.</p>"
    )

    assert text == "The winch pulls 40 m3 on the 1st."


def test_without_landmarks_parts_that_are_mostly_links_are_dropped() -> None:
    links = "".join(f"<li><a href={n}>Chapter {n} of the handbook</a></li>" for n in range(30))
    paragraphs = "".join(f"<p>Rule {n}: {'the mate greases the winch and signs the log. ' * 4}</p>" for n in range(5))

    text = text_of(f"<div class=c1><ul>{links}</ul></div><div class=c2><h1>Rules</h1>{paragraphs}</div>")

    assert (text.startswith("# Rules\n\nRule 0"), "Chapter" in text) == (True, False)


def test_a_nearly_empty_main_element_is_not_the_content() -> None:
    assert "winch" in text_of(f"<main><div id=app></div></main><div>{CONTENT}</div>")


def test_all_articles_of_a_page_are_read() -> None:
    articles = "".join(
        f"<article><h2>{name}</h2><p>{name} are kept in the bow.</p></article>" for name in ("Lamps", "Ropes")
    )

    assert text_of(articles) == "## Lamps\n\nLamps are kept in the bow.\n\n## Ropes\n\nRopes are kept in the bow."


def test_a_section_is_kept_even_if_its_id_resembles_navigation() -> None:
    page = '<main><h1>Manual</h1><div class="section" id="search"><h2>Search</h2><p>Type a word.</p></div></main>'

    assert text_of(page) == "# Manual\n\n## Search\n\nType a word."


def test_links_are_content_if_the_page_has_nothing_else() -> None:
    links = "".join(f"<li><a href={n}>Chapter {n}</a></li>" for n in range(3))

    assert text_of(f"<h1>Contents</h1><ul>{links}</ul>") == "# Contents\n\n- Chapter 0\n- Chapter 1\n- Chapter 2"


def test_a_docbook_sidebar_is_part_of_the_text() -> None:
    box = '<div class="sidebar"><div class="titlepage">NOTE Ice</div><p>Salt the winch in winter.</p></div>'

    assert "Salt the winch in winter." in text_of(f"<div class=section>{CONTENT}{box}<p>{'Then rest. ' * 30}</p></div>")


def test_line_numbers_permalinks_and_buttons_around_code_are_removed() -> None:
    page = (
        '<main><h2>Use<a href="#use">#</a></h2><table class="highlighttable"><tr><td class="linenos"><pre>1\n2'
        '</pre></td><td class="code"><button>Copy</button><pre>def f():\n    return 1\n</pre></td></tr></table></main>'
    )

    assert text_of(page) == "## Use\n\n```\ndef f():\n    return 1\n```"


def test_a_row_is_one_line_with_the_column_names() -> None:
    page = (
        "<table><caption>Stock</caption><thead><tr><th rowspan=2>Part<th colspan=2>Price</tr><tr><th>new<th>used</tr>"
        "</thead><tr><td rowspan=2>cleat<td>4<td>2</tr><tr><td>5<td></tr><tr><td colspan=3>Ropes</tr>"
        "<tr><td>rope<td>9<td>7</tr></table>"
    )

    assert text_of(page).split("\n") == [
        "Stock",
        "- Part: cleat; Price new: 4; Price used: 2",
        "- Part: cleat; Price new: 5",
        "Ropes",
        "- Part: rope; Price new: 9; Price used: 7",
    ]


def test_the_first_column_names_the_values_of_a_two_column_table() -> None:
    page = "<table><tr><th>Founded:<td>1921</tr><tr><th>Port<td>Oban</tr></table>"

    assert text_of(page) == "- Founded: 1921\n- Port: Oban"


def test_a_layout_table_is_read_as_text() -> None:
    page = (
        "<table><tr><td><ul><li>Home</ul></td><td><p>First.</p><p>Second.</p><h2>Use</h2><p>So.</p></td></tr></table>"
    )

    assert [path for path, _ in outline(loaded("a.html", page))] == ["", "Use"]
    assert text_of(page) == "- Home\n\nFirst.\n\nSecond.\n\n## Use\n\nSo."


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>Winches — Ferry handbook</title>", "Winches"),
        ("<title>All about Winches</title>", "All about Winches"),
        ("<meta property=og:title content='Of winches'>", "Of winches"),
        ("", "Winches"),
    ],
)
def test_the_title_excludes_the_site_name(head: str, title: str) -> None:
    assert loaded("a.html", f"<head>{head}</head><main>{CONTENT}</main>").title == title


@pytest.mark.slow
@pytest.mark.fault("html-content")
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "page",
    [
        "<table>" + "<tr><th rowspan=60000 colspan=60000>x" * 3_000 + "</table>",
        "<article>" * 20_000 + "x" * 100,
        "<div aria-hidden=true>" * 20_000 + "x",
        "<div class='" + "nav-" * 100_000 + "'>x</div>",
        "<table><tr>" + "<th>x" * 20_000 + "<tr>" + "<td>y" * 20_000,
    ],
    ids=["spans", "articles", "hidden", "class", "cells"],
)
def test_hostile_pages_are_loaded_within_the_time_limit(page: str) -> None:
    loaded("a.html", page)


def test_the_footer_of_a_page_with_only_short_paragraphs_is_dropped() -> None:
    content = "<div><h1>Slip</h1><p>Open at six.</p></div>"
    page = f"<html><body><header>Home</header>{content}<footer>Imprint</footer></body></html>"

    assert text_of(page) == "# Slip\n\nOpen at six."
