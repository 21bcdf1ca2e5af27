"""The schedule of the tests names files and folders that there are."""

from tests.support.schedule import FIRST, SLOW, TESTS, is_in, place_in_schedule


def test_what_the_schedule_names_exists() -> None:
    assert [place for place in {*FIRST, *SLOW} if not (TESTS / place).exists()] == []


def test_a_place_is_a_file_or_what_lies_in_a_folder() -> None:
    found = [is_in(file, "faults") for file in ("faults", "faults/test_disk.py", "faults.py", "cli/faults/test_x.py")]

    assert found == [True, True, False, False]


def test_what_is_named_begins_before_what_is_not() -> None:
    assert place_in_schedule(FIRST[0]) < place_in_schedule(f"{FIRST[-1]}/test_x.py") < place_in_schedule("a/test_x.py")
