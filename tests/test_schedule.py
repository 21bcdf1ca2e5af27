"""The schedule of the tests lists only files and folders that exist."""

from tests.support.schedule import FIRST, SLOW, TESTS, is_in, place_in_schedule


def test_every_scheduled_path_exists() -> None:
    assert [place for place in {*FIRST, *SLOW} if not (TESTS / place).exists()] == []


def test_a_path_matches_itself_and_the_files_below_it() -> None:
    matches = [is_in(file, "faults") for file in ("faults", "faults/test_disk.py", "faults.py", "cli/faults/test_x.py")]

    assert matches == [True, True, False, False]


def test_listed_files_run_before_all_others() -> None:
    assert place_in_schedule(FIRST[0]) < place_in_schedule(f"{FIRST[-1]}/test_x.py") < place_in_schedule("a/test_x.py")
