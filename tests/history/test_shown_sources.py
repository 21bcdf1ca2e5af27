"""The sources that a search last showed are remembered for each terminal."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamrag_cli.history.shown_sources import recall, remember
from tests.support.logs import SOURCE

SHOWN = {
    "n": 1, "chunk_id": "c1", "path": "/srv/rules/berths.md", "line_start": 3, "page": None, "collection": None
}  # fmt: skip
ENTRY = {"at": "2026-01-31", "collection": "harbour", "store": "/srv/store", "sources": [SHOWN]}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "streamrag").mkdir(mode=0o700)
    return {"XDG_STATE_HOME": str(tmp_path)}


def remember_one(environment: dict[str, str]) -> None:
    sources = (SOURCE, replace(SOURCE, n=2, page=4, line_start=None, collection="ships"))
    remember(environment, "t1", sources, at="2026-01-31", collection="harbour", store="/srv/store")


def test_the_sources_shown_in_a_terminal_are_recalled(environment: dict[str, str]) -> None:
    remember_one(environment)
    shown = recall(environment, "t1")

    assert shown is not None
    assert (shown.store, [each["n"] for each in shown.sources], shown.sources[0]) == ("/srv/store", [1, 2], SHOWN)
    assert recall(environment, "t2") is None


@pytest.mark.fault("log-unusable")
@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000, "[]", "{", "\ud800", json.dumps({"t1": [1]}), json.dumps({"t1": {**ENTRY, "at": 5}}),
        json.dumps({"t1": {**ENTRY, "sources": 5}}), json.dumps({"t1": {**ENTRY, "sources": [5]}}),
        json.dumps({"t1": {**ENTRY, "sources": [{"n": 1}]}}),
        json.dumps({"t1": {**ENTRY, "sources": [{**SHOWN, "line_start": "a"}]}}),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_record_is_ignored_and_replaced(content: str, environment: dict[str, str]) -> None:
    file = Path(environment["XDG_STATE_HOME"], "streamrag", "shown.json")
    file.write_bytes(content.encode("utf-8", "surrogatepass"))

    assert recall(environment, "t1") is None
    remember_one(environment)
    assert recall(environment, "t1") is not None


@pytest.mark.fault("log-unusable")
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_special_file_instead_of_the_record_does_not_block(make: object, environment: dict[str, str]) -> None:
    assert callable(make)
    make(Path(environment["XDG_STATE_HOME"], "streamrag", "shown.json"))

    assert recall(environment, "t1") is None
    remember_one(environment)
