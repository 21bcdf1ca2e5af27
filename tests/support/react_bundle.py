"""Bundles JSX for the browser with esbuild and the React of tests/node."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.chromium import NODE_MODULES

_PAGE: Final = '<link rel="icon" href="data:,"><div id="root"></div><script type="module" src="main.js"></script>'


def bundle(entry: Path, folder: Path) -> None:
    """Write `main.js`, which includes React's development build, and the page that loads it."""
    command = [
        *(str(NODE_MODULES / ".bin" / "esbuild"), str(entry), "--bundle", "--format=esm", "--jsx=automatic"),
        *(f"--outfile={folder / 'main.js'}", "--log-level=warning"),
    ]
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    page = entry.with_name("index.html")
    if page.exists():
        shutil.copy(page, folder)
    else:
        (folder / "index.html").write_text(_PAGE, encoding="utf-8")
