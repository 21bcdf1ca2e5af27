"""AsciiDoc tables, macros and attributes are converted to the visible text."""

import pytest

from tests.support.loading import loaded


@pytest.mark.parametrize(
    ("attributes", "table"),
    [
        ('[cols="1,2a", options="header"]', "|===\n|part\n|use\n\n|tongs\n|hold\n\n|anvil\n|bear\n|==="),
        ("[%header,cols=2*]", "|====\n|part\n|use\n|tongs\n|hold\n|anvil\n|bear\n|===="),
        ('[%header]\n[cols="<.^1m;^3"]', "|===\n|part\n|use\n|tongs |hold\n|anvil\n|bear\n|==="),
        ("[cols='2*<']", "|===\n|part |use\n\n|tongs\n\n|hold\n\n|anvil\n|bear\n|==="),
        ("", "|===\n|part |use\n\n|tongs\n|hold\n\n|anvil\n|bear\n|==="),
        ('[width=50%,separator=!,cols="2,2",opts=header]', "|===\n!part\n!use\n!tongs\n!hold\n!anvil!bear\n|==="),
        ("[%header,format=csv]", '|===\npart,use\n"tongs",hold\nanvil,"bear"\n|==='),
    ],
)  # fmt: skip
def test_cells_of_an_asciidoc_row_may_be_on_separate_lines(attributes: str, table: str) -> None:
    text = loaded("a.adoc", f".Parts\n{attributes}\n{table}\n".replace("\n\n\n", "\n")).text

    assert text == "Parts\n\n- part: tongs; use: hold\n- part: anvil; use: bear"


def test_an_asciidoc_cell_may_span_several_lines_and_blocks() -> None:
    source = (
        '[cols="1,1a",options="header"]\n|===\n|part |use\n\n|tongs\n|hold\nthe iron\n\n* hot\n* cold\n'
        "[source,sh]\n----\nheat --all\n----\n\n|anvil\n|a \\| b\n|===\n"
    )

    assert loaded("a.adoc", source).text == (
        "- part: tongs; use: hold the iron hot cold heat --all\n- part: anvil; use: a | b"
    )


def test_spanning_cells_do_not_shift_other_cells_to_wrong_columns() -> None:
    source = (
        '[cols="3*",options="header"]\n|===\n|metal |heat |time\n\n.2+|iron |red\n|5\n|white |9\n2+|brass |2\n'
        "2*|tin |1\n|===\n"
    )

    assert loaded("a.adoc", source).text.split("\n") == [
        "- metal: iron; heat: red; time: 5",
        "- metal: iron; heat: white; time: 9",
        "- metal: brass; time: 2",
        "- metal: tin; heat: tin; time: 1",
    ]


@pytest.mark.parametrize(
    ("attributes", "table"),
    [
        ('[cols="1,1"]', "|===\n|tongs |hold\n|anvil |bear\n|==="),
        ('[cols="1,1"]', "|===\n|tongs\n|hold\n\n|anvil\n|bear\n|==="),
        ('[cols="1,1",options="noheader"]', "|===\n|tongs |hold\n\n|anvil |bear\n|==="),
        ("[%noheader]", "|===\n|tongs |hold\n\n|anvil |bear\n|==="),
    ],
)
def test_a_first_row_that_does_not_look_like_a_header_is_data(attributes: str, table: str) -> None:
    assert loaded("a.adoc", f"{attributes}\n{table}\n").text == "- tongs; hold\n- anvil; bear"


@pytest.mark.fault("hostile-markup")
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    [
        "[a]\n",
        "include::" + "[" * 3900 + "\n",
        "|===\n99*|x\n",
        "|===\n99.999+|x\n",
        "|===\nx\n",
        "a:b:",
        "[subs=\n----\n",
    ],
)
def test_hostile_asciidoc_is_loaded_within_the_time_limit(part: str) -> None:
    for text in (part * (30_000 // len(part)), "|===\n" + part.removeprefix("|===\n") * (30_000 // len(part))):
        assert len(loaded("a.adoc", text).text) < 10_000_000


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('Pin it with `@Hash("\\{slot}")` and `{tool}`.', 'Pin it with `@Hash("{slot}")` and `mallet`.'),
        ("Write \\{tool} for {tool}, not {unknown}.", "Write {tool} for mallet, not {unknown}."),
        ("A literal `+{tool} &lt;+` and ``{tool}``.", "A literal `{tool} &lt;` and `mallet`."),
        ("`&lt;name&gt;` &#8594; x &amp; y &nosuch;", "`<name>` → x & y &nosuch;"),
        ("See javadoc:org.forge.Fire[] and javadoc:org.forge.Fire[the fire].", "See org.forge.Fire and the fire."),
        ("Run jira:FORGE-12[role=issue] or rfc:791[IP, role=x].", "Run FORGE-12 or IP."),
        ("See the {docs}/fire.html#hot[hot fires] and {docs}.", "See the hot fires and {docs}."),
        ("Slot fire:heat[0] of `fire:heat[x]`.", "Slot fire:heat[0] of `fire:heat[x]`."),
        ("See https://a.example/x:y[the site], redis://host[x].", "See the site, redis://host[x]."),
        ('`"` and `"` are quotes, "`so is this`".', '`"` and `"` are quotes, \u201cso is this\u201d.'),
    ],
)  # fmt: skip
def test_inline_asciidoc_is_converted_to_visible_text(line: str, shown: str) -> None:
    assert loaded("a.adoc", f":tool: mallet\n\n{line}\n").text == shown


def test_include_and_conditional_directives_are_dropped_everywhere() -> None:
    source = (
        "Before.\n\ninclude::a b/page$part.adoc[tag=x]\n\n* item\ninclude::part.adoc[]\n\n[source,sh]\n----\n"
        "include::example$run.sh[]\nforge --hot\nifdef::old[]\nforge --old\nendif::[]\n\\include::kept[]\n----\n\n"
        "----\ninclude::all.sh[]\n----\n\n|===\n|a |b\n\ninclude::rows.adoc[]\n|1 |2\n|===\n\n"
        "ifdef::new[Only here.]\nifeval::[1 == 1]\nAfter.\nendif::[]\n"
    )

    assert loaded("a.adoc", source).text == (
        "Before.\n\n- item\n\n```sh\nforge --hot\nforge --old\ninclude::kept[]\n```\n\n- a: 1; b: 2\n\n"
        "Only here.\nAfter."
    )


def test_attributes_in_code_are_substituted_only_if_subs_is_set() -> None:
    source = (
        ':version: 4.2\n:gone: x\n:gone!:\n\n[source,sh,subs="+attributes"]\n----\nget {version} {gone}\n----\n\n'
        "[source,sh]\n----\nget {version}\n----\n"
    )

    assert loaded("a.adoc", source).text == "```sh\nget 4.2 {gone}\n```\n\n```sh\nget {version}\n```"
