"""Words that only this house understood are gone: whoever knows the field guesses a name before opening its file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.reading import ROOT, Source, by_rule, sources

PRIVATE: dict[str, str] = {
    "walk": "trajectories, rollout",
    "talk": "completions, generate",
    "speech": "GenerationConfig",
    "speaker": "Generator",
    "graded": "Rewards",
    "archive": "SegmentStore",
    "desk": "FeedbackSession",
    "shop": "TaskView",
    "office": "LabelQueue",
    "reception": "AppState",
    "door": "the address",
    "watcher": "EarlyStopping",
    "foretold": "held_out, calibration",
    "foresight": "held_out, calibration",
    "settle": "normalise",
    "lessons": "training_responses, demonstrations, what it holds",
    "teaches": "is_training",
    "pipeline": "stages, runs",
    "faces": "api",
    "tape": "replay",
    "caution": "uncertainty_penalty",
}
"""A word as part of an identifier, and what the field says instead."""
WHOLE: dict[str, str] = {
    "Mixture": "Weighted",
    "hidden_score": "gold_reward",
    "hidden_reward": "gold_reward",
    "hidden_rubric": "gold_reward",
    "hidden_mean": "gold_reward_mean",
}
"""The same for identifiers as a whole."""
FIELDS: dict[str, str] = {
    "minibatch": "minibatch_size",
    "piece": "microbatch_size",
    "drawn": "subsample",
    "mistakes": "label_noise",
    "kl_in_reward": "kl.coef",
    "caution": "uncertainty_penalty",
}
"""The same for fields of a config."""
MODULES: dict[str, str] = {
    "kinds": "config",
    "teaching": "rewards/learned",
    "watching": "early_stopping",
    "judged": "rewards, stages/reward",
    "asking": "prompts, label",
    "tape": "replay",
    "sources": "vector_env",
}
"""The same for modules."""
STILL: dict[str, set[str]] = {}
"""Where a word still stands; a line here only ever goes."""
TRANSLATE = {"src/plaudit/runs/old_names.py", "src/plaudit/runs/old_checkpoints.py"}
"""Modules whose subject is the old names."""


def words(name: str) -> set[str]:
    """The words of an identifier, in snake or in camel case."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def identifiers(source: Source) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that a module names or uses by a name."""
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.Name():
                yield node.lineno, node.id
            case ast.Attribute():
                yield node.lineno, node.attr
            case ast.arg():
                yield node.lineno, node.arg


def excused(source: Source, word: str) -> bool:
    """Whether a word is known to stand there still."""
    return any(source.where.startswith(place) and word in known for place, known in STILL.items())


def private_words(root: Path) -> list[str]:
    """Identifiers, modules and fields of configs by words of our own, each once for a file."""
    found: dict[str, None] = {}
    for source in sources(root, "src"):
        if source.where in TRANSLATE:
            continue
        for line, name, word, better in faults(source):
            if not excused(source, word):
                found.setdefault(f"{source.where}:{line} {name}: the field says {better}")
    return list(found)


def faults(source: Source) -> Iterator[tuple[int, str, str, str]]:
    """(line, name, private word, better word); a name once."""
    stem = source.path.stem
    if stem in MODULES:
        yield 1, stem, stem, MODULES[stem]
    seen: set[str] = set()
    for line, name in identifiers(source):
        if name in seen:
            continue
        seen.add(name)
        if name in WHOLE:
            yield line, name, name, WHOLE[name]
        yield from ((line, name, word, PRIVATE[word]) for word in sorted(words(name) & set(PRIVATE)))
    for cls in (node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)):
        for field in cls.body if cls.name.endswith("Config") else ():
            if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) in FIELDS:
                name = ast.unparse(field.target)
                yield field.lineno, f"{cls.name}.{name}", name, FIELDS[name]


def test_names_are_the_fields() -> None:
    assert not (found := private_words(ROOT)), by_rule(*found)


def test_private_words_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit" / "environments"
    folder.mkdir(parents=True)
    (folder / "tape.py").write_text(
        "class ReplayTape:\n    def begin_walk(self, speech): ...\n"
        "class Config:\n    drawn: float = 1.0\n    hidden: int = 2\n"
        "last_hidden_state = foretelling = drawn = sidewalk = 1\nx.caution\nhidden_score\n"
    )
    assert sorted(text.split(":", 1)[1].split(":")[0] for text in private_words(tmp_path)) == [
        "1 ReplayTape", "1 tape", "2 begin_walk", "2 speech", "4 Config.drawn", "7 caution", "8 hidden_score",
    ]  # fmt: skip
