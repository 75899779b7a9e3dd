"""A world of short words: forty prompts, a model of two small layers that ends its answers, and what is truly good."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.models.language import loading, vocabulary
from plaudit.models.language.loading import NewModel
from plaudit.runs import config as configs
from plaudit.runs import settings
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainText

NEW = {"layers": 2, "width": 16, "heads": 2, "context": 32, "vocabulary": 270}
HIDDEN = "def hidden(texts):\n    return [text.count('a') - 0.5 * text.count('b') for text in texts]\n"
FUNCTIONS = """
def trl(prompts, completions, **columns):
    return [float(len(text)) for text in completions]

def trlx(samples, prompts, outputs, **metadata):
    return [float(len(sample) - len(prompt)) for sample, prompt in zip(samples, prompts)]

def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    return float(solution_str.count(ground_truth))

def texts(texts):
    return [text.count("a") / 2 for text in texts]
"""


@dataclass(frozen=True)
class World:
    """Files that a run begins with."""

    lm: Path
    prompts: Path
    hidden: str
    functions: Path

    def mapping(self, **changes: Any) -> dict[str, Any]:
        """A run of four updates in which simulated people teach the reward."""
        return {
            "start": str(self.lm),
            "environment": {"prompts": str(self.prompts), "max_new_tokens": 6, "batch_size": 8},
            "settings": {"kl": {"coef": 0.05}},
            "trainer": {"epochs": 2, "minibatch_size": 4, "learning_rate": 3e-3},
            "updates": 4,
            "gold_reward": self.hidden,
            "reward": {"fit": {"first_steps": 3, "steps": 2, "minibatch_size": 4, "learning_rate": 1e-3}},
            "feedback": {"labels": 14, "first": 8, "rounds": 2},
            "evaluate_every": 2,
            "evaluate_count": 4,
            "checkpoint_every": 2,
            "seed": 3,
        } | changes

    def config(self, **changes: Any) -> Any:
        """The same as a config; a change of a mapping changes the fields it names."""
        mapping = self.mapping()
        for name, value in changes.items():
            both = isinstance(value, dict) and isinstance(mapping.get(name), dict)
            mapping[name] = mapping[name] | value if both else value
        return configs.from_mapping(mapping, "test")


def quiet(row: dict[str, Any]) -> None:
    pass


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_world(folder: Path) -> World:
    """Pretrained on answers of one to five letters, so that most answers end before the cap."""
    words = [one + other for one in "klmnopqr" for other in "aeiou"]
    prompts = write_rows(
        folder / "prompts.jsonl", [{"prompt": f"say {word}:", "ground_truth": word[1]} for word in words]
    )
    answers = [" " + "abc"[i % 3] * (1 + i % 5) for i in range(len(words))]
    demonstrations = write_rows(
        folder / "demonstrations.jsonl",
        [
            {"prompt": f"say {word}:", "completion": answer}
            for word, answer in zip(words, answers, strict=True)
        ],
    )
    (folder / "hidden.py").write_text(HIDDEN)
    (folder / "functions.py").write_text(FUNCTIONS)
    config = settings.build(
        PretrainText, {"new": NEW, "trainer": {"learning_rate": 0.02, "epochs": 8, "minibatch_size": 8}}, ""
    )
    pretrain(config, str(demonstrations), folder / "lm", quiet)
    return World(folder / "lm", prompts, f"{folder / 'hidden.py'}:hidden", folder / "functions.py")


def made_of(text: str, folder: Path, **new: Any) -> Path:
    """An untrained model whose tokenizer knows this text."""
    made = vocabulary.Vocabulary(vocabulary.train_bpe([text * 40], 270), "test")
    sizes = NewModel(**NEW | {"layers": 1} | new)
    loading.save(folder, loading.make(sizes, made, torch.Generator().manual_seed(0)), made)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread for all tests of a folder whose conftest imports this."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tiny model that was pretrained once."""
    return make_world(tmp_path_factory.mktemp("world"))
