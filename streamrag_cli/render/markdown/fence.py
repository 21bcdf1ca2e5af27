"""Finds the lines of a code fence without a parser."""

import re
from dataclasses import dataclass


@dataclass(slots=True)
class Fence:
    marker: str
    length: int
    indent_columns: int
    blank_lines: str = ""

    def is_closed_by(self, line: str) -> bool:
        return re.fullmatch(rf" {{0,3}}{re.escape(self.marker)}{{{self.length},}}[ \t]*\n?", line) is not None

    def without_indent(self, line: str) -> str:
        column = at = 0
        while column < self.indent_columns and line[at : at + 1] in {" ", "\t"}:
            column += 4 - column % 4 if line[at] == "\t" else 1
            at += 1
        return " " * (column - self.indent_columns) + line[at:]

    def code_in(self, lines: str) -> tuple[str, str, bool]:
        """Return the code in `lines`, the lines after the fence, and whether the fence ends in `lines`.

        Blank lines are returned only with the next line of code, because renderers drop them at the end of a fence.
        """
        code: list[str] = []
        each = lines.split("\n")[:-1]
        for at, line in enumerate(each):
            if self.is_closed_by(line):
                return "".join(code), "".join(f"{rest}\n" for rest in each[at + 1 :]), True
            content = self.without_indent(line) + "\n"
            self.blank_lines += content
            if not content.isspace():
                code.append(self.blank_lines)
                self.blank_lines = ""
        return "".join(code), "", False
