"""One library per job, each in one layer; argv, logging and printing at the rim only."""

import re
import sys
import tomllib
from pathlib import Path

from tests.house.reading import ROOT, Source, by_rule, sources

HOMES = {
    "gymnasium": ("environments", "api"),
    "minari": ("readers",),
    "envpool": ("environments",),
    "transformers": ("models",),
    "tokenizers": ("models",),
    "accelerate": ("models",),
    "peft": ("models",),
    "sqlalchemy": ("storage",),
    "alembic": ("storage",),
    "psycopg": ("storage",),
    "sqlite3": ("storage",),
    "msgspec": ("declared", "runs.settings"),
    "argparse": ("cli",),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web", "cli"),
    "jinja2": ("web", "report"),
    "pydantic": ("web",),
    "idna": ("web",),
    "markdown_it": ("web",),
    "mdit_py_plugins": ("web",),
    "pygments": ("web",),
    "latex2mathml": ("web",),
    "matplotlib": ("report",),
    "torch.utils.tensorboard": ("trackers",),
    "rich": ("cli", "report", "trackers", "api"),
    "stable_baselines3": ("api",),
}
"""Where each library may be imported: packages of plaudit, or modules whose name starts so."""

PURE = ("batches", "maths", "algorithms", "likelihoods", "feedback")
PURE_MAY_IMPORT = {"torch", "jaxtyping", "plaudit"} | set(sys.stdlib_module_names)
RIM = (
    "stages",
    "runs",
    "report",
    "web",
    "trackers",
    "api",
    "cli",
    "__main__",
    "envs",
    "agents",
    "ppo",
)
"""Only here may anything be printed or logged."""


def homeless(root: Path) -> list[str]:
    """Imports of a library outside its home."""
    found = []
    for source in sources(root, "src"):
        for line, name in source.imports():
            for library, homes in HOMES.items():
                if f"{name}.".startswith(f"{library}.") and not any(at_home(source, home) for home in homes):
                    found.append(
                        f"{source.where}:{line} imports {library}, whose home is {' or '.join(homes)}: "
                        "ask that layer for what is needed, as a value or a function"
                    )
    return found


def at_home(source: Source, home: str) -> bool:
    """Whether a module stands in a package, or its name starts with the given one."""
    return f"{source.module}.".startswith(f"plaudit.{home}.") or (
        "." in home and source.module.startswith(f"plaudit.{home}")
    )


def impure(root: Path) -> list[str]:
    """Imports of anything but torch, jaxtyping and the standard library below the models."""
    return [
        f"{source.where}:{line} imports {name}: {source.package} knows torch, jaxtyping and the standard "
        "library "
        "only; convert where the tensors are made"
        for source in sources(root, "src")
        if source.package in PURE
        for line, name in source.imports()
        if name.split(".")[0] not in PURE_MAY_IMPORT
    ]


def argv(root: Path) -> list[str]:
    """Readers of the command line outside the cli."""
    found = []
    for source in sources(root, "src"):
        if source.package in ("cli", "__main__"):
            continue
        text = source.path.read_text(encoding="utf-8")
        if "sys.argv" in text or any(name == "sys.argv" for _, name in source.imports()):
            found.append(f"{source.where} reads sys.argv: only the cli does; take the value as an argument")
    return found


def loud(root: Path) -> list[str]:
    """Printing and logging below the runs."""
    found = []
    for source in sources(root, "src"):
        if source.package in RIM:
            continue
        mend = "below the runs nothing is printed or logged; return a metric or raise an error"
        lines = [line for line, name in source.imports() if name.split(".")[0] == "logging"]
        lines += [call.lineno for call, name in source.calls() if name == "print"]
        found += [f"{source.where}:{line} {mend}" for line in lines]
    return found


IMPORTED_AS = {
    "pyyaml": "yaml",
    "pillow": "PIL",
    "markdown-it-py": "markdown_it",
    "mdit-py-plugins": "mdit_py_plugins",
}
"""Libraries whose package is called otherwise."""
BROUGHT_ALONG = {"psycopg": "SQLAlchemy's driver of Postgres, named in the address of a store"}
"""Libraries of an extra that others import for us, each with who does."""


def unused_libraries(root: Path) -> list[str]:
    """Libraries that pyproject.toml wants for the package, and that no module of it imports."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: libraries for name, libraries in project["optional-dependencies"].items() if name != "dev"
    }
    used = {name.split(".")[0] for source in sources(root, "src") for _, name in source.imports()}
    found = []
    for extra, libraries in ({"(always)": project["dependencies"]} | extras).items():
        for library in libraries:
            name = re.split(r"[\[<>=!~; ]", library)[0]
            module = IMPORTED_AS.get(name.lower(), name)
            if module not in used | {"plaudit", *BROUGHT_ALONG}:
                found.append(f"pyproject.toml: nothing imports {name} of {extra}; take it out of the extra")
    return found


def test_every_extra_is_imported() -> None:
    assert not (found := unused_libraries(ROOT)), by_rule(*found)


def test_an_unused_extra_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "import torch.nn\nfrom PIL import Image\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch>=2"]\n[project.optional-dependencies]\n'
        'a = ["pillow>=1", "ray[default]>=2"]\nb = ["plaudit[a]", "psycopg[binary]"]\ndev = ["ruff"]\n'
    )
    assert ["ray of a" in text for text in unused_libraries(tmp_path)] == [True]


def test_libraries_stay_at_home() -> None:
    assert not (found := homeless(ROOT)), by_rule(*found)


def test_formulas_are_pure() -> None:
    assert not (found := impure(ROOT)), by_rule(*found)


def test_only_the_cli_reads_argv() -> None:
    assert not (found := argv(ROOT)), by_rule(*found)


def test_nothing_is_printed_below_the_runs() -> None:
    assert not (found := loud(ROOT)), by_rule(*found)


def write(root: Path, where: str, text: str) -> None:
    """Add a file to a small made-up repository."""
    path = root / "src" / "plaudit" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_rules_notice(tmp_path: Path) -> None:
    write(tmp_path, "maths/gae.py", "import numpy as np\nimport logging\nfrom ..batches import rows\n")
    write(tmp_path, "models/net.py", "def f():\n    from gymnasium import spaces\n    print(1)\n")
    write(tmp_path, "stages/optimise.py", "import matplotlib.pyplot as plt\nimport sys\nprint(sys.argv)\n")
    write(tmp_path, "report/curves.py", "import matplotlib\n")
    write(tmp_path, "environments/control/collect.py", "import gymnasium.vector\n")
    write(tmp_path, "queries/random.py", "import numpy\nimport raylib\n")
    assert [text.split(" imports")[0] for text in homeless(tmp_path)] == [
        "src/plaudit/models/net.py:2",
        "src/plaudit/stages/optimise.py:1",
    ]
    assert [text.split(":")[0] for text in impure(tmp_path)] == ["src/plaudit/maths/gae.py"]
    assert [text.split(" ")[0] for text in argv(tmp_path)] == ["src/plaudit/stages/optimise.py"]
    assert [text.split(" ")[0] for text in loud(tmp_path)] == [
        "src/plaudit/maths/gae.py:2",
        "src/plaudit/models/net.py:3",
    ]
