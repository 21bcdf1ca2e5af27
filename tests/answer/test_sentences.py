"""The sentences in a chunk that may be quoted. They look the same as in the document when they are rendered."""

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrag_cli.answer.passages import MAX_BLOCK_CHARS, MAX_BLOCK_LINES
from streamrag_cli.answer.sentences import MAX_CHARS, sentences
from streamrag_cli.documents.formats import Markup, TextKind
from streamrag_cli.render.markdown.parsing import Parser

PROSE: tuple[TextKind, Markup] = ("prose", "markdown")
PLAIN: tuple[TextKind, Markup] = ("plain", "code spans")
CODE: tuple[TextKind, Markup] = ("code", "code spans")
RECORDS: tuple[TextKind, Markup] = ("records", "none")


def on_screen(markdown: str) -> str:
    """The text that a line of Markdown shows on a terminal."""
    (line,) = Parser(cited={1, 2, 3}).inline(markdown)
    return "".join(each.content for each in line.children or () if each.type in {"text", "code_inline", "citation"})


def read(text: str, how: tuple[TextKind, Markup] = PROSE) -> list[str]:
    return [sentence.text for sentence in sentences(text, *how)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# Heading\n\nOne sentence. Another one, e.g. this. A third!",
            ["One sentence.", "Another one, e.g. this.", "A third!"],
        ),
        ("Title of a section\n==================\n\nThe text of it.", ["The text of it."]),
        ("- first item here\n- second item here", ["first item here", "second item here"]),
        ("See [the guide](http://x/y) for **bold** `code\\_name`.", ["See the guide for bold code\\_name."]),
        ('Size is 5\\.1 GB<a name="x"></a> at most.', ["Size is 5.1 GB at most."]),
        ("| Limit | Value |\n|---|---|\n| Rows per page | 500 |", ["Limit | Value", "Rows per page | 500"]),
        (
            "=====  =====\nwhat   then\n=====  =====\nan end      it connects again\na 204       it stops\n",
            ["what | then", "an end | it connects again", "a 204 | it stops"],
        ),
        ("```\nonly code here\n```", ["only code here"]),
        ("Prose first.\n```\nx = 1\n```", ["Prose first."]),
        ("Wrapped over\ntwo lines.", ["Wrapped over two lines."]),
        ("Allow these ports:\n\n    ufw allow 22/tcp\n    ufw allow 80/tcp", ["Allow these ports:"]),
        ("- Allow these ports.\n\n    They are open to all.", ["Allow these ports.", "They are open to all."]),
        ("Dr. Smith and J. Doe wrote it.", ["Dr. Smith and J. Doe wrote it."]),
        (
            "It has a kitchen and cellar no. 7. See p. 3 for more.",
            ["It has a kitchen and cellar no. 7.", "See p. 3 for more."],
        ),
        ("The answer is no. It stays.", ["The answer is no.", "It stays."]),
    ],
)
def test_sentences_have_no_markup(text: str, expected: list[str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zwischen dem 1. März und dem 30. September ist es verboten. Danach nicht.", 2),
        ("Die Miete ist am 3. Werktag zu zahlen. Der Vertrag endet 2027.", 2),
        ("Betaling skjer innen 15. Mars hvert år.", 1),
        ("Es gilt z. B. Nr. 4 Abs. 2 der Ordnung, d. h. Hunde sind erlaubt.", 1),
        ("The limit is 5. After that, wait 30. Then try again.", 3),
        ("It ended in 2020. Augustus came later.", 2),
        ("The fee is 21 euros from 1 Jan. 2024. It was 18 on 1 Dec. Then it rose.", 3),
    ],
)
def test_ordinal_numbers_and_abbreviations_do_not_end_a_sentence(text: str, expected: int) -> None:
    assert len(read(text)) == expected


