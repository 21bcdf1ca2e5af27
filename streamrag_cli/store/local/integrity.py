"""Checks whether a collection is intact, more thoroughly than a reader does before a question. Changes nothing.

    python -m streamrag_cli.store.local.integrity STORE COLLECTION SEARCHES

This command prints the result as one JSON object. It runs in its own process, because a damaged index can crash or hang
the process that opens it. Changes by a concurrent ingest are not reported as damage: the catalog is read from one
snapshot, and the check is repeated once if the catalog has changed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from streamrag_cli.counting import counted_noun
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
"""The maximum number of chunks that a check searches for, unless a full check is requested."""
_ALL: Final = 10**9
_LIMIT_S: Final = 300.0
_FULL_LIMIT_S: Final = 24 * 3600.0
UNFOUND_TOLERATED: Final = 0.01
"""The tolerated share of searches that do not find their chunk, because the index is approximate. In an index to which
two processes have written at the same time, the share is about a fifth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The contents of a collection, and the problems that a check has found in it.

    - Each of `problems` is a clause about the collection.
    - `searched` is the number of chunks that were searched for, each with its own vector. `unfound` is the number of
      searches that did not find their chunk.
    - `interrupted` means that an earlier ingest did not finish.
    - `changing` means that an ingest changed the collection during the check, so that its vectors could not be compared
      with the catalog.
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
    def from_mapping(cls, fields: Mapping[str, Any]) -> "Inspection":
        return cls(**dict(fields) | {"roots": tuple(fields["roots"]), "problems": tuple(fields["problems"])})

    def integrity_report(self) -> IntegrityReport:
        searched = "all" if self.searched == self.chunks else f"all {self.searched:,} sampled passages"
        missed = f" except {self.unfound:,} (up to {UNFOUND_TOLERATED:.0%} is normal)" if self.unfound else ""
        counted = ("documents", "chunks", "vectors", "searched", "unfound", "generation")
        return IntegrityReport(
            chunks=self.chunks,
            summary=f"{counted_noun(self.chunks, 'passage')} of {counted_noun(self.documents, 'document')};"
            f" every passage has a vector;"
            f" vector search finds {searched}{missed}; the full-text index and the databases are intact;"
            f" generation {self.generation}",
            figures={name: getattr(self, name) for name in counted},
            problems=self.problems,
            interrupted=self.interrupted,
            changing=self.changing,
            roots=self.roots,
        )


def check_in_subprocess(store: Path, collection: str, *, full: bool) -> IntegrityReport:
    """Run `inspect` in a subprocess, because a damaged index may crash or hang the process. Raises StoreError."""
    limit_s = _FULL_LIMIT_S if full else _LIMIT_S
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(store), collection, str(_ALL if full else SEARCHES)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise damaged_collection(collection, f"reading the collection took longer than {limit_s:g} s") from None
    if process.returncode < 0:
        raise damaged_collection(
            collection, f"the process that read the index was killed by signal {-process.returncode}"
        )
    if process.returncode:
        raise RuntimeError(process.stderr.decode("utf-8", "replace"))
    reply = json.loads(process.stdout)
    if "error" in reply:
        raise StoreError(reply["error"]["message"], code=reply["error"]["code"], hint=reply["error"]["hint"])
    return Inspection.from_mapping(reply).integrity_report()


def inspect(store: Path, collection: str, *, searches: int) -> Inspection:
    """Check the catalog, compare it with Chroma, and search for at most `searches` chunks, each with its own vector.

    Raises StoreError if the collection cannot be opened at all.
    """
    layout = Layout(store, collection)
    result = _check_unless_replaced(layout, searches)
    if result is None or result.changing:
        result = _check_unless_replaced(layout, searches)
    if result is None:
        raise StoreError(
            f"the collection in {layout.directory} is being rebuilt repeatedly",
            code="store_busy",
            hint="try again in a moment",
            retryable=True,
        )
    return result


def _check_unless_replaced(layout: Layout, searches: int) -> Inspection | None:
    """Check the active epoch. Return None if a rebuild replaced the epoch during the check."""
    active = layout.active_epoch()
    if active is None:
        raise missing_collection(layout.store, layout.collection)
    try:
        with shared(layout.epoch_directory(active.epoch)):
            return _inspect_epoch(layout, active.epoch, searches)
    except (StreamragError, OSError) as error:
        now = layout.active_epoch()
        if now is None or now.epoch != active.epoch:
            return None
        if isinstance(error, StreamragError):
            raise
        if refused := refusal(layout.store, error):
            raise refused from error
        raise index_fingerprint.damaged_vectors(layout.vectors(active.epoch), "the directory is missing") from error


