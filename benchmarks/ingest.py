"""Measures the time of an ingest compared with a baseline and with only the embedding, its memory, and a second ingest.

    python -m benchmarks.ingest throughput CORPUS.jsonl fp32.onnx --pages 60
    python -m benchmarks.ingest again CORPUS.jsonl --pages 1000
    python -m benchmarks.ingest memory CORPUS.jsonl --pages 1000 10000
    python -m benchmarks.ingest versions CHECKOUT DOCUMENTS --rounds 6

The baseline does what a LangChain tutorial does: it reads every file, splits it every 1000 characters, and uses
langchain-chroma's `Chroma` with Chroma's default model class and the same model in fp32
(`tools/build_embedding_model.py --fp32`). The lower limit is the time to embed the same chunks on as many cores. Each
runs in a separate process, and they take turns. On a busy machine, also compare CPU times. `memory` replaces the
embedder with a table look-up, and shows whether the pipeline keeps data in memory after writing it. `versions` compares
this version of streamrag with the one in the folder CHECKOUT, on any documents; the two take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpora import write_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Seconds of wall time, and of CPU time of all threads and worker processes."""

    wall_s: float
    processor_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    throughput = commands.add_parser("throughput")
    throughput.add_argument("corpus", type=Path)
    throughput.add_argument("model", type=Path)
    throughput.add_argument("--pages", type=int, default=60)
    throughput.add_argument("--rounds", type=int, default=3)
    again = commands.add_parser("again")
    again.add_argument("corpus", type=Path)
    again.add_argument("--pages", type=int, default=1000)
    memory = commands.add_parser("memory")
    memory.add_argument("corpus", type=Path)
    memory.add_argument("--pages", type=int, nargs="+", default=[1000, 10_000])
    versions = commands.add_parser("versions")
    versions.add_argument("checkout", type=Path)
    versions.add_argument("documents", type=Path)
    versions.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    match arguments.command:
        case "throughput":
            compare(arguments.corpus, arguments.model, arguments.pages, arguments.rounds)
        case "again":
            ingest_twice(arguments.corpus, arguments.pages)
        case "memory":
            measure_memory(arguments.corpus, arguments.pages)
        case "versions":
            compare_versions(arguments.checkout, arguments.documents, arguments.rounds)


def compare(corpus: Path, model: Path, pages: int, rounds: int) -> None:
    ours: list[Duration] = []
    floors: list[Duration] = []
    theirs: list[Duration] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        size = write_pages(corpus, folder, pages)
        started_s, busy_s = time.perf_counter(), _machine_busy_s()
        for number in range(rounds):
            ours.append(_timed(_streamrag("ingest", "--store", f"{scratch}/ours{number}", str(folder))))
            embedded = _run_part("embedding", str(folder))
            floors.append(Duration(wall_s=embedded["wall_s"], processor_s=embedded["processor_s"]))
            theirs.append(_timed(_part("baseline", str(folder), str(model), f"{scratch}/plain{number}")))
        cores = (_machine_busy_s() - busy_s) / (time.perf_counter() - started_s)
    print(f"{pages} pages, {size / 1e6:.1f} MB, {embedded['chunks']:.0f} chunks, {embedded['texts']:.0f} different")
    print(f"the whole machine used {cores:.2f} of its {os.cpu_count()} cores")
    for name, durations in (("streamrag", ours), ("only embedding", floors), ("baseline", theirs)):
        walls, processors = zip(*((each.wall_s, each.processor_s) for each in durations), strict=True)
        print(f"{name:16} {_listed(walls, 1)} s, CPU time {_listed(processors, 1)} s")
    _print_ratios("streamrag / only embedding", ours, floors)
    _print_ratios("baseline / streamrag", theirs, ours)


def compare_versions(checkout: Path, documents: Path, rounds: int) -> None:
    durations: dict[Path, list[Duration]] = {Path.cwd(): [], checkout.resolve(): []}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            for at, (version, of_version) in enumerate(durations.items()):
                ingest = _streamrag("ingest", "--store", f"{scratch}/{at}-{number}", str(documents.resolve()))
                of_version.append(_timed(ingest, version))
    ours, theirs = durations.values()
    for name, each in (("this version", ours), ("the other", theirs)):
        print(f"{name:16} CPU time {_listed([one.processor_s for one in each], 1)} s")
    _print_ratios("this version / the other", ours, theirs)
    total_s = [sum(each.processor_s for each in of_version) for of_version in (ours, theirs)]
    print(f"CPU time of all rounds: {total_s[0] / total_s[1]:.3f}")


def _print_ratios(name: str, above: Sequence[Duration], below: Sequence[Duration]) -> None:
    walls = [one.wall_s / other.wall_s for one, other in zip(above, below, strict=True)]
    processors = [one.processor_s / other.processor_s for one, other in zip(above, below, strict=True)]
    print(f"{name}, per round: {_listed(walls, 2)}, CPU time {_listed(processors, 2)}")


def ingest_twice(corpus: Path, pages: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        write_pages(corpus, folder, pages)
        ingest = _streamrag("ingest", "--store", f"{scratch}/store", str(folder))
        first_s = _timed(ingest).wall_s
        time.sleep(2.5)  # files modified within the clock's resolution would be read again
        _timed(ingest)
        second_s = _timed(ingest).wall_s
    print(f"{pages} pages: first {first_s:.1f} s, again {second_s:.2f} s, 1/{first_s / second_s:.0f} of the first run")


def measure_memory(corpus: Path, counts: Sequence[int]) -> None:
    for pages in counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "pages")
            write_pages(corpus, folder, pages)
            ours = _run_part("light", str(folder), f"{scratch}/store")
            index = _run_part("index", str(ours["chunks"]), f"{scratch}/index")
        print(f"{pages} pages: {json.dumps(ours)}, only the vectors in Chroma: {json.dumps(index)}")


def _run_part(*arguments: str) -> dict[str, float]:
    finished = subprocess.run(_part(*arguments), check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(finished.stdout)
    return result


def _part(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ingest_parts", *arguments]


def _streamrag(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streamrag_cli", *arguments, "--quiet"]


def _timed(command: Sequence[str], version: Path | None = None) -> Duration:
    """Run a command of this version of streamrag, or of the one in the folder `version`."""
    environment = _environment() | ({"PYTHONPATH": str(version)} if version else {})
    started_s, before = time.perf_counter(), os.times()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=version
    )
    wall_s, after = time.perf_counter() - started_s, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Duration(wall_s=wall_s, processor_s=used)


def _environment() -> dict[str, str]:
    return os.environ | {"STREAMRAG_EMBEDDING": "builtin"}


def _machine_busy_s() -> float:
    """Busy seconds of all cores together since the machine was booted."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, irq, soft_irq = map(int, words[1:8])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


def _listed(values: Iterable[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
