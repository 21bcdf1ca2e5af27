"""The test schedule refers to existing files and folders."""

from tests.support.schedule import FIRST, SLOW, TESTS, file_marks, is_in, place_in_schedule


def test_scheduled_files_and_folders_exist() -> None:
    assert [place for place in {*FIRST, *SLOW} if not (TESTS / place).exists()] == []


def test_a_schedule_entry_matches_a_file_or_the_files_in_a_folder() -> None:
    matches = [is_in(file, "faults") for file in ("faults", "faults/test_disk.py", "faults.py", "cli/faults/test_x.py")]

    assert matches == [True, True, False, False]


def test_scheduled_tests_run_first() -> None:
    assert place_in_schedule(FIRST[0]) < place_in_schedule(f"{FIRST[-1]}/test_x.py") < place_in_schedule("a/test_x.py")


def test_the_marks_of_a_file_depend_on_its_folder() -> None:
    files = ("cli/test_pipe.py", "browser/test_page.py", "store/postgres/test_faults.py", "test_text.py")

    assert [list(file_marks(file)) for file in files] == [["slow"], ["browser"], ["postgres"], []]
