"""What every failure has in common."""

import pytest

from streamrag_cli.errors import aimed


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("streamrag ingest --rebuild", "streamrag ingest --rebuild -c notes --store 'my store'"),
        (
            "another (-c NAME), or: streamrag doctor",
            "another (-c NAME), or: streamrag doctor -c notes --store 'my store'",
        ),
        ("streamrag ingest --store DIR PATH", "streamrag ingest --store DIR PATH -c notes"),
        (
            "mount it, or: streamrag ingest '/a, (b)'",
            "mount it, or: streamrag ingest '/a, (b)' -c notes --store 'my store'",
        ),
        ("try again in a moment", "try again in a moment"),
        ("as docs: GRANT USAGE ON SCHEMA streamrag TO reader;", "as docs: GRANT USAGE ON SCHEMA streamrag TO reader;"),
        ("sudo -u docs streamrag ..., or ask docs", "sudo -u docs streamrag ..., or ask docs"),
        ("", ""),
    ],
)
def test_a_hint_is_given_the_flags_that_its_command_does_not_have(hint: str, expected: str) -> None:
    assert aimed(hint, collection="notes", store="my store") == expected
    assert aimed(hint) == hint
