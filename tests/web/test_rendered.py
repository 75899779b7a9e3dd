"""Markdown as trees of harmless elements: what is made of texts, good and hostile ones."""

import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from plaudit.web import formulas, rendered
from plaudit.web.rendered import Node, TooMuch
from tests.web.hostile import HOSTILE

RICH = (Path(__file__).parents[2] / "src/plaudit/web/static/rich.js").read_text(encoding="utf-8")
HTML = set(
    "p li h3 h4 h5 h6 td th blockquote br em strong s code pre ul ol hr table thead tbody tr a span bdi div".split()  # noqa: SIM905
)


def elements(nodes: list[Node]) -> Iterator[list[Any]]:
    """Every element, the outer ones first."""
    for node in nodes:
        if isinstance(node, list):
            yield node
            yield from elements(node[2:])


def words(nodes: list[Node]) -> str:
    """All text, in the order in which it is read."""
    return "".join(node if isinstance(node, str) else words(node[2:]) for node in nodes)


def only(text: str) -> Node:
    """The one node of a text."""
    (node,) = rendered.rendered(text)
    return node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("one\ntwo", ["p", {}, "one", ["br", {}], "two"]),
        ("*a* **b** ~~c~~ `d`", ["p", {}, ["em", {}, "a"], " ", ["strong", {}, "b"], " ", ["s", {}, "c"], " ", ["code", {}, "d"]]),
        ("# Head", ["h3", {}, "Head"]),
        ("###### Head", ["h6", {}, "Head"]),
        ("3. a", ["ol", {"start": "3"}, ["li", {}, "a"]]),
        ("- [ ] a\n- [x] **b**", ["ul", {}, ["li", {"class": "task"}, "☐ a"], ["li", {"class": "task"}, "☑ ", ["strong", {}, "b"]]]),
        ("- [ ] a\n\n- b", ["ul", {}, ["li", {"class": "task"}, ["p", {}, "☐ a"]], ["li", {}, ["p", {}, "b"]]]),
        ("> a", ["blockquote", {}, ["p", {}, "a"]]),
        ("---", ["hr", {}]),
        (
            "|a|b|\n|-:|:-:|\n|1|2|",
            ["div", {"class": "wide"}, ["table", {},
                ["thead", {}, ["tr", {}, ["th", {"class": "right"}, "a"], ["th", {"class": "center"}, "b"]]],
                ["tbody", {}, ["tr", {}, ["td", {"class": "right"}, "1"], ["td", {"class": "center"}, "2"]]]]],
        ),
        ("```\na <b>\n```", ["pre", {}, ["code", {}, "a <b>"]]),
        ("```nonsense\na\n```", ["pre", {}, ["span", {"class": "info"}, "nonsense"], ["code", {}, "a"]]),
        (
            "```python\nx = 1  # one\n```",
            ["pre", {}, ["span", {"class": "info"}, "python"], ["code", {}, "x = ", ["span", {"class": "hl-number"}, "1"], "  ", ["span", {"class": "hl-comment"}, "# one"]]],
        ),
        ("<b>a</b> &amp; &lt;", ["p", {}, "<b>a</b> & <"]),
        ("[a](https://b.c)", ["p", {}, ["a", {"href": "https://b.c"}, "a"], " ", ["bdi", {"class": "address"}, "(https://b.c)"]]),
        ("<https://b.c>", ["p", {}, ["a", {"href": "https://b.c"}, "https://b.c"]]),
        ("![a](https://b.c)", ["p", {}, ["span", {"class": "image"}, "a", " ", ["bdi", {"class": "address"}, "(https://b.c)"]]]),
        ("[a]: https://b.c", ["p", {}, "[a]: https://b.c"]),
        ("a\u202eb", ["p", {}, "a", ["span", {"class": "control"}, "U+202E"], "b"]),
        ("👩‍👩‍👧 🏳️‍🌈", ["p", {}, "👩‍👩‍👧 🏳️‍🌈"]),
        ("it costs $5 or $10", ["p", {}, "it costs $5 or $10"]),
        ("\\$5 and \\*a\\*", ["p", {}, "$5 and *a*"]),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_markdown(text: str, node: Node) -> None:
    assert only(text) == node


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_nothing_is_nothing(text: str) -> None:
    assert rendered.rendered(text) == []


X2 = ["msup", {}, ["mi", {}, "x"], ["mn", {}, "2"]]


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("$x^2$", "inline"), (r"\(x^2\)", "inline"), ("$$x^2$$", "block"), ("$$\nx^2\n$$", "block"), (r"\[x^2\]", "block"),
        ("\\[\nx^2\n\\]", "block"), ("so:\n\\[\nx^2\n\\]\nthen", "block"), ("so \\[ x^2 \\] then", "block"),
        ("- so\n  \\[ x^2 \\]", "block"), ("> \\[\n> x^2\n> \\]", "block"), ("```math\nx^2\n```", "block"),
    ],
    ids=repr,
)  # fmt: skip
def test_formulas_wherever_they_are_written(text: str, display: str) -> None:
    found = [node for node in elements(rendered.rendered(text)) if node[0] == "math"]
    assert found == [["math", {"display": display}, ["mrow", {}, X2]]]


