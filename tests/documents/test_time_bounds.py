"""Formats that are not sandboxed have no time limit, so loading them takes time linear in the size of the file."""

import time
from pathlib import PurePath

import pytest

from streamrag_cli.documents.chunking import chunk
from streamrag_cli.documents.loaders.definition_lists import definition_edits
from streamrag_cli.documents.secret_content import secret_reason
from streamrag_cli.errors import DocumentError
from tests.support.loading import loaded

LINE_CHARS = 3_900
TIME_LIMIT_S = 5.0
"""The time limit in seconds. A pattern with quadratic backtracking would exceed it many times over."""


def long_line(begins: str, repeated: str, ends: str) -> str:
    return begins + repeated * (LINE_CHARS // len(repeated)) + ends


HOSTILE = {
    "a.ini": [long_line("lamp", " ", "oil"), long_line("lamp", "\t", "="), long_line("", " ", "lamp")],
    "a.conf": [long_line("lamp ", "= ", "{x"), long_line("[", " ", "x")],
    "a.toml": [long_line("", " ", "lamp:"), long_line("[", " ", '"'), "[" + " " * 490 + '"]'],
    "a.md": [long_line("", " ", "lamp") * 5, long_line(">", "\t", "|")],
    "a.txt": [long_line("", " ", "lamp") * 5, long_line("", "\n", "lamp") * 5],
    "a.json": [long_line("", "\n", "lamp") * 5, long_line("{", '" ', "lamp") * 5],
    "a.yaml": [long_line("", '"\n', "lamp") * 5, long_line("lamp", " ", "x") * 5],
}


@pytest.mark.fault("slow-lines")
def test_definitions_without_blank_lines_are_found_in_linear_time() -> None:
    text = "lamp\n: oil\n" * 10_000  # 110 kB; comparing each definition with all lines above it took 10 s
    since_s = time.process_time()
    list(definition_edits(text, lambda _: ()))

    assert time.process_time() - since_s < TIME_LIMIT_S / 2


LONG_NAME = "k" * 20_000


@pytest.mark.fault("repeated-text")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", f"|{LONG_NAME}|b|\n|-|-|\n" + "|1|2|\n" * 1000),
        (
            "a.html",
            f"<table><tr><th>{LONG_NAME}</th><th>b</th></tr>" + "<tr><td>1</td><td>2</td></tr>" * 1000 + "</table>",
        ),
        ("a.adoc", f"|===\n|{LONG_NAME} |b\n\n" + "|1 |2\n" * 1000 + "|===\n"),
        (
            "a.py",
            f"class {LONG_NAME}:\n" + "".join(f"  def f{n}(self): return '{'lamp ' * 300}'\n\n" for n in range(100)),
        ),
        ("a.adoc", ":a0: lamp oil\n" + "".join(f":a{n + 1}: {{a{n}}}{{a{n}}}\n" for n in range(16)) + "\n{a16}\n"),
    ],
    ids=["markdown", "html", "asciidoc", "python", "attributes"],
)
def test_text_that_is_repeated_grows_only_by_a_constant(name: str, text: str) -> None:
    document = loaded(name, text)
    headings = sum(len(heading) for each in chunk(document) for heading in each.headings)

    assert len(document.text) + headings < 5 * len(text) + 200_000


@pytest.mark.fault("repeated-text")
def test_a_file_whose_text_is_many_times_as_large_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamrag_cli.documents.load._MAX_TEXT_CHARS", 50_000)
    table = f"{('|' + 'k' * 100) * 40}|\n{'|-' * 40}|\n" + f"{'|1' * 40}|\n" * 100

    with pytest.raises(DocumentError, match="many times as large as the file") as raised:
        loaded("a.md", table)

    assert raised.value.code == "too_large"


@pytest.mark.fault("slow-lines")
@pytest.mark.parametrize("blank", ["\n", " \n", "\r\n"])
@pytest.mark.parametrize(
    "begins",
    [
        *(
            "kind: Secret\ndata:",
            "kind: Secret\nstringData:\n#",
            "kind: Secret\ndata:\n a:",
            "kind: Secret\ndata:\n a: |",
        ),
        *(
            "current-context: a\nclusters:\nusers:",
            "_auth",
            "//a:_auth",
            "[pypi]",
            "[pypi]\npassword",
            "machine a login",
        ),
        *("machine", "default", "PrivateKey", "PresharedKey =", '"terraform_version" "serial":', '"kty" "login"'),
    ],
)
def test_many_blank_lines_are_searched_for_secrets_in_linear_time(begins: str, blank: str) -> None:
    data = f"{begins}{blank * 50_000}x".encode()  # a pattern that begins a search in every line took a minute
    since_s = time.process_time()
    secret_reason(PurePath("a.yaml"), data, "if_hinted")

    assert time.process_time() - since_s < TIME_LIMIT_S


@pytest.mark.fault("slow-lines")
@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in HOSTILE.items() for line in lines], ids=lambda each: each[:8]
)
def test_hostile_lines_are_processed_within_the_time_limit(name: str, line: str) -> None:
    data = "\n".join([line] * 4).encode()
    since_s = time.process_time()
    secret_reason(PurePath(name), data, "if_hinted")
    list(chunk(loaded(name, data)))

    assert time.process_time() - since_s < TIME_LIMIT_S
