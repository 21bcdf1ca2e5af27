"""Rows of sources on terminals of different widths."""

from dataclasses import replace
from io import StringIO

from rich.cells import cell_len
from rich.console import Console

from streamrag_cli.model import Source
from streamrag_cli.render.source_rows import print_sources, rows

SOURCE = Source(
    n=1,
    source="docs/guides/multi-agent-applications.md",
    page=None,
    line_start=99,
    line_end=104,
    title="Agents > Agent delegation and dependencies",
    content="An agent may delegate to another agent, which needs the same dependencies or a subset of them.",
    score=0.92,
    chunk_id="a",
    path="/docs/guides/multi-agent-applications.md",
)
SHORT = replace(SOURCE, n=2, source="a.md", line_start=3, title="", score=0.41, path="/docs/a.md")
CHINESE = replace(SOURCE, n=3, source="文档/指南/多代理应用程序.md", title="代理委托和依赖关系", path="/docs/c.md")


def screen(*sources: Source, columns: int = 80, **options: object) -> list[str]:
    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=columns, legacy_windows=False)
    print_sources(console, sources, **options)  # type: ignore[arg-type]
    return [line.rstrip() for line in out.getvalue().splitlines()]


def plain(*rendered: Source, columns: int, **options: object) -> list[str]:
    console = Console(file=StringIO(), force_terminal=True, width=columns, legacy_windows=False)
    return [row.plain.rstrip() for row in rows(console, rendered, **options)]  # type: ignore[arg-type]


def test_a_source_takes_one_row_with_its_last_heading() -> None:
    assert plain(SOURCE, SHORT, columns=100) == [
        " 1  docs/guides/multi-agent-applications.md:99   Agent delegation and dependencies",
        " 2  a.md:3                                       (weak, 0.41)",
    ]


def test_long_lines_of_passages_are_wrapped_at_words_except_in_code() -> None:
    text = "An agent may delegate to another agent.\n```\nagent = Agent(delegates_to=[another_agent])\n```"
    prose, code = (
        replace(SOURCE, text=text),
        replace(SOURCE, source="a.py", text="agent = Agent(delegates_to=[another])"),
    )

    assert plain(prose, columns=34, has_passages=True)[1:] == [
        "    An agent may delegate to",
        "    another agent.",
        "    ```",
        "    agent = Agent(delegates_to=[another_agent])",
        "    ```",
        "",
    ]
    assert plain(code, columns=34, has_passages=True)[1:] == ["    agent = Agent(delegates_to=[another])", ""]


def test_a_long_path_is_shortened_at_a_folder_and_keeps_its_name_and_line() -> None:
    assert plain(SOURCE, columns=60) == [" 1  …/multi-agent-applications.md:99   Agent delegation…"]
    assert plain(SOURCE, columns=40) == [" 1  …/multi-agent-applications.md:99"]


def test_no_row_is_wider_than_the_screen() -> None:
    many = replace(SOURCE, also=("v1/multi-agent-applications.md:99", "v2/multi-agent-applications.md:99"))
    missing = replace(many, gone_paths=(many.path,), score=0.1)

    for columns in range(25, 121):
        for is_verbose in (False, True):
            for row in plain(SOURCE, SHORT, CHINESE, many, missing, columns=columns, is_verbose=is_verbose):
                assert cell_len(row) < columns


def test_a_very_narrow_screen_keeps_whole_locations() -> None:
    assert plain(SOURCE, columns=10) == [" 1  docs/guides/multi-agent-applications.md:99"]


def test_verbose_rows_have_the_score_and_an_excerpt_cut_at_a_word() -> None:
    assert plain(SOURCE, columns=80, is_verbose=True) == [
        " 1  docs/guides/multi-agent-applications.md:99   Agent delegation and…  0.92",
        "    An agent may delegate to another agent, which needs the same dependencies…",
    ]


def test_copies_are_named_if_there_is_room_and_counted_otherwise() -> None:
    copied = replace(SHORT, score=0.9, also=("old/a.md",))
    missing = replace(copied, gone_paths=(copied.path,), also=("a/very/long/path/of/a/copy.md",) * 2)

    assert plain(copied, columns=80) == [" 2  a.md:3   (also: old/a.md)"]
    assert plain(missing, columns=60) == [" 2  a.md:3   (file missing; 2 copies)"]


def test_sources_that_do_not_fit_are_counted() -> None:
    sources = [replace(SHORT, n=n, score=0.9) for n in range(1, 13)]

    assert screen(*sources, max_rows=4) == [" 1  a.md:3", " 2  a.md:3", " 3  a.md:3", "    9 more; -v shows all"]


def test_footnotes_have_the_numbers_of_the_citations() -> None:
    assert plain(replace(SHORT, score=0.9), replace(SOURCE, n=12), columns=100, has_brackets=True) == [
        "[2]  a.md:3",
        "[12] docs/guides/multi-agent-applications.md:99   Agent delegation and dependencies",
    ]


def test_a_pipe_gets_whole_lines_without_alignment() -> None:
    console = Console(file=StringIO(), force_terminal=False, width=40)

    assert [row.plain for row in rows(console, [replace(SOURCE, also=("b.md",))])] == [
        "[1] docs/guides/multi-agent-applications.md:99 (also: b.md)"
    ]
    assert [row.plain for row in rows(console, [SOURCE], is_verbose=True)] == [
        "[1] docs/guides/multi-agent-applications.md:99 0.92 Agents > Agent delegation and dependencies",
        f"    {SOURCE.content}",
    ]


def test_words_of_the_query_are_bold_in_every_inflection() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=80, legacy_windows=False)

    (_, excerpt) = rows(console, [SOURCE], is_verbose=True, query="How do agents depend on others?")

    bold = [excerpt.plain[span.start : span.end] for span in excerpt.spans if "bold" in str(span.style)]
    assert bold == ["agent", "agent", "dependencies"]