def test_a_formula_on_several_lines_is_one() -> None:
    (found,) = [
        node for node in elements(rendered.rendered("\\[\na\n- b\n+ c\n= d\n\\]")) if node[0] == "math"
    ]
    assert words([found]) == "a−b+c=d" or words([found]) == "a-b+c=d"
    (table,) = [node for node in elements(rendered.rendered(r"\begin{align} a &= b \\ c &= d \end{align}")) if node[0] == "mtable"]  # fmt: skip
    assert len([row for row in table[2:] if row[0] == "mtr"]) == 2


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac", r"\left(", "{" * 5000, "x^{" * 900 + "}" * 900, "x" * 5000, r"\def\a{\a\a}\a",
        r"\newcommand{\a}{b}\a", r"\begin{matrix}", "^^", r"\sqrt[", "_" * 10,
    ],
    ids=lambda latex: latex[:20],
)  # fmt: skip
def test_what_is_no_formula_stays_as_it_was_written(latex: str) -> None:
    for text in (f"${latex}$", f"$${latex}$$", f"```math\n{latex}\n```"):
        found = rendered.rendered(text)
        assert latex in words(found) or [node for node in elements(found) if node[0] == "math"]
    assert formulas.formula(latex, True) is None


def test_formulas_neither_load_nor_link_nor_colour_nor_grow() -> None:
    latex = (
        r"\href{javascript:alert(1)}{a} \style{position:fixed}{b} \class{actions}{c} \color{white}{d} \rule{900em}{90em} "
        r"\hspace{-500em} \phantom{e} \text{</mtext><img src=x onerror=alert(1)>} \colorbox{red}{f} \unicode{x202E} \boxed{g}"
    )
    found = formulas.formula(latex, display=True)
    assert found is not None
    for tag, attributes, *_ in elements([found]):
        assert tag in formulas.ELEMENTS
        assert set(attributes) <= {"display", "class", "width", "depth", "height", "stretchy"}, attributes
        assert attributes.get("class") in (None, "boxed")
    assert "<img src=x onerror=alert(1)>".replace(" ", "\xa0") in words([found])
    assert all(letter in words([found]) for letter in "abcdefg")


def allowed(name: str) -> set[str]:
    """A list of words of rich.js."""
    found = re.search(rf"const {name} = words\(\s*(.*?),?\s*\);", RICH, re.DOTALL)
    assert found is not None
    return set("".join(re.findall(r'"([^"]*)"', found[1])).split())


def test_the_page_makes_the_same_elements() -> None:
    assert allowed("HTML") == HTML and allowed("MATHML") == formulas.ELEMENTS
    assert allowed("TRUTH") | allowed("LENGTHS") | {
        "display",
        "mathvariant",
        "form",
        "scriptlevel",
        "columnalign",
    } == {name for names in formulas.ATTRIBUTES for name in names.split("|")}
    classes = re.search(r"class: /\^\((.*)\)\$/,", RICH)
    assert classes is not None and set(rendered.HUES.values()) == {
        f"hl-{hue}" for hue in re.findall(r"hl-\((.*?)\)", classes[1])[0].split("|")
    }


def harmless(nodes: list[Node]) -> None:
    """Raise where something is not on the lists."""
    for tag, attributes, *_ in elements(nodes):
        assert tag in HTML | formulas.ELEMENTS, tag
        for name, value in attributes.items():
            if name == "href":
                assert re.match("https?://", value, re.IGNORECASE), value
            elif tag in HTML:
                assert name in ("class", "start"), name
            else:
                assert name == "class" or formulas._harmless(name, value), name


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_hostile_texts_stay_texts(text: str) -> None:
    for each in (
        text,
        f"- {text}",
        f"`{text}`",
        f"${text}$",
        f"[{text}](https://a.b)",
        f"```html\n{text}\n```",
    ):
        found = rendered.rendered(each)
        harmless(found)
        if "alert" in text:
            assert "alert" in words(found)


SIGNS = st.lists(
    st.sampled_from(
        [
            *"*_`~[]()<>!#|-+$\\\n \t&:/'\"",
            "a",
            "b1",
            "```",
            "\\[",
            "\\]",
            "$$",
            "https://a",
            "javascript:",
            "    ",
        ]
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SIGNS.map("".join))
def test_whatever_is_written_is_harmless_and_its_words_are_shown(text: str) -> None:
    found = rendered.rendered(text)
    harmless(found)
    shown = words(found) + "".join(str(node[1].get("href", "")) for node in elements(found))
    if (
        "|" not in text and "&" not in text and '"' not in text and "'" not in text
    ):  # cells and titles too many are left out
        assert shown.count("b1") >= text.count("b1")


@pytest.mark.parametrize("text", [">" * 30_000, "*a **b " * 14_000, "- " * 300 + "a", "*a* " * 20_000, "\u202e" * 40_000], ids=lambda text: text[:8])  # fmt: skip
def test_too_much_is_refused(text: str) -> None:
    try:
        found = rendered.rendered(text)
    except (TooMuch, RecursionError):
        return
    assert len(words(found)) >= 0.4 * len(text)  # or everything is shown


class Words(HTMLParser):
    """The text of HTML."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def test_real_texts_read_as_the_library_writes_them(shared_data: Path) -> None:
    """Another way from the same parser: its own HTML, read by the standard library."""
    trees = shared_data / "text_rankings" / "oasst_en_100_trees.jsonl.gz"
    plain = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    compared = 0
    with gzip.open(trees, "rt", encoding="utf-8") as lines:
        for line in lines:
            for reply in json.loads(line)["prompt"]["replies"]:
                text = reply["text"]
                if any(sign in text for sign in ("$", "\\", "](", "<http", "[ ]", "[x]", "]:")):
                    continue  # formulas, addresses, boxes: written otherwise
                nodes = rendered.rendered(text)
                for node in elements(nodes):
                    if node[1].get("class") == "info":
                        del node[2:]  # the library makes a class of it
                ours, theirs = words(nodes), "".join(Words(plain.render(text)).found)
                assert re.sub(r"\s", "", ours) == re.sub(r"\s", "", theirs)
                compared += 1
    assert compared > 100
