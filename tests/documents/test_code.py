import ast

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


class _Parsing:
    """Garbage that parses when it is collected, during any allocation of memory, like another thread.

    It does so once per element of `times`.
    """

    def __init__(self, times: list[int]) -> None:
        self.times = times
        self.cycle = self

    def __del__(self) -> None:
        if self.times:
            self.times.pop()
            ast.parse("x = 1")
            _Parsing(self.times)


@pytest.mark.fault("parsed-at-once")
def test_python_source_is_divided_while_another_file_is_parsed() -> None:
    source = "".join(f"def f{n}(a, b=[1, 2]):\n    return (a + b[{n}]) * {{'x': a}}['x']\n\n\n" for n in range(200))
    times = list(range(20))
    _Parsing(times)
    try:
        document = loaded("a.py", source)
    finally:
        is_used = len(times) < 20
        times.clear()

    assert is_used
    assert len(document.sections) == 200
