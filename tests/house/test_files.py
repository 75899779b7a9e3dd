"""What is read, what is written down, and what never stands in the repository."""

import ast
from pathlib import Path

from tests.house.reading import ROOT, Source, by_rule, sources, tracked

UNPICKLERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("conda", "anaconda", "org"),
        ("deb", "debian", "org"),
        ("static", "crates", "io"),
        ("proxy", "golang", "org"),
    )
]
FLAG = "index" + "-url"


def unpickles(source: Source) -> list[str]:
    """Ways a module could run code out of a data file."""
    found = []
    for line, name in source.imports():
        if name.split(".")[0] in UNPICKLERS:
            found.append(
                f"{source.where}:{line} imports {name.split('.')[0]}: keep data as safetensors, npz or JSON"
            )
    for call, name in source.calls():
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name == "torch.load" and words.get("weights_only") != "True":
            found.append(
                f"{source.where}:{call.lineno} torch.load unpickles: read safetensors, or weights_only=True"
            )
        if name == "torch.save":
            found.append(f"{source.where}:{call.lineno} torch.save pickles: write safetensors")
        if name == "numpy.load" and words.get("allow_pickle", "False") != "False":
            found.append(f"{source.where}:{call.lineno} numpy.load with allow_pickle runs code: leave it out")
    return found


def unpickling(root: Path) -> list[str]:
    """Every such place in src."""
    return [fault for source in sources(root, "src") for fault in unpickles(source)]


def registries(root: Path) -> list[str]:
    """Lines that name the host of a package registry, or tell an installer to use one."""
    found = []
    for path in tracked(root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            linked = "//" in line and any(host in line for host in HOSTS)
            if linked or f"-{FLAG}" in line:
                found.append(
                    f"{path.relative_to(root).as_posix()}:{number} names a package registry: name the "
                    "package and "
                    "leave the place to the installer's own settings"
                )
    return found


def without_docstring(root: Path) -> list[str]:
    """Modules that do not say what they are, and package folders without an __init__.py."""
    found = [
        f"{source.where}:1 say in one line what this module is"
        for source in sources(root, "src", "benchmarks", "examples")
        if not ast.get_docstring(source.tree)
    ]
    for folder in sorted({source.path.parent for source in sources(root, "src/plaudit")}):
        if not (folder / "__init__.py").is_file():
            where = folder.relative_to(root).as_posix()
            found.append(f"{where} has no __init__.py: add one whose docstring says what the folder holds")
    return found


def test_nothing_is_unpickled() -> None:
    assert not (found := unpickling(ROOT)), by_rule(*found)


def test_no_registry_is_named() -> None:
    assert not (found := registries(ROOT)), by_rule(*found)


def test_every_module_says_what_it_is() -> None:
    assert not (found := without_docstring(ROOT)), by_rule(*found)


def test_unpickling_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit"
    folder.mkdir(parents=True)
    (folder / "bad.py").write_text(
        "import pickle\nimport torch\nimport numpy as np\nfrom torch import load\ntorch.save(1, 'a')\n"
        "torch.load('a')\nload('a', weights_only=False)\nnp.load('a', allow_pickle=True)\n"
        "np.load('a', allow_pickle=False)\nload('a', weights_only=True)\nnp.load('a')\n"
    )
    lines = sorted(int(text.split(":")[1].split(" ")[0]) for text in unpickling(tmp_path))
    assert lines == [1, 5, 6, 7, 8]


def test_registries_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"torch\npip install -i https://{HOSTS[0]}/simple x\n--{FLAG} y\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\x00")
    assert [text.split(" ")[0] for text in registries(tmp_path)] == ["a.txt:2", "a.txt:3"]


def test_missing_docstrings_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit" / "maths"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text('"""The package."""\n')
    (folder / "gae.py").write_text("x = 1\n")
    assert [text.split(" ")[0] for text in without_docstring(tmp_path)] == [
        "src/plaudit/maths/gae.py:1",
        "src/plaudit/maths",
    ]
