"""A short run of `tests.support.concurrent_use` with one client."""

from pathlib import Path

import pytest

from tests.support.concurrent_use import run

SECONDS = 5.0


@pytest.mark.fault("concurrent-ingest", "read-during-ingest")
def test_ingests_questions_and_a_server_can_use_a_store_concurrently(tmp_path: Path) -> None:
    seen = run(tmp_path, SECONDS, askers=1)

    assert seen.wrong == []
    assert {"ingested", "asked", "served"} <= seen.counts.keys()