def _inspect_epoch(layout: Layout, epoch: str, searches: int) -> Inspection:
    with closing(CatalogChecks(layout.catalog(epoch))) as catalog:
        fingerprint = index_fingerprint.recorded(catalog)
        with catalog.snapshot():
            chunk_ids, pending = catalog.chunk_ids(), catalog.pending()
            result = _without_vectors(catalog)
            sample = _spread(sorted(chunk_ids), searches)
            catalog_problems = (*catalog.problems(), *catalog.unreadable(chunk_ids, sample))
            expected = catalog.vector_fingerprints(sample)
        is_full = searches >= _ALL
        if chunk_ids and not index_fingerprint.are_unchanged(catalog, layout.vectors(epoch), reads_files=is_full):
            why = f"the index files in {layout.vectors(epoch)} have changed since they were written"
            result = replace(
                result, problems=(why,)
            )  # opening changed index files could crash Chroma, so the vectors are not compared
        elif chunk_ids:
            result = _with_vectors(result, layout, epoch, chunk_ids, pending, sample, expected)
        is_written = _is_being_written(layout)
        has_changed = (index_fingerprint.recorded(catalog), catalog.generation) != (fingerprint, result.generation)
    if result.problems and (has_changed or is_written):
        # An ingest has changed the vectors since the catalog was read, so the two cannot be compared.
        return replace(result, problems=catalog_problems, unfound=0, changing=True)
    is_idle = not is_written and not has_changed
    interrupted = is_idle and (bool(pending) or (bool(chunk_ids) and not fingerprint))
    return replace(result, problems=catalog_problems + result.problems, interrupted=interrupted)


def _without_vectors(catalog: Catalog) -> Inspection:
    counts = catalog.counts()
    return Inspection(
        documents=counts.documents,
        chunks=counts.chunks,
        generation=catalog.generation,
        dimension=catalog.dimension,
        roots=tuple(catalog.roots()),
    )


def _with_vectors(  # noqa: PLR0917 - most arguments are the contents of one snapshot
    result: Inspection,
    layout: Layout,
    epoch: str,
    chunk_ids: set[str],
    pending: set[str],
    sample: Sequence[str],
    expected: Mapping[str, object],
) -> Inspection:
    """Compare the catalog with Chroma, and return `result` with the figures and problems from this comparison."""
    directory = layout.vectors(epoch)
    if problem := database_problem(directory):
        return replace(result, problems=(problem,))
    try:
        with closing(VectorChecks(directory, layout.collection)) as vectors:
            vector_ids = vectors.ids()
            sample = [each for each in sample if each in vector_ids]
            changed = vectors.changed(sample, expected)
            unfound = vectors.unfound(sample, dimension=result.dimension)
    except StoreError as error:
        if error.code != "store_damaged":
            raise
        return replace(result, problems=(error.message,))
    problems = tuple(_differences(chunk_ids, vector_ids, pending, unfound, len(sample)))
    if changed:
        problems += (f"{len(changed):,} of {len(sample):,} vectors have changed since they were written",)
    return replace(result, vectors=len(vector_ids), searched=len(sample), unfound=len(unfound), problems=problems)


def _differences(
    chunk_ids: set[str], vector_ids: set[str], pending: set[str], unfound: set[str], searched: int
) -> Iterator[str]:
    if missing := chunk_ids - vector_ids:
        yield f"{len(missing):,} of {len(chunk_ids):,} passages have no vector"
    if orphaned := vector_ids - chunk_ids - pending:
        yield counted_noun(len(orphaned), "vector has no passage", "vectors have no passage")
    if len(unfound) > searched * UNFOUND_TOLERATED:
        yield f"vector search misses {len(unfound):,} of {searched:,} passages"


def _spread(ids: Sequence[str], count: int) -> list[str]:
    """At most `count` of `ids`, evenly spaced. Ids are digests, so the sample is random, but the same in every run."""
    return list(ids) if len(ids) <= count else [ids[len(ids) * each // count] for each in range(count)]


def _is_being_written(layout: Layout) -> bool:
    try:
        with writing(layout.directory, wait_s=0.0):
            return False
    except StoreError as error:
        return error.code == "store_busy"


def main(store: str, collection: str, searches: str) -> None:
    """Print the `Inspection` of a collection as JSON, or an error as `{"error": {...}}`."""
    try:
        reply: object = asdict(inspect(Path(store), collection, searches=int(searches)))
    except StreamragError as error:
        reply = {"error": {"message": error.message, "code": error.code, "hint": error.hint}}
    sys.stdout.write(json.dumps(reply))


if __name__ == "__main__":
    main(*sys.argv[1:])
