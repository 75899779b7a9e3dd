r"""Formulas in LaTeX as MathML, which browsers draw by themselves; and where a Markdown text has them.

`$...$` and `$$...$$`, `\(...\)` and `\[...\]`, and environments such as `\begin{align}`. What cannot be read as a
formula stays as it was written.
"""

import html
import re
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

LONGEST = 4000
"""Characters of a formula."""
DEEPEST = 40
"""Elements of a formula within each other."""
MACRO = re.compile(r"\\(?:\w*newcommand|\w*newenvironment|[egx]?def|let|DeclareMathOperator)\b")
"""A formula that defines others can grow without end."""

ELEMENTS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded",
    "mover", "munder", "munderover", "msub", "msup", "msubsup", "mmultiscripts", "mprescripts", "none",
    "mtable", "mtr", "mtd",
}  # fmt: skip
"""The others (links, actions, what hides its content) become a plain row of what they hold."""
ATTRIBUTES = {
    "display": r"block|inline",
    "mathvariant": r"[a-z-]+",
    "displaystyle|stretchy|fence|separator|symmetric|largeop|movablelimits|accent|accentunder": r"true|false",
    "form": r"prefix|infix|postfix",
    "scriptlevel": r"[+-]?[0-3]",
    "columnalign": r"left|right|center",
    "linethickness|width|height|depth|lspace|rspace|minsize|maxsize|voffset": r"[+-]?\d?(\.\d{1,4})?(em|ex|mu|px|pt)?",
}
"""Patterns of names, each with one of values: nothing that loads, links, colours or is larger than a few letters."""


def read_formulas(markdown: MarkdownIt) -> None:
    """Teach a parser where formulas are; a sum of money is none."""
    dollarmath_plugin(markdown, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    amsmath_plugin(markdown)
    markdown.inline.ruler.before("escape", "math_brackets", _in_line)
    interrupted = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("fence", "math_brackets", _on_lines, {"alt": interrupted})


def _in_line(state: StateInline, silent: bool) -> bool:
    r"""`\(...\)`, and `\[...\]` within a line."""
    opening = state.src[state.pos : state.pos + 2]
    if opening not in (r"\(", r"\["):
        return False
    end = state.src.find(opening.translate({40: 41, 91: 93}), state.pos + 2)
    if end < 0:
        return False
    if not silent:
        token = state.push("math_inline" if opening == r"\(" else "math_block", "math", 0)
        token.content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


def _on_lines(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""`\[...\]` on lines of its own, without an empty one."""
    begin = state.bMarks[start] + state.tShift[start]
    close = state.src.find(r"\]", begin)
    if not state.src.startswith(r"\[", begin) or close < 0:
        return False
    lines = range(start, end)
    last = next((line for line in lines if state.isEmpty(line) or close < state.eMarks[line]), end)
    if last == end or state.isEmpty(last) or state.src[close + 2 : state.eMarks[last]].strip():
        return False
    if not silent:
        token = state.push("math_block", "math", 0)
        inside = state.getLines(start, last + 1, state.blkIndent, False)  # without the > of quotes
        token.content = inside.strip()[2:-2]
    state.line = last + 1
    return True


def formula(latex: str, display: bool) -> list[Any] | None:
    """A formula as an element, see `rendered.Node`; None where it is none that can be drawn."""
    if len(latex) > LONGEST or MACRO.search(latex):
        return None
    try:
        return _element(convert_to_element(latex, display="block" if display else "inline"), 0)
    except (
        Exception
    ):  # the library has no one error for a formula with a mistake: StopIteration, IndexError ...
        return None


def _element(found: Element, depth: int) -> list[Any]:
    if depth > DEEPEST:
        raise RecursionError
    tag = found.tag if found.tag in ELEMENTS else "mrow"
    attributes = {name: value for name, value in found.attrib.items() if _harmless(name, value)}
    if found.get("notation") == "box":
        attributes["class"] = "boxed"  # browsers draw no other of these
    text = [html.unescape(found.text)] if found.text else []  # the library writes signs as &#x2211;
    return [tag, attributes, *text, *(_element(child, depth + 1) for child in found)]


def _harmless(name: str, value: str) -> bool:
    return any(
        re.fullmatch(names, name) and re.fullmatch(values, value) for names, values in ATTRIBUTES.items()
    )
