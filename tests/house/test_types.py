"""What a signature says: no hidden arguments in tuples, no callback of a callback, and a type where there is one."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.house.reading import ROOT, Function, Source, by_rule, functions, sources

FLAT = ("trainers", "rewards")
"""Packages in which a function that is made inside another gives no function back."""
PARTS_RETURNED = 2
"""Unlike things that may come back together without a name; more are a frozen dataclass."""
PROTOCOLS = {"reset", "step"}
"""Methods whose returned tuple Gymnasium prescribes."""
SHARE_OF_ANY = 0.02
"""Of all parameters of a package that have an annotation."""
NAMED_ELSEWHERE = {
    "plaudit.models.language.logprobs._autocast": "the arguments of torch.autocast, in its order",
    "plaudit.api.rewards.load": "a model, its medium and what it was judged by",
}
"""Functions that may return more, each with what names the parts."""


def parameters(function: Function) -> Iterator[ast.arg]:
    """Every parameter with an annotation."""
    a = function.args
    named = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs]
    yield from (arg for arg in [*named, *([a.kwarg] if a.kwarg else [])] if arg.annotation is not None)


def unlike(annotation: ast.expr) -> Iterator[list[str]]:
    """The parts of a tuple, or of one in a union, if they differ; `tuple[X, ...]` and three numbers are alike.

    The items of a collection are not looked at: a stream of (place, row) is a table, not a bundle of arguments.
    """
    if isinstance(annotation, ast.BinOp):
        yield from (parts for side in (annotation.left, annotation.right) for parts in unlike(side))
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple":
        inner = annotation.slice
        parts = [ast.unparse(part) for part in inner.elts] if isinstance(inner, ast.Tuple) else []
        if "..." not in parts and len(set(parts)) > 1:
            yield parts


def hidden_arguments(root: Path) -> list[str]:
    """Parameters that are tuples of unlike things."""
    return [
        source.at(function, f"{function.name} takes {arg.arg} as ({', '.join(parts)}): a tuple of unlike things hides "
                            "arguments; give them names in a frozen dataclass")
        for source in sources(root, "src")
        for function in functions(source.tree)
        for arg in parameters(function)
        if arg.annotation is not None
        for parts in unlike(arg.annotation)
    ]  # fmt: skip


def crowded_results(root: Path) -> list[str]:
    """Functions that return three or more unlike things without a name."""
    return [
        source.at(
            function, f"{function.name} returns ({', '.join(parts)}): give them names in a frozen dataclass"
        )
        for source in sources(root, "src")
        for function in functions(source.tree)
        if function.returns is not None
        and function.name not in PROTOCOLS
        and f"{source.module}.{function.name}" not in NAMED_ELSEWHERE
        for parts in unlike(function.returns)
        if len(parts) > PARTS_RETURNED
    ]


Maker = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def inside(function: Maker) -> Iterator[ast.AST]:
    """The nodes of a function that belong to no other function within it; those functions themselves too."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Maker):
            waiting.extend(ast.iter_child_nodes(node))


def gives_function(function: Maker) -> bool:
    """Whether a function that it makes comes back from it."""
    if isinstance(function, ast.Lambda):
        return isinstance(function.body, ast.Lambda)
    made = {node.name for node in inside(function) if isinstance(node, Function)}
    returned = [node.value for node in inside(function) if isinstance(node, ast.Return)]
    return any(
        isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in made)
        for value in returned
    )


def callbacks_of_callbacks(root: Path) -> list[str]:
    """Closures that return a closure, and callables that are said to return a callable."""
    found = []
    for source in sources(root, *(f"src/plaudit/{package}" for package in FLAT)):
        made = [node for outer in ast.walk(source.tree) if isinstance(outer, Maker) for node in inside(outer)]
        found += [
            source.at(
                node,
                "a closure returns a closure: nobody sees what is called when; make it a frozen dataclass",
            )
            for node in made
            if isinstance(node, Maker) and gives_function(node)
        ]
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Callable"):
                result = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
                if "Callable" in ast.unparse(result):
                    found.append(source.at(node, "a callback of a callback: pass a value or a protocol"))
    return found


