"""Tests mirror src: whoever changes a module finds its test without a search."""

from pathlib import Path

from tests.house.reading import ROOT, Source, by_rule, functions, sources

MIRRORED = ("maths", "algorithms", "likelihoods", "queries")
"""tests/<package>/test_<module>.py stands for src/plaudit/<package>/<module>.py."""
BY_CONTRACT = ("storage",)
"""Several modules stand behind one protocol and share its contract test: some test there reaches each."""


def without_test(root: Path) -> list[str]:
    """Modules with functions whose test is not where the mirror puts it."""
    found = []
    for source in sources(root, *(f"src/plaudit/{package}" for package in MIRRORED)):
        inside = source.path.relative_to(root / "src" / "plaudit")
        if source.path.name.startswith("_") or not any(functions(source.tree)):
            continue
        test = Path("tests") / inside.with_name(f"test_{inside.name}")
        if not (root / test).is_file():
            found.append(f"{source.where} has no test: add {test.as_posix()}")
    return found


def unreached(root: Path, package: str) -> list[str]:
    """Modules of a package that no test of that package imports, not even through another module of it."""
    modules = {source.module: source for source in sources(root, f"src/plaudit/{package}")}
    waiting = [source for source in sources(root, f"tests/{package}")]
    reached: set[str] = set()
    while waiting:
        for name in imported(waiting.pop(), set(modules)) - reached:
            reached.add(name)
            waiting.append(modules[name])
    return [
        f"{source.where} is reached by no test: import it in a test of tests/{package}"
        for module, source in modules.items()
        if module not in reached and any(functions(source.tree)) and "migrations" not in module.split(".")
    ]


def imported(source: Source, modules: set[str]) -> set[str]:
    """Which of the given modules a file imports, as a whole or an object of it."""
    if source.path.is_relative_to(source.root / "src"):
        names = {name for _, name in source.imports()}
    else:  # tests import by full names
        names = {
            *source.names.values(),
            *(name for _, name in source.imports() if name.startswith("plaudit")),
        }
    return {name for name in names if name in modules} | {
        name.rpartition(".")[0] for name in names if name.rpartition(".")[0] in modules
    }


def test_every_module_has_its_test() -> None:
    found = without_test(ROOT) + [fault for package in BY_CONTRACT for fault in unreached(ROOT, package)]
    assert not found, by_rule(*found)


def test_a_missing_test_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit" / "maths"
    folder.mkdir(parents=True)
    (tmp_path / "tests" / "maths").mkdir(parents=True)
    (tmp_path / "tests" / "maths" / "test_gae.py").touch()
    for name in ("gae.py", "kl.py", "_scan.py"):
        (folder / name).write_text("def f(): ...\n")
    (folder / "constraint.py").write_text("class Limit: ...\n")
    assert without_test(tmp_path) == ["src/plaudit/maths/kl.py has no test: add tests/maths/test_kl.py"]


def test_an_unreached_module_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit" / "storage"
    (folder / "migrations").mkdir(parents=True)
    (tmp_path / "tests" / "storage").mkdir(parents=True)
    (tmp_path / "tests" / "storage" / "test_contract.py").write_text(
        "from plaudit.storage.opening import open_store\n"
    )
    texts = {
        "opening": "from . import sql\n",
        "sql": "from plaudit.storage.tables import answers\n",
        "tables": "",
    }
    for name in ("opening", "sql", "tables", "mail", "migrations/first"):
        (folder / f"{name}.py").write_text(texts.get(name, "") + "def f(): ...\n")
    assert [text.split(" ")[0] for text in unreached(tmp_path, "storage")] == ["src/plaudit/storage/mail.py"]
