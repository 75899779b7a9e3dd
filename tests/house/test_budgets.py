"""Size has a budget, and no folder or module is called after nothing. Raising a budget is its own commit."""

import ast
from pathlib import Path

from tests.house.reading import ROOT, Function, Source, arguments, by_rule, classes, functions, sources

FILE_LINES, FUNCTION_LINES, METHODS, ARGUMENTS = 400, 60, 12, 6
PRODUCT = ("src", "benchmarks", "examples")
CODE = (*PRODUCT, "tests")
FORBIDDEN = {"util", "utils", "common", "core", "base", "helper", "helpers", "misc", "manager", "managers"}


def long_files(root: Path) -> list[str]:
    """Python files and hand-written scripts of pages over the budget; tests may be longer."""
    paths = [source.path for source in sources(root, *PRODUCT)] + sorted((root / "src").rglob("*.js"))
    found = []
    for path in paths:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            found.append(
                f"{path.relative_to(root).as_posix()} has {lines} lines, at most {FILE_LINES}: give one of "
                "its "
                "subjects a file of its own"
            )
    return found


def long_functions(root: Path) -> list[str]:
    """Functions over the budget, docstrings included."""
    found = []
    for source in sources(root, *CODE):
        for function in functions(source.tree):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                found.append(
                    f"{source.where}:{function.lineno} {function.name} has {lines} lines, at most "
                    f"{FUNCTION_LINES}: "
                    "name its steps and make them functions"
                )
    return found


def wide_classes(root: Path) -> list[str]:
    """Classes with too many methods; a property counts once, double-underscore methods do not count."""
    found = []
    for source in sources(root, *CODE):
        for cls in classes(source):
            names = {node.name for node in cls.body if isinstance(node, Function)}
            methods = {name for name in names if not (name.startswith("__") and name.endswith("__"))}
            if len(methods) > METHODS:
                found.append(
                    f"{source.where}:{cls.lineno} {cls.name} has {len(methods)} methods, at most "
                    f"{METHODS}: what does "
                    "not change state is a function"
                )
    return found


def greedy_functions(root: Path) -> list[str]:
    """Functions of src that take too many arguments; self, and how a config is made, do not count."""
    return [
        f"{source.where}:{function.lineno} {function.name} takes {count} arguments, at most {ARGUMENTS}: "
        "what travels "
        "together is one frozen value"
        for source in sources(root, *PRODUCT)
        for function, owner in owned_functions(source)
        if (count := counted(function, owner)) > ARGUMENTS
    ]


def owned_functions(
    source: Source,
) -> list[tuple[Function, ast.ClassDef | None]]:
    """Every function with the class it is a method of."""
    owners = {id(node): cls for cls in classes(source) for node in cls.body}
    return [(function, owners.get(id(function))) for function in functions(source.tree)]


def counted(function: Function, owner: ast.ClassDef | None) -> int:
    """How many arguments count against the budget."""
    if owner is None:
        return len(arguments(function))
    if owner.name.endswith("Config") and function.name == "__init__":
        return 0
    static = any(isinstance(node, ast.Name) and node.id == "staticmethod" for node in function.decorator_list)
    return len(arguments(function)) - (not static)


def empty_names(root: Path) -> list[str]:
    """Modules and folders whose name says nothing."""
    found = []
    for source in sources(root, *CODE):
        for part in source.path.relative_to(root).with_suffix("").parts:
            words = FORBIDDEN & set(part.lower().split("_"))
            if words:
                found.append(
                    f"{source.where}: '{words.pop()}' says nothing; call it after what it holds, as the "
                    "literature does"
                )
    return found


def test_files_are_short() -> None:
    assert not (found := long_files(ROOT)), by_rule(*found)


def test_functions_are_short() -> None:
    assert not (found := long_functions(ROOT)), by_rule(*found)


def test_classes_are_narrow() -> None:
    assert not (found := wide_classes(ROOT)), by_rule(*found)


def test_functions_take_few_arguments() -> None:
    assert not (found := greedy_functions(ROOT)), by_rule(*found)


def test_names_say_something() -> None:
    assert not (found := empty_names(ROOT)), by_rule(*found)


def write(root: Path, where: str, text: str) -> None:
    """Add a file to a made-up repository."""
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).write_text(text)


def test_budgets_notice_what_is_over_and_only_that(tmp_path: Path) -> None:
    write(tmp_path, "src/plaudit/a.py", "x = 1\n" * 401)
    write(tmp_path, "src/plaudit/b.py", "x = 1\n" * 400)
    write(tmp_path, "src/plaudit/web/page.js", "1;\n" * 401)
    assert [text.split(" ")[0] for text in long_files(tmp_path)] == [
        "src/plaudit/a.py",
        "src/plaudit/web/page.js",
    ]
    body = "    x = 1\n"
    write(tmp_path, "src/plaudit/c.py", f"def long():\n{body * 60}def short():\n{body * 59}")
    assert ["c.py:1 long has 61" in text for text in long_functions(tmp_path)] == [True]
    methods = "".join(f"    def f{i}(self): ...\n" for i in range(12)) + "    def __len__(self): ...\n"
    write(
        tmp_path, "src/plaudit/d.py", f"class Fits:\n{methods}class Wide:\n{methods}    def _g(self): ...\n"
    )
    assert ["Wide has 13 methods" in text for text in wide_classes(tmp_path)] == [True]
    write(
        tmp_path,
        "src/plaudit/e.py",
        "class A:\n    def fits(self, a, b, c, d, e, f): ...\n    def wide(self, a, b, c, d, e, *, f, g): "
        "...\n"
        "class AConfig:\n    def __init__(self, a, b, c, d, e, f, g): ...\ndef free(a, b, c, d, e, f, "
        "**g): ...\n",
    )
    assert [text.split(" ")[1] for text in greedy_functions(tmp_path)] == ["free", "wide"]


def test_empty_names_are_noticed(tmp_path: Path) -> None:
    for where in ("text_utils.py", "core/gae.py", "RunManager.py", "based.py", "run_manager.py"):
        write(tmp_path, f"src/plaudit/{where}", "")
    assert [text.split(":")[0] for text in empty_names(tmp_path)] == [
        "src/plaudit/core/gae.py",
        "src/plaudit/run_manager.py",
        "src/plaudit/text_utils.py",
    ]
