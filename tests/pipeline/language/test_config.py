"""Configs of language runs: every mistake is one sentence that names the field."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.errors import PlauditError
from plaudit.pipeline import kinds
from plaudit.pipeline.language.config import RunConfig, from_mapping, settled
from plaudit.runs import settings

ALONE: dict[str, Any] = {
    "start": "lm", "language": {}, "reward": {"weights": {"mine": 1}, "functions": {"mine": "f.py:g"}}
}  # fmt: skip
PEOPLE: dict[str, Any] = {"start": "lm", "language": {}, "hidden": "rubric", "feedback": {"labels": 500}}


def message(mapping: dict[str, Any]) -> str:
    with pytest.raises(PlauditError) as caught:
        kinds.from_mapping(mapping, "run.yaml")
    said = str(caught.value)
    assert said.startswith("run.yaml: ") and "\n" not in said
    return said.removeprefix("run.yaml: ")


def test_the_defaults_make_sense() -> None:
    config = from_mapping(PEOPLE, "here")
    assert config.settings.discount == 1.0 and config.language.prompts == "service"
    assert from_mapping(ALONE, "here").reward.weights == {"mine": 1.0}
    given = from_mapping(ALONE | {"settings": {"discount": 0.9}}, "here")
    assert given.settings.discount == 0.9


def test_there_and_back(tmp_path: Path) -> None:
    """What a run folder keeps reads as the same config, each value with its kind."""
    mapping = PEOPLE | {
        "language": {"cap": {"kind": "penalty", "amount": 2}, "stop": ["x"]},
        "policy": {"lora": {"rank": 4}, "shaping": {"temperature": 0.7}},
        "settings": {"kl_in_reward": 0.1, "advantage": {"kind": "gae", "lam": 0.9}},
        "feedback": {"labels": 500, "people": [{"mistake": 0.1}, {"equal": 0.2}]},
    }  # fmt: skip
    config = from_mapping(mapping, "here")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings.dump(config), sort_keys=False))
    assert kinds.load(file) == config
    assert kinds.kind_of(config) == "language" and kinds.budget(config) == (50, "update")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reward": {"weights": {"lerned": 1}}}, "reward.weights: 'lerned' is neither `learned` nor one of reward.functions"),
        ({"reward": {"weights": {"learned": 0.0}}}, "reward.weights: all are 0, so nothing is wanted"),
        ({"reward": {"weights": {}}}, "reward.weights: all are 0, so nothing is wanted"),
        ({"reward": {}}, "reward.weights: 'learned' has a weight but nothing teaches it; set feedback.labels or reward.start"),
        ({"reward": {"weights": {"mine": 1}, "functions": {"mine": "f.py", "learned": "f.py"}}},
         "reward.functions: `learned` is the name of the learned reward; give the function another name"),
        ({"reward": {"weights": {"mine": 1}, "functions": {"mine": "f.py"}, "start": "rm"}},
         "reward.start: a reward model is given but reward.weights does not name `learned`; give it a weight"),
        ({"reward": {"time_limit": 0}}, "reward.time_limit: must be at least 0.001, not 0"),
        ({"feedback": {"labels": 500}}, "feedback.labels: people are asked but reward.weights gives 'learned' no weight"),
        ({"watch": {"every": 1}}, "hidden: simulated people need something to judge by; give `rubric` or a function"),
        ({"watch": {"stop": True}}, "watch.stop: there are no checks to stop by; set watch.every"),
        ({"watch": {"judgements": 1}}, "watch.judgements: must be at least 2, not 1"),
        ({"hidden": "rubric", "language": {"prompts": "p.jsonl"}}, "hidden: the rubric judges service dialogues alone"),
        ({"language": {"split": "train"}}, "language.prompts: service dialogues have no splits"),
        ({"language": {"evaluate_on": "p.jsonl"}}, "language.prompts: service dialogues have no splits"),
        ({"language": {"prompts": "p.jsonl", "evaluate_on": "p.jsonl"}}, "language.evaluate_on: these prompts are learned from as well"),
        ({"language": {"prompts": "p.jsonl", "evaluate_split": "test"}}, "language.split: the rows of 'test' would be learned from and evaluated on"),
        ({"language": {"prompts": "p.jsonl", "evaluate_split": "a", "split": "a"}}, "language.split: the rows of 'a' would be learned"),
        ({"language": {"batch": 4, "each": 5}}, "language.each: 5 answers to each prompt are more than the 4 of an update"),
        ({"language": {"answer_tokens": 0}}, "language.answer_tokens: must be at least 1, not 0"),
        ({"language": {"held_out": 0.95}}, "language.held_out: must be between 0.01 and 0.9, not 0.95"),
        ({"language": {"too_long": "drop"}}, "language.too_long: 'drop' is not one of refuse, leave out, cut"),
        ({"language": {"cap": "stop"}}, "language.cap: 'stop' is not one of bootstrap, penalty, score"),
        ({"language": {"prompt": "p.jsonl"}}, "language.prompt: unknown field; did you mean 'prompts'?"),
        ({"policy": {"critic": "none"}}, "policy.critic: this estimate of advantages needs a critic"),
        ({"policy": {"rows": 0}}, "policy.rows: must be at least 1, not 0"),
        ({"policy": {"shaping": {"temprature": 1}}}, "policy.shaping.temprature: unknown field; did you mean 'temperature'?"),
        ({"trainer": {"kl_target": 0.1}}, "trainer.kl_target: the controller scales settings.kl_in_reward"),
        ({"trainer": {"anneal": ["clap"]}}, "trainer.anneal: 'clap' is no number of settings"),
        ({"trainer": {"learning_rate": float("nan")}}, "trainer.learning_rate: must be at least 0, not nan"),
        ({"trainer": {"learning_rate": float("inf")}}, "trainer.learning_rate: must be at least 0, not inf"),
        ({"trainer": {"learning_rate": -1}}, "trainer.learning_rate: must be at least 0, not -1"),
        ({"settings": {"clipp": 0.1}}, "settings.clipp: unknown field; did you mean 'clip'?"),
        ({"settings": {"discount": 1.5}}, "settings.discount: must be between 0 and 1, not 1.5"),
        ({"algorithm": "pop"}, "algorithm 'pop' is unknown; did you mean 'ppo'?"),
        ({"updates": 0}, "updates: must be at least 1, not 0"),
        ({"evaluate_prompts": 0}, "evaluate_prompts: must be at least 1, not 0"),
        ({"seed": "one"}, "seed: 'one' is not a whole number"),
        ({"watchh": {}}, "watchh: unknown field; did you mean 'watch'?"),
    ],
)  # fmt: skip
def test_mistakes(changes: dict[str, Any], expected: str) -> None:
    assert message(ALONE | changes).startswith(expected), message(ALONE | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"feedback": {"labels": 10}}, "feedback.first: more than feedback.labels; lower it"),
        ({"hidden": None}, "hidden: simulated people need something to judge by"),
        ({"feedback": {"labels": 500, "until": 1}}, "feedback.until: must be between 0 and 0.99, not 1"),
        ({"feedback": {"labels": 500, "people": [{"mistaken": 1}]}}, "feedback.people[0].mistaken: unknown field; did you mean 'mistake'?"),
        ({"reward": {"fit": {"drawn": 0.5}}}, "reward.fit.drawn: has no effect, a text has one score"),
        ({"reward": {"fit": {"minibatch": 0}}}, "reward.fit.minibatch: must be at least 1, not 0"),
        ({"reward": {"likelihood": {"skale": 1}}}, "reward.likelihood.skale: unknown field; did you mean 'scale'?"),
        ({"start": None}, "start: None is not a text"),
    ],
)  # fmt: skip
def test_mistakes_with_people(changes: dict[str, Any], expected: str) -> None:
    assert message(PEOPLE | changes).startswith(expected), message(PEOPLE | changes)


@pytest.mark.parametrize("other", ["./p.jsonl", "alias.jsonl", "{here}/p.jsonl"])
def test_the_same_file_by_another_name(other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is evaluated on what is learned from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text("")
    (tmp_path / "alias.jsonl").symlink_to("p.jsonl")
    asked = {"prompts": "p.jsonl", "evaluate_on": other.format(here=tmp_path)}
    assert message(ALONE | {"language": asked}).startswith(
        "language.evaluate_on: these prompts are learned from"
    )
    split = asked | {"evaluate_split": "test"}
    assert message(ALONE | {"language": split}).startswith(
        "language.split: the rows of 'test' would be learned"
    )
    from_mapping(ALONE | {"language": split | {"split": "train"}}, "here")


def test_which_kind_is_meant() -> None:
    """Also where the one word that says so is misspelt, or is left out with all its defaults."""
    assert message({"start": "lm", "languge": {}}) == "languge: unknown field; did you mean 'language'?"
    assert message({"start": "lm", "Language": {}}).startswith(
        "Language: unknown field; did you mean 'language'?"
    )
    assert "did you mean 'environment'" in message({"enviroment": {"id": "CartPole-v1"}, "device": "cpu"})
    assert message({"language": {}}) == "start: this field is missing; add it to the config"
    assert kinds.kind_of(kinds.from_mapping({"start": "lm", "updates": 3} | PEOPLE, "x")) == "language"
    alone = {name: value for name, value in PEOPLE.items() if name != "language"}
    assert kinds.kind_of(kinds.from_mapping(alone, "x")) == "language"
    assert kinds.kind_of(kinds.from_mapping({"environment": {"id": "CartPole-v1"}}, "x")) == "control"
    assert "environment: unknown field" in message({"environment": {}, "language": {}, "start": "lm"})


def test_what_only_language_has() -> None:
    control = kinds.from_mapping({"environment": {"id": "CartPole-v1"}}, "x")
    both = {field.name for field in fields(RunConfig)} & {field.name for field in fields(control)}
    assert not both & set(kinds.OF_LANGUAGE)
    assert set(kinds.OF_LANGUAGE) | {"language"} == {field.name for field in fields(RunConfig)} - both


def test_paths_are_made_absolute_and_hub_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lm", "p.jsonl", "q.jsonl", "f.py", "mine.py", "rm"):
        (tmp_path / name).write_text(
            "from plaudit.algorithms.on_policy.ppo import Config, advantages, loss\n"
        )
    mapping = ALONE | {
        "start": "lm",
        "reference": "gpt2",
        "algorithm": "./mine.py",
        "language": {"prompts": "p.jsonl", "evaluate_on": "q.jsonl"},
        "reward": {"weights": {"mine": 1, "learned": 1}, "functions": {"mine": "f.py:g"}, "start": "rm"},
        "hidden": "f.py:h",
    }
    config = settled(from_mapping(mapping, "here"))
    assert config.start == str(tmp_path / "lm") and config.reference == "gpt2"
    assert config.language.prompts == str(tmp_path / "p.jsonl")
    assert config.language.evaluate_on == str(tmp_path / "q.jsonl")
    assert config.reward.functions == {"mine": f"{tmp_path / 'f.py'}:g"}
    assert config.reward.start == str(tmp_path / "rm") and config.hidden == f"{tmp_path / 'f.py'}:h"
    assert config.algorithm == str(tmp_path / "mine.py")
    service = settled(from_mapping(PEOPLE, "here"))
    assert service.language.prompts == "service" and service.hidden == "rubric" and service.algorithm == "ppo"
