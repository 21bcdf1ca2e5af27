"""See `benchmarks.serving`."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.serving import __doc__ as description
from benchmarks.serving.client import Report
from benchmarks.serving.processes import Client, Server, bare_server, client, ingest, model_server, our_server

_DOCUMENTS: Final = Path(__file__).resolve().parents[2] / "sample_docs"
_IDLE_S: Final = 6.0
"""The wait before memory is measured. Connections to the model stay open for longer, in both measurements."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single-rounds", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=200, help="tokens of each stream at a fixed pace")
    parser.add_argument("--sequential", type=int, default=1000)
    arguments = parser.parse_args()
    with ExitStack() as running:
        store = Path(running.enter_context(tempfile.TemporaryDirectory()), "store")
        ingest(store, _DOCUMENTS)
        model_port = running.enter_context(model_server())
        servers = (
            running.enter_context(our_server(store, model_port)),
            running.enter_context(bare_server(model_port)),
        )
        asking = running.enter_context(client())
        for server in servers:  # imports, collections, connections
            asking.ask(server, streams=10, tokens=10)
        first_token(asking, servers, arguments.single_rounds)
        if arguments.rounds:
            many(asking, servers, streams=arguments.streams, tokens=500, pace_ms=0, rounds=arguments.rounds)
            many(asking, servers, streams=arguments.streams, tokens=2000, pace_ms=0, rounds=1)
        for streams in (10, 50, 100, arguments.streams):
            many(asking, servers, streams=streams, tokens=arguments.tokens, pace_ms=20, rounds=1)
        if arguments.sequential:
            compare_resources(asking, servers[0], streams=arguments.streams, sequential=arguments.sequential)


def first_token(asking: Client, servers: Sequence[Server], rounds: int) -> None:
    """Measure one stream at a time, alternating between the servers."""
    reports = [[asking.ask(server, streams=1, tokens=20) for server in servers] for _ in range(rounds)]
    print(f"one stream, first token after the question, {rounds} rounds in turn")
    for server, of_server in zip(servers, zip(*reports, strict=True), strict=True):
        times_ms = sorted(report.first_token_ms[0] for report in of_server)
        retrievals_ms = [report.retrieval_ms[0] for report in of_server if report.retrieval_ms]
        retrieval = f"   including {statistics.median(retrievals_ms):.1f} ms of retrieval" if retrievals_ms else ""
        late = times_ms[int(0.95 * len(times_ms))]
        print(f"{server.name:<12} median {statistics.median(times_ms):6.1f} ms   95th {late:6.1f} ms{retrieval}")
    later = statistics.median(ours.first_token_ms[0] - bare.first_token_ms[0] for ours, bare in reports)
    print(f"median difference to bare: {later:.1f} ms; {_faults(reports)}\n")


def many(asking: Client, servers: Sequence[Server], *, streams: int, tokens: int, pace_ms: int, rounds: int) -> None:
    paced = f"one per {pace_ms} ms" if pace_ms else "as fast as they are read"
    print(f"{streams} streams of {tokens} tokens, {paced}; {rounds} rounds in turn")
    reports: list[list[Report]] = []
    for _ in range(rounds):
        row = []
        for server in servers:
            before_s = server.processor_s
            report = asking.ask(server, streams=streams, tokens=tokens, pace_ms=pace_ms)
            cost_us = (server.processor_s - before_s) / report.tokens * 1e6
            row.append(report)
            print(
                f"{server.name:<12} {report.wall_ms / 1000:6.2f} s   {_rate(report):8,.0f} tokens/s"
                f"   {cost_us:6.1f} us of CPU time per token"
                f"   first token {statistics.median(report.first_token_ms):6.0f} ms"
                f" (worst {max(report.first_token_ms):6.0f})   {report.concurrent} concurrent"
                f"{_searching(report)}"
            )
        reports.append(row)
    ratios = ", ".join(f"{_rate(ours) / _rate(bare):.2f}" for ours, bare in reports)
    print(f"throughput / bare: {ratios}; {_faults(reports)}\n")


def compare_resources(asking: Client, server: Server, *, streams: int, sequential: int) -> None:
    """Print memory and open files of the idle server before and after many questions."""
    print(f"idle, before and after {sequential} sequential questions and three times {streams} concurrent ones")
    reports = []
    for moment in ("before", "after"):
        if moment == "after":
            reports += [asking.ask(server, streams=1, tokens=20) for _ in range(sequential)]
            reports += [asking.ask(server, streams=streams, tokens=100, pace_ms=5) for _ in range(3)]
        time.sleep(_IDLE_S)
        reports.append(asking.ask(server, streams=1, tokens=20))
        print(f"{moment:<12} {server.memory_mb:6.1f} MB   {server.open_files} open files")
    print(_faults([reports]))


def _searching(report: Report) -> str:
    return f"   all sources after {max(report.retrieval_ms) / 1000:.2f} s" if report.retrieval_ms else ""


def _rate(report: Report) -> float:
    return report.tokens / report.wall_ms * 1000


def _faults(reports: Sequence[Sequence[Report]]) -> str:
    every = [report for row in reports for report in row]
    return f"{sum(report.wrong for report in every)} of {sum(report.streams for report in every)} answers wrong"


if __name__ == "__main__":
    main()
