import time

import pytest

from tests.support.loading import loaded, outline


def test_headings_make_nested_sections_and_the_text_is_unchanged() -> None:
    text = "# Guide\n\nIntro.\n\n## Use\n\nHow.\n\n### Fast\n\nSo.\n\nSetext\n------\n\nEnd.\n"

    document = loaded("a.md", text)

    assert (document.text, document.title, document.notes) == (text, "Guide", ())
    assert document.line_numbers == range(1, 18)
    assert outline(document) == [
        ("Guide", "# Guide\n\nIntro."),
        ("Guide > Use", "## Use\n\nHow."),
        ("Guide > Use > Fast", "### Fast\n\nSo."),
        ("Guide > Setext", "Setext\n------\n\nEnd."),
    ]


def test_heading_marks_in_fences_lists_and_quotes_are_not_headings() -> None:
    text = (
        "# A\n\n```sh\n# not\n```\n\n~~~\n# nor\n\n- # nor this\n~~~\n\n- # in a list\n\n> # in a quote\n\n    # code\n"
    )

    assert [path for path, _ in outline(loaded("a.md", text))] == ["A"]


@pytest.mark.parametrize(
    ("source", "heading"),
    [
        ('# DynamoDB Sizes<a name="CapacityUnitCalculations"></a>', "DynamoDB Sizes"),
        (r"# mysql\.rds\_enable\_gsh\_collector", "mysql.rds_enable_gsh_collector"),
        (
            "# Use `snake_case` and *this* [link](http://x.example) ![logo](y.png) now",
            "Use snake_case and this link logo now",
        ),
        ("# AT&amp;T &lt;b&gt; #", "AT&T <b>"),
        ("# Install {#install .wide}", "Install"),
        ("Two\nlines\n=====", "Two lines"),
        ("<h1 align='center'>\n  <b>Logo</b> &amp; name\n</h1>", "Logo & name"),
    ],
)
def test_inline_markup_is_removed_from_headings(source: str, heading: str) -> None:
    assert loaded("a.md", source + "\n\nText.\n").title == heading


def test_a_heading_without_words_ends_a_section_but_starts_none() -> None:
    text = '# A\n\n## B\n\nx\n\n## <a name="c"></a>\n\ny\n'

    assert outline(loaded("a.md", text)) == [("A", "# A"), ("A > B", "## B\n\nx"), ("A", '## <a name="c"></a>\n\ny')]


def test_front_matter_provides_the_title_and_creates_no_heading() -> None:
    text = '---\ntitle: "The Guide"\ntags: [a]\n---\n\n# One\n\nx\n\n# Two\n\ny\n'

    document = loaded("a.md", text)

    assert document.title == "The Guide"
    assert [path for path, _ in outline(document)] == ["", "One", "Two"]
    assert loaded("b.md", "+++\ntitle = 'T'\n+++\nx\n").title == "T"


def test_a_horizontal_rule_at_the_top_is_not_front_matter() -> None:
    assert [path for path, _ in outline(loaded("a.md", "---\n\n# One\n\nx\n\n---\n\n## Two\n\ny"))] == [
        "",
        "One",
        "One > Two",
    ]


def test_only_a_top_level_heading_before_any_text_becomes_the_title() -> None:
    assert loaded("a.md", "Bake it.\n\n# Variants\n\nx\n").title == ""
    assert loaded("a.md", "## Variants\n\nx\n").title == ""
    assert loaded("a.md", "[![CI](https://a.example/b.svg)](https://a.example)\n\n# Oven\n\nx\n").title == "Oven"


def test_a_title_is_not_chosen_from_several_top_level_headings() -> None:
    assert loaded("a.md", "# 2.0\n\nx\n\n# 1.0\n\ny\n").title == ""


def test_an_overlong_heading_is_truncated() -> None:
    document = loaded("a.md", "word " * 1000 + "\n===\n\ntext\n")

    assert len(document.title) <= 160
    assert document.title.endswith("word…")


def test_offsets_and_lines_are_correct_with_windows_line_ends() -> None:
    document = loaded("a.md", b"# A\r\n\r\nx\r\n\r\n## B\r\n\r\ny\r\n")

    assert document.text == "# A\n\nx\n\n## B\n\ny\n"
    assert outline(document) == [("A", "# A\n\nx"), ("A > B", "## B\n\ny")]


