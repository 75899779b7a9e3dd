"""The shape of an algorithm file and of a likelihood file: paper, Config, functions, test, page."""

import ast
import re
from pathlib import Path

from tests.house.reading import (
    ROOT,
    Source,
    arguments,
    by_rule,
    classes,
    first_paragraph,
    frozen,
    sources,
    top_level,
)

SIGNATURES = {
    "on_policy": {
        "needs": ["config"],
        "advantages": ["episodes", "config"],
        "loss": ["new", "episodes", "advantages", "config"],
    },
    "preference": {"needs": ["config"], "loss": ["new", "pairs", "config"]},
    "imitation": {"loss": None},
    "evolution": {
        "ask": ["centre", "config", "generator"],
        "tell": ["centre", "tried", "fitness", "config"],
    },
    "likelihoods": {"loss": ["rewards", "judgements", "config"]},
}
"""What a module offers, by the folder that holds it; None: any arguments."""
ADVERSARIAL = {"loss": ["expert", "policy", "config"], "reward": ["logits", "config"]}
"""What an imitation algorithm offers that looks at the policy's own behaviour as well."""

PAPER = re.compile(r"arXiv:\s?\d{4}\.\d{4,5}|doi:?\s?10\.\d{4,}/\S+|\b(18|19|20)\d\d\b")
PLACE = re.compile(r"\b(eqs?|algs?)\.|\balgorithm \d", re.IGNORECASE)
MOST_FIELDS, MOST_SWITCHES = 15, 3


def algorithms(root: Path) -> list[Source]:
    """Every algorithm: a module in a folder of algorithms whose name does not start with an underscore."""
    found = sources(root, "src/plaudit/algorithms")
    return [s for s in found if len(s.module.split(".")) == 4 and not s.path.name.startswith("_")]


def likelihoods(root: Path) -> list[Source]:
    """Every likelihood module."""
    return [s for s in sources(root, "src/plaudit/likelihoods") if not s.path.name.startswith("_")]


def uncited(source: Source, equations: bool) -> list[str]:
    """The first sentence of the module names the paper, and of an algorithm the equations."""
    first, found = first_paragraph(source.tree), []
    if not PAPER.search(first):
        found.append(
            f"{source.where}:1 open the docstring with the paper: authors, year and arXiv:NNNN.NNNNN or doi"
        )
    if equations and not PLACE.search(first):
        found.append(
            f"{source.where}:1 say in the first sentence which equations ('eq. 7') or 'Alg. 1' it computes"
        )
    return found


def config_faults(source: Source) -> list[str]:
    """A module has one frozen Config, small, and every field says what it is."""
    config = next(
        (cls for cls in source.tree.body if isinstance(cls, ast.ClassDef) and cls.name == "Config"), None
    )
    if config is None:
        return [f"{source.where} has no Config: add a frozen dataclass of the settings of the mathematics"]
    found = []
    if not frozen(config):
        found.append(f"{source.where}:{config.lineno} decorate Config with @dataclass(frozen=True)")
    fields = [node for node in config.body if isinstance(node, ast.AnnAssign)]
    switches = [field for field in fields if ast.unparse(field.annotation) == "bool"]
    if len(fields) > MOST_FIELDS:
        found.append(
            f"{source.where}:{config.lineno} Config has {len(fields)} fields, at most {MOST_FIELDS}: "
            "settings of the "
            "optimisation belong to the trainer, and settings that go together are one value"
        )
    if len(switches) > MOST_SWITCHES:
        found.append(
            f"{source.where}:{config.lineno} Config has {len(switches)} switches, at most {MOST_SWITCHES}: "
            "two "
            "behaviours are two functions or a value of a small union"
        )
    for field in fields:
        after = config.body[config.body.index(field) + 1 :][:1]
        if not (after and isinstance(after[0], ast.Expr) and isinstance(after[0].value, ast.Constant)):
            found.append(
                f"{source.where}:{field.lineno} say what {ast.unparse(field.target)} is in a string below "
                "it: it "
                "becomes the help of the command line"
            )
    return found


def signature_faults(source: Source, folder: str) -> list[str]:
    """The functions that its folder promises, with the arguments every caller relies on."""
    offered, found = top_level(source), []
    wanted: dict[str, list[str] | None] = dict(SIGNATURES.get(folder, {}))
    if folder == "imitation" and "loss" in offered and "policy" in arguments(offered["loss"]):
        wanted |= ADVERSARIAL
    for name, expected in wanted.items():
        if name not in offered:
            found.append(f"{source.where} offers no function {name}, which every module of {folder} has")
        elif expected and arguments(offered[name]) != expected:
            found.append(
                f"{source.where}:{offered[name].lineno} the arguments are {name}({', '.join(expected)})"
            )
    return found


def not_alone(source: Source) -> list[str]:
    """An algorithm imports no other."""
    return [
        f"{source.where}:{line} imports {name}: an algorithm imports no other; what two share is a formula "
        "in maths"
        for line, name in source.imports()
        if name.startswith("plaudit.algorithms")
    ]


def untested(source: Source, test: str) -> list[str]:
    """A module has its test where people look for it."""
    if (source.root / test).is_file():
        return []
    return [f"{source.where} has no test: add {test} with the formula written out in for-loops"]


def undocumented(root: Path) -> list[str]:
    """docs/algorithms.md speaks of every algorithm (once there is one)."""
    page = root / "docs" / "algorithms.md"
    if not page.is_file():
        return []
    text = page.read_text(encoding="utf-8")
    return [
        f"docs/algorithms.md does not speak of {source.path.stem}: add it"
        for source in algorithms(root)
        if not re.search(rf"\b{re.escape(source.path.stem)}\b", text)
    ]


def algorithm_faults(root: Path) -> list[str]:
    """Everything that is not as it should be about the algorithms."""
    found = []
    for source in algorithms(root):
        folder, name = source.path.parent.name, source.path.stem
        if folder not in SIGNATURES:
            found.append(f"{source.where}: say in {Path(__file__).name} what a module of {folder} offers")
        found += uncited(source, equations=True) + config_faults(source) + signature_faults(source, folder)
        found += not_alone(source) + untested(source, f"tests/algorithms/{folder}/test_{name}.py")
    return found


def likelihood_faults(root: Path) -> list[str]:
    """Everything that is not as it should be about the likelihoods."""
    found = []
    for source in likelihoods(root):
        found += (
            uncited(source, equations=False) + config_faults(source) + signature_faults(source, "likelihoods")
        )
        found += untested(source, f"tests/likelihoods/test_{source.path.stem}.py")
    return found


def mutable_configs(root: Path) -> list[str]:
    """Every class named Config or *Config is a frozen dataclass."""
    return [
        f"{source.where}:{cls.lineno} {cls.name} can change: decorate it with @dataclass(frozen=True)"
        for source in sources(root, "src")
        for cls in classes(source)
        if cls.name.endswith("Config") and not frozen(cls)
    ]


def test_algorithms_have_their_shape() -> None:
    assert not (found := algorithm_faults(ROOT)), by_rule(*found)


def test_algorithms_are_documented() -> None:
    assert not (found := undocumented(ROOT)), by_rule(*found)


def test_likelihoods_have_their_shape() -> None:
    assert not (found := likelihood_faults(ROOT)), by_rule(*found)


def test_configs_are_frozen() -> None:
    assert not (found := mutable_configs(ROOT)), by_rule(*found)
