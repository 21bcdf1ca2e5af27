"""Converts inline LaTeX to text: commands, accents, ligatures and simple formulas."""

import re
import unicodedata
from typing import Final

_TOKEN: Final = re.compile(
    r"\\verb\*?([^a-zA-Z\s*])(.{0,500}?)\1|\\([a-zA-Z@]+)\*?[ \t]*|\\(['`\"^~=.])[ \t]*|\\(.)"
    r"|\$\$?|(---?|``|''|~)|([{}])"
)
_WITHOUT_TEXT: Final = frozenset(
    {"label", "index", "glossary", "vspace", "hspace", "vskip", "hskip", "includegraphics", "cite", "citep", "citet",
     "parencite", "textcite", "autocite", "footcite", "nocite", "ref", "eqref", "pageref", "autoref", "cref", "Cref",
     "nameref", "bibliography", "bibliographystyle", "input", "include", "setcounter", "addtocounter", "setlength",
     "pagestyle", "thispagestyle", "pagenumbering", "begin", "end", "color", "phantomsection", "addcontentsline",
     "hypertarget", "fontsize", "selectlanguage", "usebox", "rule", "vphantom", "hphantom", "phantom", "printindex",
     "newpage", "markboth", "markright", "todo", "marginnote", "bibitem", "graphicspath", "resizebox", "scalebox"}
)  # fmt: skip
_SECOND: Final = frozenset(
    {"href", "textcolor", "colorbox", "foreignlanguage", "hyperref", "hyperlink", "multicolumn", "multirow"}
)
_CODE: Final = frozenset({"texttt", "code", "url", "path", "nolinkurl", "mintinline", "lstinline"})
_SYMBOLS: Final = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł",
    "i": "i", "j": "j", "dots": "…", "ldots": "…", "cdots": "…", "textbackslash": "\\", "textasciitilde": "~",
    "textasciicircum": "^", "textbar": "|", "textless": "<", "textgreater": ">", "textdegree": "°", "degree": "°",
    "copyright": "©", "pounds": "£", "euro": "€", "texteuro": "€", "S": "§", "P": "¶", "LaTeX": "LaTeX", "TeX": "TeX",
    "times": "×", "cdot": "·", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠",
    "approx": "≈", "sim": "∼", "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "infty": "∞",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "theta": "θ",
    "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω",
     "eta": "η", "Delta": "Δ",
    "Omega": "Ω", "Sigma": "Σ", "circ": "°", "percent": "%", "quad": " ", "qquad": " ", "textendash": "–",
    "textemdash": "—", "textquotesingle": "'", "slash": "/", "par": " ", "newline": " ", "linebreak": " ",
}  # fmt: skip
_UNITS: Final = {
    "metre": "m", "meter": "m", "second": "s", "gram": "g", "ampere": "A", "kelvin": "K", "mole": "mol",
    "candela": "cd", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W", "volt": "V",
    "ohm": "Ω", "farad": "F", "tesla": "T", "henry": "H", "coulomb": "C", "siemens": "S", "lumen": "lm",
    "lux": "lx", "becquerel": "Bq", "celsius": "°C", "degreeCelsius": "°C", "degree": "°", "arcminute": "′",
    "arcsecond": "″", "radian": "rad", "minute": "min", "hour": "h", "day": "d", "litre": "l", "liter": "l",
    "tonne": "t", "hectare": "ha", "bar": "bar", "electronvolt": "eV", "decibel": "dB", "bit": "bit", "byte": "B",
    "percent": "%", "dalton": "Da", "angstrom": "Å", "pico": "p", "nano": "n", "micro": "µ", "milli": "m",
    "centi": "c", "deci": "d", "hecto": "h", "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "kibi": "Ki",
    "mebi": "Mi", "gibi": "Gi", "per": "/", "squared": "²", "cubed": "³",
}  # fmt: skip
_POWERS: Final = {"square": "²", "cubic": "³"}
_PREFIXES: Final = frozenset("pico nano micro milli centi deci hecto kilo mega giga tera kibi mebi gibi".split())
_QUANTITIES: Final = {"si": 0, "unit": 0, "SI": 1, "qty": 1, "SIrange": 2, "qtyrange": 2}
"""The commands of siunitx that print a unit, with the number of values before it."""
_UNIT_PART: Final = re.compile(r"\\([a-zA-Z]+)|([^\\\s{}]+)")
_ACCENTS: Final = {
    "'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a",
}  # fmt: skip
_LIGATURES: Final = {"---": "—", "--": "–", "``": "“", "''": "”", "~": " "}
_OPTION: Final = re.compile(r"[ \t]*\[[^\[\]\n]*\]")
_NESTED: Final = 40


