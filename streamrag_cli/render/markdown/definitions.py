"""Link definitions, `[label]: address`, in a text that is still being written.

A definition may come after a link that uses it. Failed lookups are recorded, so that a pending block can be rendered
again when its label is defined. If the link has already been committed, the definition itself is shown, so that no
address is lost.
"""

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.reference import reference
from markdown_it.token import Token

NUMBERS: Final = r"\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*"

_ONLY_NUMBERS: Final = re.compile(NUMBERS)
_DEFINITION: Final = re.compile(r" {0,3}\[([^\[\]]+)\]:")
_NUMBERED_DEFINITION: Final = re.compile(rf" *\[{NUMBERS}\]:")


class Definitions(dict[str, Any]):
    """The definitions in which the parser looks up labels. Definitions in `outer` take precedence.

    With `citing`, numbers are citation markers and never labels. `unresolved` are labels without a definition. `late`
    are labels of links that have been committed without an address.
    """

    def __init__(self, *, citing: bool, outer: "Definitions | None" = None) -> None:
        super().__init__()
        self.citing = citing
        self.late: set[str] = set() if outer is None else outer.late
        self.unresolved: set[str] = set()
        self._outer = outer

    def get(self, label: str, default: Any = None) -> Any:
        definition = dict.get(self._outer or self, label) or super().get(label)
        if definition is None and label and not (self.citing and _ONLY_NUMBERS.fullmatch(label)):
            self.unresolved.add(label)
        return default if definition is None else definition

    def is_hidden_definition(self, line: str) -> bool:
        """Whether `line`, at the beginning of a block, looks like a definition that will not be shown."""
        match = _DEFINITION.match(line)
        if match is None or (self.citing and _NUMBERED_DEFINITION.match(line)):
            return False
        return normalizeReference(match[1]) not in self.late


def read_definitions(parser: MarkdownIt, *, as_tokens: bool) -> None:
    """Make `parser` show late definitions, and ignore definitions for numbers if numbers are citations.

    With `as_tokens`, all definitions become tokens.
    """

    def rule(state: StateBlock, line: int, end_line: int, silent: bool) -> bool:
        definitions: Definitions = state.env["references"]
        begins = state.bMarks[line] + state.tShift[line]
        if definitions.citing and _NUMBERED_DEFINITION.match(state.src, begins):
            return False
        if not reference(state, line, end_line, silent):
            return False
        if silent or as_tokens:
            return True
        if state.tokens.pop().meta["id"] in definitions.late:
            _show(state, state.getLines(line, state.line, state.blkIndent, False))
        return True

    parser.options["inline_definitions"] = True
    parser.block.ruler.at("reference", rule)


def _show(state: StateBlock, source: str) -> None:
    state.push("definition_open", "p", 1)
    state.push("inline", "", 0).children = [Token("text", "", 0, content=" ".join(source.split()))]
    state.push("definition_close", "p", -1)
