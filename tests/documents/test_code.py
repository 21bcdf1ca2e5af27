import pytest

from tests.support.loading import loaded


@pytest.mark.parametrize(
    ("name", "source", "text", "line", "summary"),
    [
        (
            "a.js",
            "#!/usr/bin/env node\n/*\n * Copyright 2031 A. Smith\n */\nimport {\n  heat,\n} from 'forge';\n"
            "const t = require(\"tongs\")\n\nheat(3);\n",
            "\nheat(3);\n", 9, "imports forge, tongs",
        ),
        ("a.go", "// SPDX-License-Identifier: MIT\npackage main\n\nimport (\n\t\"forge\"\n)\n\nvar x = 1\n"
            "", "\n\nvar x = 1\n", 3, "imports main, forge"),
        ("a.c", "#include <forge.h>\n#define X 1\n", "#define X 1\n", 2, "imports forge.h"),
        ("a.rs", "use std::fmt;\npub use a::{\n  b,\n};\nfn f() {}\n", "fn f() {}\n", 5, "imports std::fmt, a::"),
        ("a.py", "# -*- coding: utf-8 -*-\n# Licensed under X.\n#\n# Heats iron.\nimport os\nX = 1\n"
            "", "# Heats iron.\nX = 1\n", 4, "imports os"),
        ("a.sh", "#!/bin/sh\n# Heats iron.\nheat\n", "# Heats iron.\nheat\n", 2, ""),
        ("a.py", "import os\n", "import os\n", 1, ""),
    ],
)  # fmt: skip
def test_shebang_licence_and_imports_are_removed_from_the_text(
    name: str, source: str, text: str, line: int, summary: str
) -> None:
    document = loaded(name, source)

    assert (document.text, document.summary) == (text, summary)
    assert document.line_numbers is not None
    assert document.line_numbers[0] == line