def test_separators_that_are_not_newlines_do_not_shift_sections() -> None:
    document = loaded("a.md", "# A\n\nx\u2028y\x0bz\x0c\x1c\x85\n\n## B\n\ny\n")

    assert [path for path, _ in outline(document)] == ["A", "A > B"]
    assert outline(document)[1][1] == "## B\n\ny"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    ["<h1>" * 100_000, "# " + "[" * 50_000, "> " * 20_000 + "# x", "- " * 20_000, "`" * 100_000, "# " + "*a " * 50_000],
    ids=["html", "brackets", "quotes", "lists", "backticks", "stars"],
)
def test_hostile_markdown_is_loaded_within_the_time_limit(text: str) -> None:
    assert loaded("a.md", text).text == text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("Heat it {{< badge \"new > old\" />}} slowly.", "Heat it  slowly."),
        ("{{% note %}}\nMind the *fire*.\n{{% /note %}}\n\nNext.", "Mind the *fire*.\n\nNext."),
        ("{{< tabs\n  names=\"a,b\"\n>}}\nFirst.\n{{< /tabs >}}", "First."),
        ("- {{< new-in 1.2 />}}\n- tongs", "- tongs"),
        ("`heat`\n: {{<old 3 />}}\n: Use `warm` instead.", "- `heat`: Use `warm` instead."),
        ("See [the part]({{< ref \"part.md\" >}}).", "See [the part]()."),
        ("{% if page.x -%}\nShown.\n{%- endif %}\n{% include a.html x=\"y\" %}\nAfter.", "Shown.\nAfter."),
        ("{% comment %}\nnot this\n{% endcomment %}\nThis.", "This."),
        ("{{% comment %}} nor this {{% /comment %}}This.", "This."),
        ("{% highlight ruby linenos %}\na == b[[0]]\n{% endhighlight %}\nEnd.", "```ruby\na == b[[0]]\n```\nEnd."),
        ("{{< highlight \"go\" \"hl=2\" >}}\nx := 1\n{{< /highlight >}}", "```go\nx := 1\n```"),
        ("{{< code-toggle file=hugo >}}\n[a]\nb = 1\n{{< /code-toggle >}}", "```\n[a]\nb = 1\n```"),
        ("{{< code file=a.go >}}\n```go\nx\n```\n{{< /code >}}", "```go\nx\n```"),
        ("{{< highlight go >}}\nnever closed", "never closed"),
        ("Write `{{< ref >}}` or `{% raw %}`.", "Write `{{< ref >}}` or `{% raw %}`."),
        ("```md\n{{< figure >}}\n{% raw %}\n{{</* x */>}}\n```",
         "```md\n{{< figure >}}\n{% raw %}\n{{</* x */>}}\n```"),
        ("A set {x % 2} and {{ name }}, 5{% and so on.", "A set {x % 2} and {{ name }}, 5{% and so on."),
    ],
)  # fmt: skip
def test_shortcodes_are_removed_but_the_text_they_enclose_is_kept(source: str, shown: str) -> None:
    assert loaded("a.md", source).text.strip() == shown


def test_line_numbers_after_shortcodes_are_correct() -> None:
    document = loaded("a.md", "{{< toc >}}\n\n{{% tip\n  x=1 %}}\n# Heat\n\nSlowly.\n")

    assert document.line_numbers is not None
    at = document.text.split("\n").index("Slowly.")
    assert (document.line_numbers[at], document.title) == (7, "Heat")


@pytest.mark.slow
@pytest.mark.fault("hostile-markup")
@pytest.mark.parametrize("part", ["{{< code >}}\n", "{% comment %}", "{{<", "{% a ", "{{% code %}}\n\n"])
def test_many_shortcodes_are_processed_within_ten_seconds(part: str) -> None:
    begun = time.process_time()

    loaded("a.md", part * 15_000 + "```\n{{< /code >}}")

    assert time.process_time() - begun < 10


@pytest.mark.slow
@pytest.mark.fault("headings-of-brackets")
@pytest.mark.parametrize("mark", ["[", "![", "[ ", "[]", "[a] "])
def test_headings_full_of_brackets_are_not_much_slower_than_others(mark: str) -> None:
    def seconds(heading: str) -> float:
        source = (f"# {heading}\n" * 60).encode()
        since_s = time.process_time()
        loaded("a.md", source)
        return time.process_time() - since_s

    seconds("warm up *em*")

    assert seconds(mark * (1900 // len(mark))) < 8 * seconds("*a* " * 475)


def test_brackets_in_a_heading_are_kept_and_links_are_removed() -> None:
    source = "# [draft] *Use* of `a[0]` \\[x\\]\n\nx\n\n## [Tongs](tongs.md) and [hammer]\n\ny\n"

    assert [path for path, _ in outline(loaded("a.md", source))] == [
        "[draft] Use of a[0] [x]",
        "[draft] Use of a[0] [x] > Tongs and [hammer]",
    ]


@pytest.mark.fault("definition-lists")
def test_a_term_is_repeated_before_each_of_its_definitions() -> None:
    source = (
        "berth\n: A place for a boat.\n\nanchor\n: Holds the boat.\n: A presenter on television.\n\nlong term\n\n"
        ":   In shed 4.\n\n    It costs 40.\n\nApple\nPear\n: Fruit.\n\nWhat now?\n: Wait.\n\n"
        "```\ncode\n: not\n```\n\nText that ends.\n\n: no term\n"
    )

    document = loaded("a.md", source)

    assert document.text == (
        "- berth: A place for a boat.\n\n- anchor: Holds the boat.\n- anchor: A presenter on television.\n\n"
        "- long term: In shed 4.\n\n    It costs 40.\n\n- Apple, Pear: Fruit.\n\n- What now? Wait.\n\n"
        "```\ncode\n: not\n```\n\nText that ends.\n\n: no term\n"
    )
    assert document.line_numbers is not None
    assert list(document.line_numbers)[:8] == [1, 3, 4, 6, 7, 8, 11, 12]
