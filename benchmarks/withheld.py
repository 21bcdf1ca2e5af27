"""Lists the files that an ingest would withhold for their names or contents, and measures the speed of the check.

    python -m benchmarks.withheld /usr/share/doc /usr/lib/python3 --show secret

Folders of documentation and source code contain no secrets, so every withheld file is a false alarm, or a key that was
published for tests. `--show CODE` lists the files with that code. Rules for generated files are not applied to the
names of the given folders, so that a folder of packages can be measured.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import FoundFile, SkippedPath
from streamrag_cli.documents.read import read_file
from streamrag_cli.documents.withheld import withhold_reason
from streamrag_cli.errors import DocumentError

LIMIT_BYTES = 50_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--show", default="secret")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    read_bytes = 0
    elapsed_s = 0.0
    for item in discover(options.folders):
        if isinstance(item, SkippedPath):
            counts[item.code] += 1
            if item.code == options.show:
                print(f"{item.path}: {item.reason}")
        elif isinstance(item, FoundFile):
            try:
                raw = read_file(Path(item.real), limit_bytes=LIMIT_BYTES, follow_links=False)
            except DocumentError:
                continue
            started = time.perf_counter()
            why = withhold_reason(item, raw)
            elapsed_s += time.perf_counter() - started
            read_bytes += raw.size
            counts[f"{why.code} by content" if why else "read"] += 1
            if why and why.code == options.show:
                print(f"{item.path}: {why.reason}")
    print(dict(counts))
    print(f"{read_bytes / 1e6:.0f} MB checked in {elapsed_s:.2f} s, {read_bytes / 1e6 / (elapsed_s or 1):.0f} MB/s")


if __name__ == "__main__":
    main()
