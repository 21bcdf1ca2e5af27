"""Whether a collection is whole: more than a reader asks before a question, and only read.

    python -m streamrag_cli.store.local.integrity STORE COLLECTION SEARCHES

says what it found as one JSON object. It is run as a process of its own, since a damaged index can take down or hold
up whoever opens it. What an ingest changes meanwhile is not taken for damage: the catalog is read as one state, and
where it has moved on since, the inspection is made once more.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from streamrag_cli.errors import StoreError, StreamragError
from streamrag_cli.store.backend import IntegrityReport, damaged_collection, missing_collection
from streamrag_cli.store.local import index_fingerprint
from streamrag_cli.store.local.catalog import Catalog
from streamrag_cli.store.local.integrity_checks import CatalogChecks, VectorChecks, database_problem
from streamrag_cli.store.local.layout import Layout
from streamrag_cli.store.local.lock import shared, writing
from streamrag_cli.system_errors import refusal
from streamrag_cli.telemetry import child_environment

SEARCHES: Final = 1000
"""How many chunks of a collection are searched for unless all are to be."""
_ALL: Final = 10**9
_LIMIT_S: Final = 300.0
_FULL_LIMIT_S: Final = 24 * 3600.0
UNFOUND_TOLERATED: Final = 0.01
"""The share of the searches that may miss their chunk: the index is approximate. Two writers lose about a fifth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a collection and what is wrong with it; each of `problems` is a clause that goes with its name.

    `searched` chunks were looked for by their own vectors, `unfound` of them in vain. `interrupted` says that an
    ingest was begun and never ended; `changing` that one kept on changing the collection, so that vectors could not
    be compared with it.
    """

    documents: int
    chunks: int
    generation: int
    dimension: int | None
    roots: tuple[str, ...]
    vectors: int = 0
    searched: int = 0
    unfound: int = 0
    interrupted: bool = False
    changing: bool = False
    problems: tuple[str, ...] = field(default=())

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> "Inspection":
        return cls(**dict(said) | {"roots": tuple(said["roots"]), "problems": tuple(said["problems"])})

    def integrity_report(self) -> IntegrityReport:
        searched = "all" if self.searched == self.chunks else f"of these a sample of {self.searched:,}"
        missed = f" but {self.unfound:,} (an index may miss {UNFOUND_TOLERATED:.0%})" if self.unfound else ""
        counted = ("documents", "chunks", "vectors", "searched", "unfound", "generation")
        return IntegrityReport(
            chunks=self.chunks,
            summary=f"{self.chunks:,} chunks of {self.documents:,} documents, each with its vector;"
            f" {searched}{missed} found by their own vectors; full text and databases intact;"
            f" generation {self.generation}",
            figures={name: getattr(self, name) for name in counted},
            problems=self.problems,
            interrupted=self.interrupted,
            changing=self.changing,
            roots=self.roots,
        )


def check_in_subprocess(store: Path, collection: str, *, full: bool) -> IntegrityReport:
    """Run `inspect` in a subprocess: a damaged index may crash or hang the process that opens it. Raises StoreError."""
    limit_s = _FULL_LIMIT_S if full else _LIMIT_S
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(store), collection, str(_ALL if full else SEARCHES)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise damaged_collection(collection, f"it could not be read within {limit_s:g} s") from None
    if ended.returncode < 0:
        raise damaged_collection(collection, f"reading its index ended in signal {-ended.returncode}")
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode("utf-8", "replace"))
    said = json.loads(ended.stdout)
    if "error" in said:
        raise StoreError(said["error"]["message"], code=said["error"]["code"], hint=said["error"]["hint"])
    return Inspection.from_mapping(said).integrity_report()


def inspect(store: Path, collection: str, *, searches: int) -> Inspection:
    """Compare the catalog with itself and with Chroma; search for at most `searches` chunks by their own vectors.

    Raises StoreError where the collection cannot be opened at all.
    """
    layout = Layout(store, collection)
    found = _check_unless_replaced(layout, searches)
    return (
        found if found and not found.changing else _check_with_retries(_check_unless_replaced(layout, searches), layout)
    )


def _check_with_retries(found: Inspection | None, layout: Layout) -> Inspection:
    if found is None:
        raise StoreError(
            f"{layout.directory} is made anew again and again",
            code="store_busy",
            hint="try again in a moment",
            retryable=True,
        )
    return found


def _check_unless_replaced(layout: Layout, searches: int) -> Inspection | None:
    """What is found now; None where a rebuild has put another epoch in its place meanwhile."""
    current = layout.current()
    if current is None:
        raise missing_collection(layout.store, layout.collection)
    try:
        with shared(layout.epoch_directory(current.epoch)):
            return _inspect_epoch(layout, current.epoch, searches)
    except (StreamragError, OSError) as error:
        now = layout.current()
        if now is None or now.epoch != current.epoch:
            return None
        if isinstance(error, StreamragError):
            raise
        if refused := refusal(layout.store, error):
            raise refused from error
        raise index_fingerprint.damaged_vectors(layout.vectors(current.epoch), "their directory is missing") from error


def _inspect_epoch(layout: Layout, epoch: str, searches: int) -> Inspection:
    with closing(CatalogChecks(layout.catalog(epoch))) as catalog:
        noted = index_fingerprint.noted(catalog)
        with catalog.snapshot():
            wanted, doubted = catalog.chunk_ids(), catalog.pending()
            found = _catalog_problems(catalog)
            in_itself = (*catalog.problems(), *catalog.unreadable(wanted))
        if wanted and not index_fingerprint.are_unchanged(catalog, layout.vectors(epoch)):
            why = f"the index files in {layout.vectors(epoch)} are not those that were written"
            found = replace(found, problems=(why,))  # Chroma may die of them
        elif wanted:
            found = _compared(found, layout, epoch, wanted, doubted, searches)
        is_written = _is_being_written(layout)
        has_moved = (index_fingerprint.noted(catalog), catalog.generation) != (noted, found.generation)
    if found.problems and (has_moved or is_written):
        # An ingest has changed the vectors since the catalog was read: the two are not of one state.
        return replace(found, problems=in_itself, unfound=0, changing=True)
    was_left = not is_written and not has_moved and (bool(doubted) or (bool(wanted) and not noted))
    return replace(found, problems=in_itself + found.problems, interrupted=was_left)


def _catalog_problems(catalog: Catalog) -> Inspection:
    counts, dimension = catalog.counts(), catalog.meta("dimension")
    return Inspection(
        documents=counts.documents,
        chunks=counts.chunks,
        generation=catalog.generation,
        dimension=int(dimension) if dimension else None,
        roots=tuple(catalog.roots()),
    )


def _compared(  # noqa: PLR0917 - what one snapshot holds
    found: Inspection, layout: Layout, epoch: str, wanted: set[str], doubted: set[str], searches: int
) -> Inspection:
    """`found` with what Chroma holds."""
    directory = layout.vectors(epoch)
    if problem := database_problem(directory):
        return replace(found, problems=(problem,))
    try:
        with closing(VectorChecks(directory, layout.collection)) as vectors:
            there = vectors.ids()
            asked = _spread(sorted(wanted & there), searches)
            unfound = vectors.unfound(asked, dimension=found.dimension)
    except StoreError as error:
        if error.code != "store_damaged":
            raise
        return replace(found, problems=(error.message,))
    problems = tuple(_differences(wanted, there, doubted, unfound, len(asked)))
    return replace(found, vectors=len(there), searched=len(asked), unfound=len(unfound), problems=problems)


def _differences(
    wanted: set[str], there: set[str], doubted: set[str], unfound: set[str], searched: int
) -> Iterator[str]:
    if lacking := wanted - there:
        yield f"{len(lacking):,} of {len(wanted):,} chunks have no vector"
    if stray := there - wanted - doubted:
        yield f"{len(stray):,} vectors belong to no chunk"
    if len(unfound) > searched * UNFOUND_TOLERATED:
        yield f"{len(unfound):,} of {searched:,} chunks are not found by their own vector"


def _spread(ids: Sequence[str], count: int) -> list[str]:
    """At most `count` of `ids`, evenly spread. Ids are digests: it is as if they were drawn by lot, always the same."""
    return list(ids) if len(ids) <= count else [ids[len(ids) * each // count] for each in range(count)]


def _is_being_written(layout: Layout) -> bool:
    try:
        with writing(layout.directory, wait_s=0.0):
            return False
    except StoreError as error:
        return error.code == "store_busy"


def main(store: str, collection: str, searches: str) -> None:
    """Say the `Inspection`, or the failure as `{"error": {...}}`."""
    try:
        said: object = asdict(inspect(Path(store), collection, searches=int(searches)))
    except StreamragError as error:
        said = {"error": {"message": error.message, "code": error.code, "hint": error.hint}}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
