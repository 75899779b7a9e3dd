"""Texts of models and people, written in Markdown, as trees of harmless elements: what the pages show.

No HTML is written anywhere. The text is parsed here (CommonMark, tables, strikethrough, task lists, highlighted code,
formulas); what comes out is text and elements of a fixed list, which the pages make one by one (`static/rich.js`, with
the same list). Raw HTML in a text is text. `renderer` calls this in a process of its own, which is ended when a text
takes too long.
"""

import re
from functools import cache
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String
from pygments.util import ClassNotFound

from plaudit.web.formulas import formula, read_formulas

Node = str | list[Any]
"""Text, or an element as [tag, {attribute: value}, *nodes]."""

MOST = 30_000
"""Nodes of a text."""
DEEPEST = 60
"""Elements of a text within each other."""

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Characters that show nothing but change what is seen: they are named. Emoji and Persian need U+200C and U+200D."""
ADDRESS = re.compile(r"https?://", re.IGNORECASE)
TASK = re.compile(r"\[([ xX])\] ")

HUES = {
    Comment: "hl-comment",
    Keyword: "hl-keyword",
    Operator.Word: "hl-keyword",
    Name.Tag: "hl-keyword",
    String: "hl-string",
    Generic.Inserted: "hl-string",
    Number: "hl-number",
    Generic.Deleted: "hl-number",
    Name.Function: "hl-name",
    Name.Class: "hl-name",
    Name.Builtin: "hl-name",
    Name.Decorator: "hl-name",
    Name.Attribute: "hl-name",
}
"""Parts of code, and the class of each."""


class TooMuch(Exception):
    """More than a page can show."""


def rendered(text: str) -> list[Node]:
    """A text as nodes; TooMuch where they are too many, or too deep within each other."""
    nodes = _inside(SyntaxTreeNode(_markdown().parse(text)))
    _check(nodes)
    return nodes


@cache
def _markdown() -> MarkdownIt:
    options = {"html": False, "maxNesting": 10 * DEEPEST}  # what is deeper still, the library leaves out
    markdown = MarkdownIt("commonmark", options)
    markdown.enable(["table", "strikethrough"])
    markdown.disable("reference")  # definitions are left out of what is shown, and nothing may be
    markdown.validateLink = lambda url: ADDRESS.match(url) is not None  # others stay as written
    read_formulas(markdown)
    return markdown


def _check(nodes: list[Node]) -> None:
    waiting, count = [(node, 1) for node in nodes], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MOST or depth > DEEPEST:
            raise TooMuch
        if isinstance(node, list):
            waiting += [(child, depth + 1) for child in node[2:]]


def _inside(node: SyntaxTreeNode) -> list[Node]:
    return [made for child in node.children for made in _made(child)]


def _made(node: SyntaxTreeNode) -> list[Node]:
    """What a part of the text becomes; most of it the element that it is called after."""
    match node.type:
        case "text":
            return _text(node.content)
        case "softbreak" | "hardbreak":  # a line of its own is meant as one, in chats
            return [["br", {}]]
        case "inline":
            return _inside(node)
        case "paragraph" if node.hidden:
            return _inside(node)
        case "code_inline":
            return [["code", {}, *_text(node.content)]]
        case "fence" | "code_block":
            return [_code(node.content, node.info.strip())]
        case "math_inline" | "math_inline_double" | "math_block" | "amsmath":
            return [_formula(node.content, node.type != "math_inline")]
        case "link":
            return _link(node)
        case "image":
            return [["span", {"class": "image"}, *_inside(node), " ", _address(str(node.attrs["src"]))]]
        case "heading":  # below those of the page
            return [[f"h{min(6, int(node.tag[1]) + 2)}", {}, *_inside(node)]]
        case "table":
            return [["div", {"class": "wide"}, ["table", {}, *_inside(node)]]]
        case "th" | "td":
            align = str(node.attrs.get("style", "")).removeprefix("text-align:")
            return [[node.tag, {"class": align} if align else {}, *_inside(node)]]
        case "ordered_list":
            return [["ol", {"start": str(node.attrs.get("start", 1))}, *_inside(node)]]
        case "list_item":
            return [_item(_inside(node))]
    return [[node.tag, {}, *_inside(node)]]


def _text(text: str) -> list[Node]:
    """Text, with the characters in it that nobody sees by name."""
    found: list[Node] = []
    start = 0
    for sign in UNSEEN.finditer(text):
        found += [text[start : sign.start()], ["span", {"class": "control"}, f"U+{ord(sign[0]):04X}"]]
        start = sign.end()
    return [node for node in (*found, text[start:]) if node]


def _item(inside: list[Node]) -> Node:
    """A list item; the box at the beginning of a task is a box."""
    first = inside[0] if inside else ""
    words = first[2] if isinstance(first, list) and first[0] == "p" and len(first) > 2 else first
    box = TASK.match(words) if isinstance(words, str) else None
    if box is None:
        return ["li", {}, *inside]
    ticked = ("☐ " if box[1] == " " else "☑ ") + box.string[box.end() :]
    first = [*first[:2], ticked, *first[3:]] if isinstance(first, list) else ticked
    return ["li", {"class": "task"}, first, *inside[1:]]


def _link(node: SyntaxTreeNode) -> list[Node]:
    """A link, which says where it leads."""
    address, inside = str(node.attrs["href"]), _inside(node)
    link: Node = ["a", {"href": address}, *inside]
    return [link] if inside == [address] else [link, " ", _address(address)]


def _address(address: str) -> Node:
    return ["bdi", {"class": "address"}, *_text(f"({address})")]


def _formula(latex: str, display: bool) -> Node:
    found = formula(UNSEEN.sub("\ufffd", latex), display)
    if found is None:
        return ["code", {}, *_text(f"$${latex}$$" if display else f"${latex}$")]
    return ["span", {"class": "wide"}, found] if display else found


def _code(code: str, info: str) -> Node:
    if info == "math":
        return ["p", {}, _formula(code, display=True)]
    label = [["span", {"class": "info"}, *_text(info)]] if info else []
    language = info.split()[0].lower() if info else ""
    return ["pre", {}, *label, ["code", {}, *_coloured(code.removesuffix("\n"), language)]]


def _coloured(code: str, language: str) -> list[Node]:
    """The parts of code with the classes of their colours; plain where the language is not known."""
    try:
        tokens = list(get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(code))
    except ClassNotFound:
        return _text(code)
    hued = [
        (next((hue for kind, hue in HUES.items() if token in kind), None), text) for token, text in tokens
    ]
    found: list[Node] = []
    for hue, parts in groupby(hued, key=lambda part: part[0]):
        inside = _text("".join(text for _, text in parts))
        found += [["span", {"class": hue}, *inside]] if hue else inside
    return found