def inline_text(source: str) -> str:
    """Convert the LaTeX `source` to its visible text, on one line."""
    return " ".join(_read(source, 0).split())


def argument_end(text: str, start: int) -> int:
    """Return the offset after the argument in braces that begins at `start`, or -1 if it is not closed."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        if match[0] in "{}":
            depth += 1 if match[0] == "{" else -1
            if depth == 0:
                return start + match.end()
    return -1


def _read(source: str, depth: int) -> str:
    pieces: list[str] = []
    at = 0
    while match := _TOKEN.search(source, at):
        pieces.append(source[at : match.start()])
        at = match.end()
        _, verb, command, accent, sign, ligature, _brace = match.groups()
        if verb is not None:
            pieces.append(f"`{verb}`")
        elif command in _ACCENTS or accent:
            shown, at = _accented(source, at, _ACCENTS[command or accent])
            pieces.append(shown)
        elif command:
            shown, at = _command(source, command, at, depth)
            pieces.append(shown)
        elif sign:
            pieces.append(" " if sign in "\\,;: /" else "" if sign in "!-()[]@" else sign)
        elif ligature:
            pieces.append(_LIGATURES[ligature])
    pieces.append(source[at:])
    return "".join(pieces)


def _accented(source: str, at: int, mark: str) -> tuple[str, int]:
    match = re.compile(r"\{\\?([a-zA-Z])\}|\\?([a-zA-Z])").match(source, at)
    if not match:
        return "", at
    return unicodedata.normalize("NFC", (match[1] or match[2]) + mark), match.end()


def _command(source: str, name: str, at: int, depth: int) -> tuple[str, int]:
    """Return the text that a command prints, usually its argument, and the offset after its arguments."""
    if name in _SYMBOLS:
        return _SYMBOLS[name], at + 2 if source.startswith("{}", at) else at
    while option := _OPTION.match(source, at):
        at = option.end()
    arguments: list[str] = []
    max_arguments = (
        _QUANTITIES[name] + 1
        if name in _QUANTITIES
        else 3
        if name.startswith("multi")
        else 2
        if name in _SECOND | {"frac", "addcontentsline"}
        else 1
    )
    while len(arguments) < max_arguments and source.startswith("{", at) and (end := argument_end(source, at)) > 0:
        arguments.append(source[at + 1 : end - 1])
        at = end
        while name in _SECOND and (option := _OPTION.match(source, at)):
            at = option.end()
    if name in _WITHOUT_TEXT or not arguments or depth > _NESTED:
        return "", at
    if name in _CODE:
        shown = re.sub(r"\\([_&%$#{}~^])(?:\{\})?", r"\1", arguments[0])
        return f"`{shown}`" if name in {"texttt", "code"} else shown, at
    if name in _SECOND:
        return _read(arguments[-1], depth + 1), at
    if name == "frac":
        return "/".join(_read(each, depth + 1) for each in arguments), at
    if name in _QUANTITIES:
        values = "–".join(_read(each, depth + 1) for each in arguments[: _QUANTITIES[name]])
        return f"{values} {_unit(''.join(arguments[_QUANTITIES[name] :]))}".strip(), at
    shown = _read(arguments[0], depth + 1)
    if name in {"footnote", "footnotetext", "thanks"}:
        return f" ({shown})", at
    return f"^{shown}" if name == "textsuperscript" else shown, at


def _unit(source: str) -> str:
    r"""The symbol of a unit.

    >>> _unit(r"\kilo\metre\per\hour"), _unit(r"\per\square\milli\metre"), _unit("kg")
    ('km/h', '/mm²', 'kg')
    """
    shown: list[str] = []
    power = ""
    for command, text in _UNIT_PART.findall(source):
        if command in _POWERS:
            power = _POWERS[command]
            continue
        shown.append(_UNITS.get(command, command) or text)
        if command not in _PREFIXES and command != "per":
            shown.append(power)
            power = ""
    return "".join(shown)
