"""Which files of some folders an ingest would withhold for their names or contents, and how fast it finds out.

    python -m benchmarks.withheld /usr/share/doc /usr/lib/python3 --show secret

Folders of documentation and source code hold no secrets, so what is called one there is a false alarm, or a key that
somebody published for a test. `--show` lists the files with a code. Rules on generated files are not asked of the names
of directories (a folder of packages is named here on purpose).
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
    print(f"{read_bytes / 1e6:.0f} MB looked at in {elapsed_s:.2f} s, {read_bytes / 1e6 / (elapsed_s or 1):.0f} MB/s")


if __name__ == "__main__":
    main()