@pytest.mark.fault("quote-markup")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Use `keelctl tie <knot>` or `List<A, B>`.", "Use `keelctl tie <knot>` or `List<A, B>`."),
        ("Paste <your-token> <b>here</b>, <kbd>Enter</kbd>.", "Paste <your-token> here, Enter."),
        ("Pass `*ropes`, `**knots`, `a_b_c`.", "Pass `*ropes`, `**knots`, `a_b_c`."),
        (r"Match `\d+\*` and 5\*3.", r"Match `\d+\*` and 5*3."),
        ("Tie `a. B` first, ``a ` b`` then.", "Tie `a. B` first, ``a ` b`` then."),
        ("Set &lt;size&gt; of [x][ref], [y](u \"t\").", "Set <size> of x, y."),
        ("Mail <crew@ship.example>, see <https://ship.example/a_b>.", "Mail crew@ship.example, see https://ship.example/a_b."),
        ("An _odd_ __strong__ ***both*** ~~old~~ word[^3].", "An odd strong both old word."),
        ("> Quoted words here.", "Quoted words here."),
        ("- [x] Oil the winch", "Oil the winch"),
    ],
)  # fmt: skip
def test_a_quote_keeps_code_spans_and_drops_other_markup(text: str, expected: str) -> None:
    assert [sentence.markdown for sentence in sentences(text)] == [expected]


@pytest.mark.fault("quote-markup")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set <size> to *full* or [x](y).", "Set <size> to `*full*` or `[x](y)`."),
        (r"Write \* and 2 * 3 * 4.", r"Write `\*` and 2 * 3 * 4."),
        ("The `winch` takes **ropes.", "The `winch` takes **ropes."),
        ("As in [2] of it, &amp; more.", "As in `[2]` of it, `&amp;` more."),
    ],
)
def test_plain_text_is_shown_unchanged_on_a_terminal(text: str, expected: str) -> None:
    (sentence,) = sentences(text, *PLAIN)

    assert sentence.markdown == expected
    assert on_screen(sentence.markdown) == sentence.text


@pytest.mark.fault("quote-markup")
@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab A.*_`~\\<>[]()&;:!#1/\n", max_size=60),
    st.sampled_from([PROSE, PLAIN, RECORDS, ("prose", "none")]),
)
def test_a_rendered_quote_equals_the_plain_sentence(text: str, how: tuple[TextKind, Markup]) -> None:
    for sentence in sentences(text, *how):
        assert on_screen(f"“{sentence.markdown}”") == f"“{sentence.text}”"


@given(st.text(max_size=3000))
def test_every_sentence_is_one_line_of_bounded_length(text: str) -> None:
    lines = read(text)

    assert all("\n" not in each and 0 < len(each) <= MAX_CHARS + 4 for each in lines)


@pytest.mark.fault("quote-colon")
@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("Tie it as follows:\n\n```sh\nkeelctl tie *\n```", "```sh\nkeelctl tie *\n```"),
        ("Tie it with the command below.\n~~~\nkeelctl tie\n~~~", "```\nkeelctl tie\n```"),
        ("Tie it like so:\n\n    keelctl tie\n      --all", "```\nkeelctl tie\n  --all\n```"),
        ("Tie it so:\n1. Take `<a>`.\n2. Pull.\n\nDone it is.", "1. Take `<a>`.\n2. Pull."),
        ("The knots are:\n\n- name: hitch; load: 5\n- name: bend", "- name: hitch; load: 5\n- name: bend"),
        ("Note the following:\n\nIt is slow. It is wet.", "> It is slow. It is wet."),
        ("## Tie it\n\n```\nkeelctl tie\n```", "```\nkeelctl tie\n```"),
        ("Usage:\n\n```\nkeelctl tie\n```", "```\nkeelctl tie\n```"),
        ("- Tie it:\n\n  ```\n  keelctl tie\n  ```\n- Pull it.", "```\nkeelctl tie\n```"),
        ("The knots are:\n\nKnots for sailors\n\n- name: hitch\n- name: bend", "- name: hitch\n- name: bend"),
        ("The knots are:\n\nTable 2. Knots.\n\n- name: hitch\n- name: bend", "- name: hitch\n- name: bend"),
        ("The knots are:\n\n#### All knots\n\n- name: hitch", "- name: hitch"),
        ("Tie it with this:\n\n**knot.sh**\n\n```sh\nkeelctl tie\n```", "```sh\nkeelctl tie\n```"),
        ("Tie it with this:\n\nOn board:\n\n```\nkeelctl tie\n```", "```\nkeelctl tie\n```"),
        ("Mind this:\n\nWet rope slips.\n\n- name: hitch", "> Wet rope slips."),
        ("The knots are:\n\n## Ropes\n\n- name: hemp", ""),
    ],
)  # fmt: skip
def test_a_sentence_includes_the_block_it_introduces(text: str, block: str) -> None:
    first = next(sentences(text))

    assert first.block.markdown == block


@pytest.mark.fault("chunk-inside-code")
@pytest.mark.parametrize(
    "code",
    [
        "  rope = Rope(4)\n  rope.tie()",
        "- uses: rope@v4\n  with:\n    knots: all",
        "Tying the rope\nDone",
        "rope: hemp\n\nknot: bowline",
    ],
)
@pytest.mark.parametrize(
    "behind", ["\n\nPull it tight.", "\n\nPull it tight.\n\n```sh\nkeelctl pull\n```", "\n\nThen:\n\n```\nx\n```"]
)
def test_a_chunk_that_begins_inside_code_is_code_up_to_its_fence(code: str, behind: str) -> None:
    parts = list(sentences(f"{code}\n```{behind}"))

    assert parts[0].text == ("Then:" if "Then" in behind else "Pull it tight.")
    assert all("```" not in each.text for each in parts)


