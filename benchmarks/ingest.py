"""How fast an ingest is: beside the plain way to write one, beside its own embedding, and over unchanged files.

    python -m benchmarks.ingest throughput CORPUS.jsonl fp32.onnx --pages 60
    python -m benchmarks.ingest again CORPUS.jsonl --pages 1000
    python -m benchmarks.ingest memory CORPUS.jsonl --pages 1000 10000

The plain way is what a LangChain tutorial does: read every file, cut every 1000 characters, `Chroma` from
langchain-chroma with Chroma's own default model class, fed the same model in fp32 (`tools/build_embedding_model.py
--fp32`). The floor is the embedding's own arithmetic for the chunks of the ingest, on as many cores, without loading
anything. All run as processes of their own, in turn; where others use the machine, look at the ratio of processor
time as well. `memory` replaces the embedding by a table look-up: what is measured there is whether the pipeline holds
on to what it has written.
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
class Took:
    """Seconds by the clock, and of processor time over all threads and worker processes."""

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
    arguments = parser.parse_args()
    match arguments.command:
        case "throughput":
            compare(arguments.corpus, arguments.model, arguments.pages, arguments.rounds)
        case "again":
            ingest_twice(arguments.corpus, arguments.pages)
        case "memory":
            measure_memory(arguments.corpus, arguments.pages)


def compare(corpus: Path, model: Path, pages: int, rounds: int) -> None:
    ours: list[Took] = []
    floors: list[Took] = []
    theirs: list[Took] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        size = write_pages(corpus, folder, pages)
        started_s, busy_s = time.perf_counter(), _machine_busy_s()
        for number in range(rounds):
            ours.append(_timed(_streamrag("ingest", "--store", f"{scratch}/ours{number}", str(folder))))
            said = _said("embedding", str(folder))
            floors.append(Took(wall_s=said["wall_s"], processor_s=said["processor_s"]))
            theirs.append(_timed(_part("plain", str(folder), str(model), f"{scratch}/plain{number}")))
        cores = (_machine_busy_s() - busy_s) / (time.perf_counter() - started_s)
    print(f"{pages} pages, {size / 1e6:.1f} MB, {said['chunks']:.0f} chunks, {said['texts']:.0f} of them different")
    print(f"the whole machine was using {cores:.2f} of its {os.cpu_count()} cores")
    for name, all_took in (("streamrag", ours), ("embedding alone", floors), ("plain way", theirs)):
        walls, processors = zip(*((took.wall_s, took.processor_s) for took in all_took), strict=True)
        print(f"{name:16} {_listed(walls, 1)} s, of processor time {_listed(processors, 1)} s")
    _print_ratios("streamrag / embedding alone", ours, floors)
    _print_ratios("plain way / streamrag", theirs, ours)


def _print_ratios(name: str, above: Sequence[Took], below: Sequence[Took]) -> None:
    walls = [one.wall_s / other.wall_s for one, other in zip(above, below, strict=True)]
    processors = [one.processor_s / other.processor_s for one, other in zip(above, below, strict=True)]
    print(f"{name}, round by round: {_listed(walls, 2)}, of processor time {_listed(processors, 2)}")


def ingest_twice(corpus: Path, pages: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pages")
        write_pages(corpus, folder, pages)
        ingest = _streamrag("ingest", "--store", f"{scratch}/store", str(folder))
        first_s = _timed(ingest).wall_s
        time.sleep(2.5)  # a file as young as the clock's grain is read again, to be safe
        _timed(ingest)
        second_s = _timed(ingest).wall_s
    print(f"{pages} pages: first {first_s:.1f} s, again {second_s:.2f} s, 1/{first_s / second_s:.0f} of the first time")


def measure_memory(corpus: Path, counts: Sequence[int]) -> None:
    for pages in counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "pages")
            write_pages(corpus, folder, pages)
            ours = _said("light", str(folder), f"{scratch}/store")
            alone = _said("index", str(ours["chunks"]), f"{scratch}/index")
        print(f"{pages} pages: {json.dumps(ours)}, the same vectors in Chroma alone: {json.dumps(alone)}")


def _said(*arguments: str) -> dict[str, float]:
    done = subprocess.run(_part(*arguments), check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _part(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ingest_parts", *arguments]


def _streamrag(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streamrag_cli", *arguments, "--quiet"]


def _timed(command: Sequence[str]) -> Took:
    started_s, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    wall_s, after = time.perf_counter() - started_s, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(wall_s=wall_s, processor_s=used)


def _environment() -> dict[str, str]:
    return os.environ | {"STREAMRAG_EMBEDDING": "builtin"}


def _machine_busy_s() -> float:
    """Seconds that all cores together have worked, for whomever, since the machine was started."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, irq, soft_irq = map(int, words[1:8])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


def _listed(values: Iterable[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
