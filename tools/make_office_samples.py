"""Creates the Office files in tests/documents/samples with common programs: `python -m tools.make_office_samples`.

Needs `pandoc` and LibreOffice (`soffice`) on the PATH. The files are committed, so that tests do not need these
programs.
"""

import subprocess
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "tests" / "documents" / "samples"
SLIDES = """
---
title: Keeping the Skerry light
author: Harbour office
---

# Watches

- Each watch lasts six hours.
- Two keepers share the night watch.

::: notes
The night watch is shared since the storm of 1987.
:::

# Lamp oil

| Month | Litres |
|-------|-------:|
| April |    310 |
| May   |    265 |

# The fog horn

It sounds for four seconds in every minute when the far pier cannot be seen.
"""
TEXT = """
---
title: The keeper's handbook
toc: true
---

# Stores

Candles are kept in the lower vault.[^1] The vault is dry in every season, because the builders laid its floor on two
courses of slate and left a gap behind the western wall. The keeper who takes a box writes the day and the number of
candles into the book on the shelf by the door. Empty boxes go back to the mainland with the supply boat on Thursdays.

[^1]: Matches are kept in the tin with the red lid.

| Store   | Boxes |
|---------|------:|
| candles |    14 |
| wicks   |    90 |

# Visitors

The station is open from May to September. In these months the assistant shows the lantern and the old bell to groups of
up to six people, and keeps a list of their names. Children must hold the rail on the spiral stairs, and dogs wait in
the yard. Photographs of the lens are allowed if the curtains are drawn, because sunlight that falls through it burns.

## By boat

1.  Visitors land at the south steps.
2.  They leave before the tide turns.
"""
EQUATION = "\nThe climb takes $t = \\frac{h}{v}$ minutes.\n"  # which LibreOffice without its Math program loses


def pandoc(markdown: str, target: Path) -> None:
    command = ["pandoc", "--from", "markdown", "--standalone", "--output", target]
    subprocess.run(command, input=markdown.encode(), check=True)


def libreoffice(source: Path, form: str, folder: Path) -> Path:
    """Convert `source` and return the new file."""
    profile = f"-env:UserInstallation=file://{folder}/profile"
    command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return folder / f"{source.stem}.{form}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pandoc(SLIDES, SAMPLES / "light-pandoc.pptx")
        slides = libreoffice(SAMPLES / "light-pandoc.pptx", "odp", Path(folder))
        (SAMPLES / "light-libreoffice.odp").write_bytes(slides.read_bytes())
        pandoc(TEXT + EQUATION, SAMPLES / "handbook-pandoc.odt")
        pandoc(TEXT, Path(folder, "handbook.docx"))
        text = libreoffice(Path(folder, "handbook.docx"), "odt", Path(folder))
        (SAMPLES / "handbook-libreoffice.odt").write_bytes(text.read_bytes())


if __name__ == "__main__":
    main()
