import pytest

from streamrag_cli.documents.chunking import chunk
from tests.support.loading import loaded


@pytest.mark.parametrize(
    "content",
    [
        b"tool,weight,note\ntongs,3,\nsledge,9,\"for\nlarge pieces\"\n",
        b"\xef\xbb\xbftool;weight;note\r\ntongs;3;\r\nsledge;9;\"for\r\nlarge pieces\"\r\n",
        "tool\tweight\tnote\ntongs\t3\nsledge\t9\t\"for\nlarge pieces\"\n".encode("utf-16"),
        b"sep=;\ntool;weight;note\ntongs;3;\nsledge;9;\"for\nlarge pieces\"\n",
        b"tool | weight | note\ntongs | 3 |\nsledge | 9 | for large pieces\n",
    ],
    ids=["commas", "semicolons", "tabs in UTF-16", "a hint of the separator", "bars"],
)  # fmt: skip
def test_a_row_is_one_line_with_the_column_names(content: bytes) -> None:
    document = loaded("a.csv", content)

    assert document.text == "- tool: tongs; weight: 3\n- tool: sledge; weight: 9; note: for large pieces\n"


def test_a_title_above_the_header_is_the_title_of_the_table() -> None:
    document = loaded("a.csv", "Stock in May;;\n;;\ntool;weight;price\ntongs;3,5;10,0\nsledge;9,0;20,5\n")

    assert document.title == "Stock in May"
    assert document.text.split("\n")[1:] == [
        "- tool: tongs; weight: 3,5; price: 10,0",
        "- tool: sledge; weight: 9,0; price: 20,5",
        "",
    ]
    assert document.line_numbers == [1, 4, 5, 5]


def test_a_first_row_of_values_is_not_a_header_unless_it_contains_years() -> None:
    assert loaded("a.csv", "tongs,3\nsledge,9\n").text == "- tongs; 3\n- sledge; 9\n"
    assert loaded("a.csv", "tool,2030,2031\ntongs,3,4\n").text == "- tool: tongs; 2030: 3; 2031: 4\n"


def test_chunks_contain_whole_rows() -> None:
    rows = "".join(f'{number},"A tool. Heavy, no. {number}",{number * 7}\n' for number in range(500))

    chunks = list(chunk(loaded("a.csv", "id,tool,price\n" + rows)))

    lines = [line for each in chunks for line in each.text.split("\n")]
    assert lines == [f"- id: {n}; tool: A tool. Heavy, no. {n}; price: {n * 7}" for n in range(500)]
    assert all(700 < len(each.text) <= 1000 for each in chunks[:-1])
    assert [each.line_start for each in chunks[:2]] == [2, 2 + chunks[0].text.count("\n") + 1]


def test_a_large_table_of_short_rows_is_split_into_few_chunks() -> None:
    rows = "".join(f"{number},iron\n" for number in range(40_000))

    chunks = list(chunk(loaded("a.csv", "id,metal\n" + rows)))

    assert len(chunks) < 40_000 * 24 // 2800
    assert sum(each.text.count("\n") + 1 for each in chunks) == 40_000


def test_an_overlong_row_has_its_first_cell_as_heading() -> None:
    chunks = list(chunk(loaded("a.csv", "id,text\n7," + "word " * 500 + "\n8,x\n")))

    assert len(chunks) > 2
    assert {each.headings for each in chunks[:-1]} == {("id: 7",)}
    assert (chunks[-1].headings, chunks[-1].text) == ((), "- id: 8; text: x")


@pytest.mark.fault("table-open-quote")
def test_an_unclosed_quote_affects_only_its_own_line() -> None:
    text = loaded("a.csv", 'a,b\n1,"open\n' + "2,x\n" * 10_000).text

    assert text.startswith("- a: 1; b: open\n- a: 2; b: x\n")
    assert text.count("\n") == 10_001