@pytest.mark.parametrize(
    "text",
    [
        "Pull it:\n\n```\nkeelctl pull",
        "Pull it:\n```\nkeelctl pull\n```",
        "# Knots\n\nPull it:\n\n1. Take it.\n2. Tie it.\n\nTo see the log\n```\nkeelctl log\n```\n",
        "Pull it\n\n```\nkeelctl pull\n```\n\nDone, or:\n\n```sh\nkeelctl tie\n```",
    ],
)
def test_a_chunk_that_begins_with_prose_is_prose(text: str) -> None:
    assert next(sentences(text)).text in {"Pull it:", "Pull it"}


@pytest.mark.fault("chunk-inside-code")
@pytest.mark.parametrize(
    "code",
    [
        "    knots = load(rope)\n    for knot in knots:\n        knot.tie()\n    return knots",
        "jobs:\n  tie:\n    runs-on: deck\n    steps:\n      - uses: rope@v4",
        '  "rope": {\n    "length": 4,\n    "knots": []\n  },',
        "$ keelctl tie\n# then pull\nkeelctl.pull(rope);",
    ],
)
def test_a_chunk_that_contains_only_code_is_quoted_as_code(code: str) -> None:
    (only,) = sentences(code)

    assert (only.markdown, only.block.markdown) == ("", f"```\n{dedent(code)}\n```")


@pytest.mark.parametrize(
    "text",
    [
        "- name: hitch; load: 5\n- name: bend; load: 6\n- name: knot; load: 7",
        "Rope: hemp or cotton\nKnot: bowline, hitch\nPull: hard and slowly",
        "Tie it.\nPull it.\nLeave it (or not)\nCut it",
    ],
)
def test_short_lines_of_prose_are_not_code(text: str) -> None:
    assert all(each.markdown for each in sentences(text))


@pytest.mark.fault("quote-colon")
def test_a_long_block_below_its_introduction_ends_in_an_ellipsis() -> None:
    code = "\n".join(f"step {number}" for number in range(40))
    items = "\n".join(f"- item {number}" for number in range(40))
    of_code = next(sentences(f"Do this:\n\n```\n{code}\n```")).block.markdown
    of_items = next(sentences(f"Take these:\n\n{items}")).block.markdown
    long = next(sentences(f"Do this:\n\n```\n{'x' * 5000}\n```")).block.markdown

    assert of_code == "```\n" + "\n".join(code.split("\n")[:MAX_BLOCK_LINES]) + "\n```\n\n..."
    assert of_items == "\n".join(items.split("\n")[:MAX_BLOCK_LINES]) + "\n- ..."
    assert long == f"```\n{'x' * MAX_BLOCK_CHARS}\n```\n\n..."


