"""The line that shows what was searched for a follow-up question."""

import io

import pytest

from streamrag_cli.events import QuestionAsked
from streamrag_cli.render.renderer import OutputOptions, renderer_for


class Screen(io.StringIO):
    """A stream that counts as a terminal with 80 columns."""

    def isatty(self) -> bool:
        return True


def printed(
    *searched_for: str, text: str = "And for\n teams?", err: io.StringIO | None = None, quiet: bool = False
) -> str:
    err = err if err is not None else Screen()
    renderer = renderer_for(OutputOptions(quiet=quiet), out=io.StringIO(), err=err, terminal_type="dumb")
    renderer.handle(QuestionAsked(n=2, thread="", text=text, searched_for=searched_for))
    renderer.close()
    return err.getvalue()


def test_queries_in_addition_to_the_question_are_shown_on_one_line() -> None:
    line = printed("And for teams?", "How long is a trial? And for teams?", "a trial And for teams?")

    assert line == "also searched for: How long is a trial? And for teams? | a trial And for teams?\n"


def test_a_query_that_replaces_the_question_is_shown() -> None:
    assert printed("How long is a trial for teams?") == "searched for: How long is a trial for teams?\n"


def test_a_question_that_is_searched_as_typed_adds_no_line() -> None:
    assert printed("And for teams?") == ""


@pytest.mark.parametrize("letter", ["a", "界"])
def test_a_long_line_is_cut_to_the_width_of_the_terminal(letter: str) -> None:
    (line,) = printed(letter * 500).splitlines()

    assert line.endswith("…")
    assert 70 <= len(line.encode("gbk", "replace")) <= 80


def test_the_search_line_is_not_printed_to_a_pipe_or_with_quiet() -> None:
    assert printed("How long is a trial for teams?", err=io.StringIO()) == ""
    assert printed("How long is a trial for teams?", quiet=True) == ""


def test_markup_in_a_query_is_shown_as_text() -> None:
    assert printed("[bold]trial[/bold] :smile:") == "searched for: [bold]trial[/bold] :smile:\n"