def untyped(source: Source) -> list[str]:
    """Parameters whose annotation is Any, or Any or None."""
    return [
        source.at(function, f"{function.name} takes {arg.arg} as Any: say what it is, a protocol or `object`")
        for function in functions(source.tree)
        for arg in parameters(function)
        if arg.annotation is not None and ast.unparse(arg.annotation) in ("Any", "Any | None", "None | Any")
    ]


def any_by_package(root: Path) -> dict[str, tuple[list[str], int]]:
    """By package: its untyped parameters, and how many parameters there are."""
    found: dict[str, tuple[list[str], int]] = {}
    for source in sources(root, "src/plaudit"):
        lines, count = found.get(source.package, ([], 0))
        here = sum(1 for function in functions(source.tree) for _ in parameters(function))
        found[source.package] = [*lines, *untyped(source)], count + here
    return found


def too_untyped(root: Path) -> list[str]:
    """The untyped parameters of packages with too large a share of them."""
    found = []
    for package, (lines, count) in any_by_package(root).items():
        allowed = max(1, int(SHARE_OF_ANY * count))
        if len(lines) > allowed:
            found += [f"{package}: {len(lines)} of {count} parameters are Any, at most {allowed}", *lines]
    return found


def test_no_argument_hides_in_a_tuple() -> None:
    assert not (found := hidden_arguments(ROOT)), by_rule(*found)


def test_results_have_names() -> None:
    assert not (found := crowded_results(ROOT)), by_rule(*found)


def test_no_closure_returns_a_closure() -> None:
    assert not (found := callbacks_of_callbacks(ROOT)), by_rule(*found)


def test_parameters_have_types() -> None:
    assert not (found := too_untyped(ROOT)), by_rule(*found)


def written(root: Path, text: str, package: str = "trainers") -> Path:
    """A made-up repository with one file."""
    folder = root / "src" / "plaudit" / package
    folder.mkdir(parents=True)
    (folder / "a.py").write_text(text)
    return root


def lines_of(rule: Callable[[Path], list[str]], root: Path) -> list[int]:
    """The lines a rule complains about."""
    return [int(text.split(":")[1].split(" ")[0]) for text in rule(root)]


def test_tuples_are_noticed(tmp_path: Path) -> None:
    text = (
        "def a(x: tuple[int, str]): ...\n"
        "def b(x: None | tuple[int, str]): ...\n"
        "def c(x: tuple[float, float, float], y: tuple[int, ...], z: list[tuple[int, str]]): ...\n"
        "def d() -> tuple[int, str]: ...\n"
        "def e() -> tuple[int, str, bool]: ...\n"
        "def f() -> tuple[int, int, int]: ...\n"
        "def step() -> tuple[int, str, bool]: ...\n"
    )
    root = written(tmp_path, text)
    assert lines_of(hidden_arguments, root) == [1, 2]
    assert lines_of(crowded_results, root) == [5]


def test_closures_are_noticed(tmp_path: Path) -> None:
    text = (
        "def factory():\n    def made():\n        return 1\n    return made\n"
        "def outer():\n    def middle():\n        def inner(): ...\n        return inner\n    return middle()\n"
        "f = lambda: lambda: lambda: 1\n"
        "def a(x: Callable[[int], Callable[[int], int]]): ...\n"
        "def b(x: Callable[[Callable[[int], int]], int]): ...\n"
    )
    assert lines_of(callbacks_of_callbacks, written(tmp_path / "a", text)) == [6, 10, 11]
    assert callbacks_of_callbacks(written(tmp_path / "b", text, "web")) == []


def test_any_is_noticed(tmp_path: Path) -> None:
    root = written(tmp_path, "def f(x: Any, y: Any | None, z: dict[str, Any], *w: object): ...\n")
    assert len(too_untyped(root)) == 3 and "2 of 4" in too_untyped(root)[0]