@pytest.mark.fault("empty-phrases")
@pytest.mark.parametrize(
    "line",
    [
        "See the documentation for details.",
        "For more information, see the reference manual.",
        "!!! note",
        ".. note::",
        "[!NOTE]",
        "**Note:**",
        "[guide]: https://ship.example/guide 'Guide to it'",
        "<!-- written by hand -->",
    ],
)
def test_boilerplate_lines_are_never_quoted(line: str) -> None:
    assert read(f"{line}\n\nThe keel is oak.") == ["The keel is oak."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("船は九時に出ます。雨なら出ません！次の\n便は十時です。",
         ["船は九時に出ます。", "雨なら出ません！", "次の便は十時です。"]),
        ("هل الميناء مفتوح؟ نعم هو مفتوح.", ["هل الميناء مفتوح؟", "نعم هو مفتوح."]),
        ("يفتح الميناء فجراً. الرسوم خمسة دراهم.", ["يفتح الميناء فجراً.", "الرسوم خمسة دراهم."]),
        ("배는 아홉 시에 떠납니다. 표는 만 원입니다.", ["배는 아홉 시에 떠납니다.", "표는 만 원입니다."]),
        ("2024. 5. 3. 문을 엽니다. 표는 없습니다.", ["2024. 5. 3. 문을 엽니다.", "표는 없습니다."]),
        ("הספינה יוצאת בתשע. הכרטיס עולה שמונה.", ["הספינה יוצאת בתשע.", "הכרטיס עולה שמונה."]),
        ("Το πλοίο φεύγει στις οκτώ. Το τηλ. 210 απαντά.", ["Το πλοίο φεύγει στις οκτώ.", "Το τηλ. 210 απαντά."]),
        ("Łódź czeka przy ul. Śliskiej. Żagle są mokre.", ["Łódź czeka przy ul. Śliskiej.", "Żagle są mokre."]),
        ("Шлюпка на ул. Ленина, д. 5. Канат у А. Белова.", ["Шлюпка на ул. Ленина, д. 5.", "Канат у А. Белова."]),
        ("Loď pluje 3. 5. 2024. Čeká u mola.", ["Loď pluje 3. 5. 2024.", "Čeká u mola."]),
    ],
)  # fmt: skip
def test_sentence_ends_of_other_scripts_are_recognised(text: str, expected: list[str]) -> None:
    assert read(text) == expected


def test_code_comments_are_sentences_and_code_is_quoted_unchanged() -> None:
    source = "# Hoists the sail. It takes a while.\ndef hoist(*ropes):\n    return ropes  # <all>\n"

    parts = list(sentences(source, *CODE))

    assert [each.text for each in parts[:2]] == ["Hoists the sail.", "It takes a while."]
    assert parts[2].block.markdown == "```\ndef hoist(*ropes):\n    return ropes  # <all>\n```"
    assert len(parts) == 3


def test_each_line_of_a_log_is_a_sentence() -> None:
    log = "2031-05-01 10:00:00 WARN sail <main> is torn\n2031-05-01 10:00:09 INFO sail is down"

    assert read(log, PLAIN) == log.split("\n")


def test_a_record_is_one_sentence_with_its_field_names() -> None:
    rows = "- id: 7; note: Late. Call back\n- id: 8; note: Paid"
    nested = "/v1/forges:\n  get:\n    summary: List. All of them\n"
    nested += "    parameters:\n    - name: limit\n      most: 15\n\nb: 1"

    assert read(rows, RECORDS) == ["id: 7; note: Late. Call back", "id: 8; note: Paid"]
    assert read(nested, RECORDS) == [
        "/v1/forges: get: summary: List. All of them; parameters: name: limit; most: 15",
        "b: 1",
    ]


