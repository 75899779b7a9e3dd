"""The rules about algorithms and likelihoods notice a bad file and leave a good one alone."""

import re
from pathlib import Path

from tests.house.reading import Source
from tests.house.test_algorithms import (
    algorithm_faults,
    likelihood_faults,
    mutable_configs,
    signature_faults,
    undocumented,
)

GOOD = '''"""Proximal policy optimisation (Schulman et al. 2017,
arXiv:1707.06347, eq. 7).

More."""

@dataclass(frozen=True)
class Config:
    """Settings."""

    clip: float = 0.2
    """Range."""

def needs(config): ...

def advantages(episodes, config): ...

def loss(new, episodes, advantages, config): ...
'''


def repository(root: Path, text: str) -> Path:
    """A made-up repository with one algorithm and one likelihood of the given text, both tested."""
    for where in ("algorithms/on_policy/test_ppo.py", "likelihoods/test_ties.py"):
        (root / "tests" / where).parent.mkdir(parents=True)
        (root / "tests" / where).touch()
    for where in ("algorithms/on_policy/ppo.py", "likelihoods/ties.py"):
        path = root / "src" / "plaudit" / where
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.with_name("__init__.py").write_text('"""A folder."""\n')
        path.with_name("_shared.py").touch()
    return root


def test_a_good_algorithm_passes(tmp_path: Path) -> None:
    assert algorithm_faults(repository(tmp_path, GOOD)) == []


def test_a_good_likelihood_passes(tmp_path: Path) -> None:
    text = GOOD.replace("loss(new, episodes, advantages, config)", "loss(rewards, judgements, config)")
    assert likelihood_faults(repository(tmp_path, text)) == []


def only(text: str, root: Path) -> str:
    """The one fault found in an algorithm of this text."""
    (fault,) = algorithm_faults(repository(root, text))
    return fault


def test_paper_and_equation(tmp_path: Path) -> None:
    no_paper = GOOD.replace("2017,\narXiv:1707.06347, ", "")
    assert "the paper" in only(no_paper, tmp_path / "a")
    assert "which equations" in only(GOOD.replace(", eq. 7", ""), tmp_path / "b")
    below = GOOD.replace(", eq. 7", "").replace("More.", "eq. 7")
    assert "which equations" in only(below, tmp_path / "c")


def test_config(tmp_path: Path) -> None:
    field = '    clip: float = 0.2\n    """Range."""\n'
    assert "frozen=True" in only(GOOD.replace("(frozen=True)", ""), tmp_path / "a")
    assert "no Config" in only(GOOD.replace("class Config", "class Settings"), tmp_path / "b")
    many = "".join(field.replace("clip", f"clip{i}") for i in range(16))
    assert "16 fields" in only(GOOD.replace(field, many), tmp_path / "c")
    switches = "".join(field.replace("clip: float = 0.2", f"on{i}: bool = True") for i in range(4))
    assert "4 switches" in only(GOOD.replace(field, switches), tmp_path / "d")
    assert "say what clip is" in only(GOOD.replace('    """Range."""\n', ""), tmp_path / "e")


def test_functions(tmp_path: Path) -> None:
    assert "loss(new, episodes" in only(
        GOOD.replace("loss(new, episodes", "loss(scores, episodes"), tmp_path / "a"
    )
    assert "no function advantages" in only(GOOD.replace("def advantages", "def _advantages"), tmp_path / "b")
    assert likelihood_faults(tmp_path / "a")[0].endswith("loss(rewards, judgements, config)")


def test_each_kind_has_its_functions(tmp_path: Path) -> None:
    def missing(folder: str, text: str) -> list[str]:
        (tmp_path / "a.py").write_text(text)
        found = signature_faults(Source(tmp_path, tmp_path / "a.py"), folder)
        return [re.sub(r".*(offers no function|the arguments are) (\w+).*", r"\2", fault) for fault in found]

    assert "no function needs" in only(GOOD.replace("def needs(config): ...", ""), tmp_path / "b")
    assert missing("preference", "def loss(new, pairs, config): ...\n") == ["needs"]
    assert missing("imitation", "def loss(new, demonstrations, config): ...\n") == []
    assert missing("imitation", "def loss(expert, policy, config): ...\n") == ["reward"]
    assert missing("evolution", "def ask(centre, config): ...\n") == ["ask", "tell"]


def test_alone_tested_and_documented(tmp_path: Path) -> None:
    absolute = GOOD.replace("@dataclass", "from plaudit.algorithms.on_policy import a2c\n@dataclass")
    assert "imports no other" in only(absolute, tmp_path / "a")
    relative = GOOD.replace("@dataclass", "from . import a2c\n@dataclass")
    assert "imports no other" in only(relative, tmp_path / "b")
    (tmp_path / "b" / "docs").mkdir()
    (tmp_path / "b" / "docs" / "algorithms.md").write_text("only a2c and ppos")
    assert "does not speak of ppo" in undocumented(tmp_path / "b")[0]
    (tmp_path / "b" / "docs" / "algorithms.md").write_text("`ppo`")
    assert undocumented(tmp_path / "b") == []
    (tmp_path / "b" / "tests/algorithms/on_policy/test_ppo.py").unlink()
    assert "add tests/algorithms/on_policy/test_ppo.py" in algorithm_faults(tmp_path / "b")[-1]


def test_frozen(tmp_path: Path) -> None:
    root = repository(tmp_path, GOOD + "\n@dataclass\nclass NetConfig:\n    width: int = 1\n")
    assert len(mutable_configs(root)) == 2
    assert "NetConfig can change" in mutable_configs(root)[0]
