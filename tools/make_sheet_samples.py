"""Makes the samples of spreadsheets and RTF in `tests/documents/samples` with LibreOffice and pandoc.

python -m tools.make_sheet_samples
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_SAMPLES: Final = Path(__file__).parents[1] / "tests" / "documents" / "samples"
_NAMESPACES: Final = "".join(
    f' xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (*((each, each) for each in ("office", "table", "text", "style")), ("number", "datastyle"))
)
_STYLES: Final = (
    '<number:percentage-style style:name="p"><number:number number:decimal-places="1"/><number:text>%</number:text>'
    '</number:percentage-style><number:number-style style:name="e"><number:number number:decimal-places="2" '
    'number:min-decimal-places="2" number:grouping="true"/><number:text> €</number:text></number:number-style>'
    '<number:date-style style:name="d"><number:day/><number:text> </number:text><number:month number:textual="true" '
    'number:style="long"/><number:text> </number:text><number:year number:style="long"/></number:date-style>'
    + "".join(
        f'<style:style style:name="c{each}" style:family="table-cell" style:data-style-name="{each}"/>'
        for each in "ped"
    )
)
_PRICES: Final = (
    ("Plank", "Length", "Price", "VAT", "Valid from"),
    ("larch, sawn", 4, ("float", "e", 18.5), ("percentage", "p", 0.19), ("date", "d", "2024-03-01")),
    ("oak, planed", 3, ("float", "e", 1240), ("percentage", "p", 0.19), ("date", "d", "2024-06-15")),
    ("ash, steamed", 2.5, ("float", "e", 77.25), ("percentage", "p", 0.07), ("date", "d", "2023-11-30")),
)
_DELIVERY: Final = (("Region", "Days", "Driver"), ("coast", 2, "Marit Holm"), ("islands", 6, "Olav Dahl"))
_RULES: Final = """---
title: Rules of the timber yard
---

# Cutting

Boards are cut to length for two euros a cut. Ångström-thin veneer is not cut. The saw runs on weekdays between eight
and noon, and on the first Saturday of each month. A cut list with more than twenty lengths has to be handed in the day
before, with a sketch of every board that shows the direction of the grain. Offcuts that are longer than half a metre
belong to the customer; all others are chipped and sold as bedding.

# Storage

Sawn wood dries in the sheds before it is sold. The table shows for how many months each wood is stored.

| Wood | Shed       | Months |
|------|------------|--------|
| oak  | north shed | 24     |
| ash  | south shed | 9      |
| larch | south shed | 7     |

Stacks are turned every spring. Do not climb on a stack or smoke in the sheds, and the doors stay open in dry
weather. The moisture of every stack is measured on the first of each month and written on its label.

# Returns

Uncut boards are taken back within thirty days.[^1] Money is paid back to the card that was used, less the cost of the
delivery. Boards that were stored outdoors, painted or drilled cannot be returned. Special orders of foreign woods are
excluded as well, unless the yard delivered the wrong wood or the wrong thickness. Claims about cracks are accepted
for a year if the boards were kept dry.

[^1]: Bring the delivery note.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "timber-libreoffice.fods")
        sheet.write_text(_spreadsheet(), encoding="utf-8")
        rules = Path(folder, "yard-pandoc.docx")
        subprocess.run(["pandoc", "-s", "-o", rules, "-"], check=True, input=_RULES, text=True)
        rules = rules.rename(rules.with_name("yard-libreoffice.docx"))
        for form, source in (("xlsx", sheet), ("ods", sheet), ("rtf", rules)):
            profile = f"-env:UserInstallation=file://{folder}/profile"
            command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", _SAMPLES, source]
            subprocess.run(command, check=True)


def _spreadsheet() -> str:
    top = _rows((("Timber by the piece",),)) + "<table:table-row><table:table-cell/></table:table-row>"
    tables = f'<table:table table:name="Prices">{top}{_rows(_PRICES)}</table:table>'
    tables += f'<table:table table:name="Delivery">{_rows(_DELIVERY)}</table:table>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<office:document{_NAMESPACES} office:version="1.2" '
        'office:mimetype="application/vnd.oasis.opendocument.spreadsheet">'
        f"<office:automatic-styles>{_STYLES}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document>"
    )


def _rows(rows: tuple[tuple[object, ...], ...]) -> str:
    return "".join(f"<table:table-row>{''.join(map(_cell, row))}</table:table-row>" for row in rows)


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
    kind, style, number = value if isinstance(value, tuple) else ("float", "", value)
    attribute = "date-value" if kind == "date" else "value"
    styled = f' table:style-name="c{style}"' if style else ""
    return f'<table:table-cell{styled} office:value-type="{kind}" office:{attribute}="{number}"/>'


if __name__ == "__main__":
    sys.exit(main())