def test_a_sentence_has_its_line_number() -> None:
    text = "# Ship\n\nThe keel is oak. The mast\nis pine. The sail is flax.\n\n- one rope\n- two ropes"

    assert [each.line for each in sentences(text)] == [2, 2, 3, 5, 6]
    assert [each.line for each in sentences("- a: 1\n- a: 2\n\nb: 3", *RECORDS)] == [0, 1, 3]


@pytest.mark.slow
@pytest.mark.fault("slow-passage")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part",
    ["`", "``x", "*a", "_a", "[", "[a](", "![", "<a ", "<!--", "\\`", "~~a", "- a\n", "> ", "```\n", "。", "[1,"],
)
def test_splitting_long_input_into_sentences_finishes_within_a_minute(part: str) -> None:
    for how in (PROSE, PLAIN, CODE, RECORDS):
        list(sentences(part * 100_000, *how))


@pytest.mark.parametrize(
    "stamp",
    ["[3/12/2031, 18:04:11]", "03.12.31 18:04", "2031/12/03 18:04:11", "03/Dec/2031:18:04:11", "E1203 18:04:11.1",
     "18:04 <mate>"],
)  # fmt: skip
def test_each_line_of_an_exported_chat_or_a_log_is_a_sentence(stamp: str) -> None:
    lines = [f"{stamp} the slip is free", f"{stamp} who takes it?"]

    assert [each.text for each in sentences("\n".join(lines), "plain", "none")] == lines


def test_a_title_in_capitals_is_quoted_only_if_plain_text_has_nothing_else() -> None:
    title = "RULES OF THE SLIP"

    assert [each.text for each in sentences(f"{title}\n\nPay at the gate.\n", "plain", "none")] == ["Pay at the gate."]
    assert [(each.text, each.role) for each in sentences(f"{title}\n", "plain", "none")] == [(title, "heading")]


def test_the_line_above_quoted_mail_introduces_the_quotation() -> None:
    text = "We paid.\n\nOn Monday Ida Falk wrote:\n> Who pays the slip?\n> I cannot.\n"

    paid, wrote = (
        each for each in sentences(text, "prose", "none") if "?" not in each.text and "cannot" not in each.text
    )

    assert (paid.text, wrote.text) == ("We paid.", "On Monday Ida Falk wrote:")
    assert wrote.block.words == "Who pays the slip? I cannot."


def test_a_caption_includes_the_code_below_it() -> None:
    (caption,) = sentences("Switching the pump on\n\n```sh\npump --on\n```\n")

    assert (caption.text, caption.block.markdown) == ("Switching the pump on", "```sh\npump --on\n```")


LEASE = """\
Lease agreement
Rent and deposit
The rent is 980 euros a month, plus 210 euros for heating and water.
It is due on the third working day of each month.
§ 3 Deposit
The tenant pays a deposit of 2,940 euros in three equal instalments.
The landlady pays it back at latest six months after the end of the
lease.
"""


@pytest.mark.parametrize("how", [("prose", "none"), PLAIN])
def test_titles_above_paragraphs_of_plain_text_are_not_part_of_sentences(how: tuple[TextKind, Markup]) -> None:
    assert read(LEASE, how) == [
        "The rent is 980 euros a month, plus 210 euros for heating and water.",
        "It is due on the third working day of each month.",
        "The tenant pays a deposit of 2,940 euros in three equal instalments.",
        "The landlady pays it back at latest six months after the end of the lease.",
    ]


def test_short_lines_of_plain_text_are_separate_sentences() -> None:
    text = (
        "Policy number: HH-2291\nInsurer: Northern Mutual\n"
        "Excess: 250 euros per claim. Bicycles are covered only\nwhen they are locked."
    )

    assert read(text, PLAIN) == [
        "Policy number: HH-2291",
        "Insurer: Northern Mutual",
        "Excess: 250 euros per claim.",
        "Bicycles are covered only when they are locked.",
    ]


def test_a_name_at_the_end_of_a_wrapped_line_does_not_end_the_sentence() -> None:
    text = "The rowing boat was built by the brothers\nMoritz and Karl Brandt in the harbour of\nSkerry."

    assert read(text, PLAIN) == [" ".join(text.split())]
