"""Near-duplicate pages count as one source, unless they differ in words from the question."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from streamrag_cli.display_names import name_of_copy
from streamrag_cli.missing_files import find_missing_files
from streamrag_cli.model import Hit
from streamrag_cli.retrieval.retriever import Retriever
from tests.support.collection import make_collection

PAGE = (
    "# Calibrating the anemometer\n\nAnemometer {} is calibrated with the command windctl zero while the mast is still."
    " Wait for the green lamp, note the offset in the log, and repeat it after every storm.\n"
)
OTHER = "# Where the log is\n\nThe log of the anemometer is kept in the drawer under the barometer.\n"


def hits(folder: Path, documents: Mapping[str, str], question: str, *, checked: bool = False) -> list[Hit]:
    with closing(Retriever.open(make_collection(folder, documents))) as retriever:
        retrieved = retriever.retrieve(
            question, limit=4, min_score=0.0, find_missing=find_missing_files if checked else None
        )
    return list(retrieved.hits)


def shown(results: list[Hit]) -> dict[str, set[str]]:
    return {
        hit.source.removeprefix("docs/"): {copy.source.removeprefix("docs/") for copy in hit.copies} for hit in results
    }


def test_versions_of_a_page_become_one_source_that_lists_the_others(tmp_path: Path) -> None:
    versions = {f"{n}.0/anemometer.md": PAGE.format(f"{n}.0") for n in range(1, 8)}

    results = shown(hits(tmp_path, {**versions, "log.md": OTHER}, "How do I calibrate it, and where is the log?"))

    [[version, others]] = [item for item in results.items() if item[0] != "log.md"]
    assert len(results) == 2
    assert {version, *others} == set(versions)


def test_a_copy_is_named_by_its_folder_or_by_its_file_in_another_root() -> None:
    assert [
        name_of_copy(each, "docs/3/gulls.md") for each in ("docs/4/gulls.md", "~/old/gulls.md", "/srv/3/gulls.md")
    ] == [
        "docs/4",
        "~/old/gulls.md",
        "/srv/3/gulls.md",
    ]


def test_the_version_named_in_the_question_represents_its_group(tmp_path: Path) -> None:
    by_text = {f"{name}/anemometer.md": PAGE.format(n) for n, name in ((3, "old"), (4, "new"))}
    by_path = {f"{name}/anemometer.md": PAGE.format(5) for name in ("stable", "nightly")}

    assert hits(tmp_path / "text", by_text, "How is anemometer 3 calibrated?")[0].source == "docs/old/anemometer.md"
    assert hits(tmp_path / "more", by_text, "How is anemometer 4 calibrated?")[0].source == "docs/new/anemometer.md"
    named = hits(tmp_path / "path", by_path, "How is the anemometer calibrated on nightly?")
    assert shown(named) == {"nightly/anemometer.md": {"stable/anemometer.md"}}


def test_two_versions_that_the_question_compares_are_two_sources(tmp_path: Path) -> None:
    pages = {f"{n}/anemometer.md": PAGE.format(n) for n in (6, 7, 8)}

    results = shown(hits(tmp_path, pages, "Is anemometer 6 calibrated like anemometer 8?"))

    assert {"6/anemometer.md", "8/anemometer.md"} <= set(results)


def test_pages_with_many_different_numbers_are_not_duplicates(tmp_path: Path) -> None:
    report = (
        "# Rainfall\n\nRain in the quarters: {} mm, {} mm, {} mm, {} mm."
        " The gauge stood at {} m and was emptied {} times.\n"
    )
    pages = {f"{year}/rain.md": report.format(*(year + step for step in range(6))) for year in (100, 200)}

    assert len(hits(tmp_path, pages, "How much rain fell in a quarter?")) == 2


def test_table_rows_and_short_texts_are_not_duplicates(tmp_path: Path) -> None:
    row = "{},Heron,Ida Falk,9.5,yes,leaves on the first morning with an easterly wind and no swell\n"
    tables = {f"{n}/berths.csv": f"berth,boat,skipper,length,paid,remark\n{row.format(n)}" for n in (11, 12)}
    gates = {f"{n}/gate.md": f"# Gate\n\nThe code of the gate is {n}.\n" for n in (21, 22)}

    assert len(hits(tmp_path / "tables", tables, "When does the Heron leave?")) == 2
    assert len(hits(tmp_path / "short", gates, "What is the code of the gate?")) == 2


def test_a_duplicate_whose_file_exists_is_preferred(tmp_path: Path) -> None:
    pages = {f"{folder}/gulls.md": f"# Gulls\n\nThe gulls are fed at {at}.\n" for folder, at in (("a", 5), ("b", 6))}
    settings = make_collection(tmp_path, {**pages, "log.md": OTHER})
    with closing(Retriever.open(settings)) as retriever:
        for missing, present in (("a", "b"), ("b", "a")):
            (tmp_path / "docs" / missing / "gulls.md").rename(tmp_path / "aside")
            retrieved = retriever.retrieve(
                "When are the gulls fed?", limit=2, min_score=0.0, find_missing=find_missing_files
            ).hits
            (tmp_path / "aside").rename(tmp_path / "docs" / missing / "gulls.md")

            assert [(hit.source, hit.is_missing) for hit in retrieved] == [
                (f"docs/{present}/gulls.md", False),
                ("docs/log.md", False),
            ]
            assert [(copy.source, copy.is_missing) for copy in retrieved[0].copies] == [
                (f"docs/{missing}/gulls.md", True)
            ]


def test_a_missing_file_without_a_newer_version_is_marked_as_missing(tmp_path: Path) -> None:
    settings = make_collection(tmp_path, {"gulls.md": "# Gulls\n\nThe gulls are fed at five.\n", "log.md": OTHER})
    (tmp_path / "docs" / "gulls.md").unlink()

    with closing(Retriever.open(settings)) as retriever:
        retrieved = retriever.retrieve(
            "When are the gulls fed?", limit=2, min_score=0.0, find_missing=find_missing_files
        ).hits
        unchecked = retriever.retrieve("When are the gulls fed?", limit=2, min_score=0.0).hits

    assert [(hit.source, hit.is_missing) for hit in retrieved] == [("docs/gulls.md", True), ("docs/log.md", False)]
    assert not any(hit.is_missing for hit in unchecked)
