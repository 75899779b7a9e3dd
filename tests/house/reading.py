"""How the house rules read the sources: files, syntax trees and what a name stands for."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parsed(path: Path, changed: int, size: int) -> ast.Module:
    """The syntax tree of a file in its present state; many rules read the same files."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@dataclass(frozen=True)
class Source:
    """A Python file and where it stands below the root of the repository."""

    root: Path
    path: Path

    @property
    def where(self) -> str:
        """The path from the root, for messages."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def package(self) -> str:
        """The package below plaudit that holds the file; of a module directly in plaudit, its own name."""
        parts = self.path.relative_to(self.root / "src" / "plaudit").with_suffix("").parts
        return parts[0]

    @property
    def module(self) -> str:
        """The dotted name, such as plaudit.maths.gae."""
        parts = self.path.relative_to(self.root / "src").with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        status = self.path.stat()
        return parsed(self.path, status.st_mtime_ns, status.st_size)

    def at(self, node: "ast.stmt | ast.expr | int", what: str) -> str:
        """A message about a line."""
        return f"{self.where}:{node if isinstance(node, int) else node.lineno} {what}"

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for: {"np": "numpy", "choice": "random.choice"}."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.AST) -> str:
        """The full name an expression stands for, through its imports: np.random.rand is numpy.random.rand.

        The builtins stand for themselves; anything else (a method of a value) is the empty string.
        """
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before in self.names.values() or "." in before else ""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        return ""

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, full module or object name) of every import, relative ones made absolute."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level:
                    parts = self.module.split(".")
                    drop = node.level - (self.path.name == "__init__.py")
                    module = ".".join([*parts[: len(parts) - drop], *([module] if module else [])])
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Every call with the full name of what is called."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)


def sources(root: Path, *folders: str) -> list[Source]:
    """All Python files below the given folders of the root that exist, in order."""
    found = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    return [Source(root, path) for path in found if "__pycache__" not in path.parts]


def tracked(root: Path) -> list[Path]:
    """Files that git knows or would add; outside a checkout, every file."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        return [path for path in sorted(root.rglob("*")) if path.is_file() and ".venv" not in path.parts]
    return [root / name for name in listed if name and (root / name).is_file()]


def functions(node: ast.AST) -> Iterator[Function]:
    """Every function below a node, nested ones and methods too."""
    for inner in ast.walk(node):
        if isinstance(inner, Function):
            yield inner


def top_level(source: Source) -> dict[str, Function]:
    """The functions a module offers, by name."""
    return {node.name: node for node in source.tree.body if isinstance(node, Function)}


def arguments(function: Function) -> list[str]:
    """The names of all arguments in order, *args and **kwargs included."""
    a = function.args
    named = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs]
    return [arg.arg for arg in [*named, *([a.kwarg] if a.kwarg else [])]]


def classes(source: Source) -> list[ast.ClassDef]:
    """Every class of a module, nested ones too."""
    return [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]


def frozen(cls: ast.ClassDef) -> bool:
    """Whether the class is decorated with dataclass(frozen=True)."""
    for decorator in cls.decorator_list:
        if isinstance(decorator, ast.Call):
            values = {word.arg: ast.unparse(word.value) for word in decorator.keywords}
            if ast.unparse(decorator.func).split(".")[-1] == "dataclass" and values.get("frozen") == "True":
                return True
    return False


def first_paragraph(node: ast.Module | ast.ClassDef) -> str:
    """The docstring up to its first blank line, on one line; empty where there is none."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def by_rule(*paragraphs: str) -> str:
    """Messages as pytest shows them: one per line under a heading."""
    return "\n" + "\n".join(f"  - {line}" for line in paragraphs)
