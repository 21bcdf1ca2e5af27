"""Link definitions, `[label]: address`, of a text that is still being written.

A definition may come after its use. Whoever keeps a use that was not resolved must know which labels would change
it, so a look-up in vain is remembered; and a definition that comes when its use has been shown for good is shown,
too, so that no address is lost.
"""

import re
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.reference import reference
from markdown_it.token import Token

NUMBERS: Final = r"\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*"

_NUMBERS_ALONE: Final = re.compile(NUMBERS)
_DEFINITION: Final = re.compile(r" {0,3}\[([^\[\]]+)\]:")
_NUMBERED_DEFINITION: Final = re.compile(rf" *\[{NUMBERS}\]:")


class Definitions(dict[str, Any]):
    """What the parser looks labels up in. With `outer` it holds only what that does not, and the outer one wins.

    With `citing`, numbers are markers of citations: they are never labels. `missed` are labels that were looked up in
    vain, `late` those whose use has been shown for good without an address.
    """

    def __init__(self, *, citing: bool, outer: "Definitions | None" = None) -> None:
        super().__init__()
        self.citing = citing
        self.late: set[str] = set() if outer is None else outer.late
        self.missed: set[str] = set()
        self._outer = outer

    def get(self, label: str, default: Any = None) -> Any:
        found = dict.get(self._outer or self, label) or super().get(label)
        if found is None and label and not (self.citing and _NUMBERS_ALONE.fullmatch(label)):
            self.missed.add(label)
        return default if found is None else found

    def is_hidden_definition(self, line: str) -> bool:
        """Whether `line`, at the beginning of a block, seems to become a definition that is not shown."""
        begun = _DEFINITION.match(line)
        if begun is None or (self.citing and _NUMBERED_DEFINITION.match(line)):
            return False
        return normalizeReference(begun[1]) not in self.late


def read_definitions(parser: MarkdownIt, *, as_tokens: bool) -> None:
    """Make `parser` leave numbers to citations and show late definitions; `as_tokens` keeps one for the others, too."""

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
