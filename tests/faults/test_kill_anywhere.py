"""Kills an ingest at a sample of its writes; `tests.support.kill_anywhere` tries all of them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.kill_anywhere import stages, try_steps

SAMPLE = 4


@pytest.mark.fault("ingest-killed")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_an_ingest_killed_at_a_sampled_write_is_completed_by_the_next(tmp_path: Path) -> None:
    with stages(tmp_path) as named, ThreadPoolExecutor(len(named)) as pool:
        results = dict(zip(named, pool.map(lambda stage: try_steps(stage, SAMPLE), named.values()), strict=True))

    assert {name: wrong for name, (_, wrong) in results.items()} == {"update": [], "first": []}
    assert sum(killed for killed, _ in results.values()) >= SAMPLE
