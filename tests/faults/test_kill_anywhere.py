"""A sample of the writes of an ingest at each of which it is killed; `kill_anywhere` tries them all."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.kill_anywhere import stages, try_steps

SAMPLE = 4


@pytest.mark.fault("ingest-killed")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_an_ingest_killed_at_any_write_is_taken_up_as_if_nothing_had_happened(tmp_path: Path) -> None:
    with stages(tmp_path) as found, ThreadPoolExecutor(len(found)) as pool:
        results = dict(zip(found, pool.map(lambda stage: try_steps(stage, SAMPLE), found.values()), strict=True))

    assert {name: wrong for name, (_, wrong) in results.items()} == {"update": [], "first": []}
    assert sum(killed for killed, _ in results.values()) >= SAMPLE
