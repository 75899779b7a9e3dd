"""Configs of language runs: every mistake is one sentence that names the field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from plaudit.errors import PlauditError
from plaudit.runs import algorithms, settings
from plaudit.runs import config as configs
from plaudit.runs.config import from_mapping, resolve_paths

ALONE: dict[str, Any] = {
    "start": "lm", "environment": {"kind": "language"}, "reward": {"weights": {"mine": 1}, "functions": {"mine": "f.py:g"}}
}  # fmt: skip
PEOPLE: dict[str, Any] = {
    "start": "lm",
    "environment": {"kind": "language"},
    "gold_reward": "rubric",
    "feedback": {"labels": 500},
}


def message(mapping: dict[str, Any]) -> str:
    with pytest.raises(PlauditError) as caught:
        configs.from_mapping(mapping, "run.yaml")
    said = str(caught.value)
    assert said.startswith("run.yaml: ") and "\n" not in said
    return said.removeprefix("run.yaml: ")


def test_the_defaults_make_sense() -> None:
    config = from_mapping(PEOPLE, "here")
    assert config.settings.discount is None and config.environment.prompts == "service"
    assert from_mapping(ALONE, "here").reward.weights == {"mine": 1.0}
    given = from_mapping(ALONE | {"settings": {"discount": 0.9}}, "here")
    assert given.settings.discount == 0.9


def test_there_and_back(tmp_path: Path) -> None:
    """What a run folder keeps reads as the same config, each value with its kind."""
    mapping = PEOPLE | {
        "environment": {"cap": {"kind": "penalty", "amount": 2}, "stop": ["x"]},
        "policy": {"lora": {"rank": 4}, "shaping": {"temperature": 0.7}},
        "settings": {"kl": {"coef": 0.1}, "advantage": {"kind": "gae", "lam": 0.9}},
        "feedback": {"labels": 500, "people": [{"mistake": 0.1}, {"equal": 0.2}]},
    }  # fmt: skip
    config = from_mapping(mapping, "here")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings.dump(config), sort_keys=False))
    assert configs.load(file) == config
    assert config.medium == "language" and config.budget == 50


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
        ({"win_rate_check": {"every": 1}}, "gold_reward: simulated people need something to judge by; give `rubric` or a function"),
        ({"win_rate_check": {"stop": True}}, "win_rate_check.stop: there are no checks to stop by; set win_rate_check.every"),
        ({"win_rate_check": {"judgements": 1}}, "win_rate_check.judgements: must be at least 2, not 1"),
        ({"gold_reward": "rubric", "environment": {"prompts": "p.jsonl"}}, "gold_reward: the rubric judges service dialogues alone"),
        ({"environment": {"split": "train"}}, "environment.prompts: service dialogues have no splits"),
        ({"environment": {"evaluate_on": "p.jsonl"}}, "environment.prompts: service dialogues have no splits"),
        ({"environment": {"prompts": "p.jsonl", "evaluate_on": "p.jsonl"}}, "environment.evaluate_on: these prompts are learned from as well"),
        ({"environment": {"prompts": "p.jsonl", "evaluate_split": "test"}}, "environment.split: the rows of 'test' would be learned from and evaluated on"),
        ({"environment": {"prompts": "p.jsonl", "evaluate_split": "a", "split": "a"}}, "environment.split: the rows of 'a' would be learned"),
        ({"environment": {"batch_size": 4, "num_generations": 5}}, "environment.num_generations: 5 completions of each prompt are more than the 4 of an update"),
        ({"environment": {"max_new_tokens": 0}}, "environment.max_new_tokens: must be at least 1, not 0"),
        ({"environment": {"held_out": 0.95}}, "environment.held_out: must be between 0.01 and 0.9, not 0.95"),
        ({"environment": {"too_long": "drop"}}, "environment.too_long: 'drop' is not one of refuse, leave out, cut"),
        ({"environment": {"cap": "stop"}}, "environment.cap: 'stop' is not one of bootstrap, penalty, score"),
        ({"environment": {"prompt": "p.jsonl"}}, "environment.prompt: unknown field; did you mean 'prompts'?"),
        ({"policy": {"critic": "none"}}, "policy.critic: this estimate of advantages needs a critic"),
        ({"policy": {"rows": 0}}, "policy.rows: must be at least 1, not 0"),
        ({"policy": {"shaping": {"temprature": 1}}}, "policy.shaping.temprature: unknown field; did you mean 'temperature'?"),
        ({"settings": {"kl": {"target": 0.1}}}, "settings.kl.target: the controller scales settings.kl.coef"),
        ({"trainer": {"anneal": ["clap"]}}, "trainer.anneal: 'clap' is no number of settings"),
        ({"trainer": {"learning_rate": float("nan")}}, "trainer.learning_rate: must be at least 0, not nan"),
        ({"trainer": {"learning_rate": float("inf")}}, "trainer.learning_rate: must be at least 0, not inf"),
        ({"trainer": {"learning_rate": -1}}, "trainer.learning_rate: must be at least 0, not -1"),
        ({"settings": {"clipp": 0.1}}, "settings.clipp: unknown field; did you mean 'clip'?"),
        ({"settings": {"discount": 1.5}}, "settings.discount: must be between 0 and 1, not 1.5"),
        ({"algorithm": "pop"}, "algorithm 'pop' is unknown; did you mean 'ppo'?"),
        ({"updates": 0}, "updates: must be at least 1, not 0"),
        ({"evaluate_count": 0}, "evaluate_count: must be at least 1, not 0"),
        ({"seed": "one"}, "seed: 'one' is not a whole number"),
        ({"win_rate_chek": {}}, "win_rate_chek: unknown field; did you mean 'win_rate_check'?"),
    ],
)  # fmt: skip
def test_mistakes(changes: dict[str, Any], expected: str) -> None:
    assert message(ALONE | changes).startswith(expected), message(ALONE | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"feedback": {"labels": 10}}, "feedback.first: more than feedback.labels; lower it"),
        ({"gold_reward": None}, "gold_reward: simulated people need something to judge by"),
        ({"feedback": {"labels": 500, "until": 1}}, "feedback.until: must be between 0 and 0.99, not 1"),
        ({"feedback": {"labels": 500, "people": [{"mistaken": 1}]}}, "feedback.people[0].mistaken: unknown field; did you mean 'mistake'?"),
        ({"reward": {"fit": {"subsample": 0.5}}}, "reward.fit.subsample: has no effect, a text has one score"),
        ({"reward": {"fit": {"minibatch_size": 0}}}, "reward.fit.minibatch_size: must be at least 1, not 0"),
        ({"reward": {"likelihood": {"skale": 1}}}, "reward.likelihood.skale: unknown field; did you mean 'scale'?"),
        ({"start": None}, "start: this field is missing; give the folder of a language model"),
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
    assert message(ALONE | {"environment": asked}).startswith(
        "environment.evaluate_on: these prompts are learned from"
    )
    split = asked | {"evaluate_split": "test"}
    assert message(ALONE | {"environment": split}).startswith(
        "environment.split: the rows of 'test' would be learned"
    )
    from_mapping(ALONE | {"environment": split | {"split": "train"}}, "here")


def test_which_medium_is_meant() -> None:
    """Also where the one word that says so is misspelt, or is left out with all its defaults."""
    assert message({"start": "lm", "languge": {}}) == "languge: unknown field; did you mean 'environment'?"
    assert message({"start": "lm", "Language": {}}).startswith(
        "Language: unknown field; did you mean 'environment'?"
    )
    assert "did you mean 'environment'" in message({"enviroment": {"id": "CartPole-v1"}, "device": "cpu"})
    mine = {name: value for name, value in ALONE.items() if name != "start"}
    assert message(mine).startswith("start: this field is missing")
    assert message({"timesteps": 3}) == "environment: this field is missing; add it to the config"
    assert message({"environment": {}}).startswith("environment.id: this field is missing")
    assert from_mapping({"start": "lm", "updates": 3} | PEOPLE, "x").medium == "language"
    alone = {name: value for name, value in PEOPLE.items() if name != "environment"}
    assert from_mapping(alone, "x").medium == "language"
    assert from_mapping(alone | {"environment": {}}, "x").medium == "language"
    assert from_mapping({"environment": {"id": "CartPole-v1"}}, "x").medium == "control"
    assert message({"environment": {"id": "CartPole-v1"}, "language": {}}).startswith(
        "language: is called environment now, and both are given"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"updates": 3}, "updates: has no effect on control, where it is timesteps; leave this out"),
        ({"gold_reward": "rubric"}, "gold_reward: has no effect on control, where it is the environment's own reward"),
        ({"win_rate_check": {"every": 1}}, "win_rate_check: has no effect on control; leave this out"),
        ({"device": "cuda"}, "device: has no effect on control; leave this out"),
        ({"pairs": "pairs.npz"}, "pairs: ppo does not learn from pairs; leave this out, or take one of dpo"),
    ],
)  # fmt: skip
def test_what_only_language_has(changes: dict[str, Any], expected: str) -> None:
    assert message({"environment": {"id": "CartPole-v1"}} | changes).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"timesteps": 100}, "timesteps: has no effect on language, whose budget is updates; leave this out"),
        ({"feedback": {"judge": "judge.py:good"}}, "feedback.judge: has no effect on language, where people judge by gold_reward; leave this out"),
        ({"reward": {"normalise": True}}, "reward.normalise: has no effect on language; leave this out"),
        ({"reward": {"model": {"members": 2}}}, "reward.model: has no effect on language; leave this out"),
        ({"reward": {"demonstrations": "d.npz"}}, "reward.demonstrations: has no effect on language; leave this out"),
        ({"reward": {"discriminator": "gail"}}, "reward.discriminator: has no effect on language; leave this out"),
    ],
)  # fmt: skip
def test_what_only_control_has(changes: dict[str, Any], expected: str) -> None:
    reward = ALONE["reward"] | changes.get("reward", {})
    assert message(ALONE | changes | {"reward": reward}).startswith(expected)


def test_paths_are_made_absolute_and_hub_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lm", "p.jsonl", "q.jsonl", "f.py", "mine.py", "rm"):
        (tmp_path / name).write_text(
            "from plaudit.algorithms.on_policy.ppo import Config, advantages, loss, needs\n"
        )
    mapping = ALONE | {
        "start": "lm",
        "reference": "gpt2",
        "algorithm": "./mine.py",
        "environment": {"prompts": "p.jsonl", "evaluate_on": "q.jsonl"},
        "reward": {"weights": {"mine": 1, "learned": 1}, "functions": {"mine": "f.py:g"}, "start": "rm"},
        "gold_reward": "f.py:h",
    }
    config = resolve_paths(from_mapping(mapping, "here"))
    assert config.start == str(tmp_path / "lm") and config.reference == "gpt2"
    assert config.environment.prompts == str(tmp_path / "p.jsonl")
    assert config.environment.evaluate_on == str(tmp_path / "q.jsonl")
    assert config.reward.functions == {"mine": f"{tmp_path / 'f.py'}:g"}
    assert config.reward.start == str(tmp_path / "rm") and config.gold_reward == f"{tmp_path / 'f.py'}:h"
    assert config.algorithm == str(tmp_path / "mine.py")
    judged = {"environment": {"id": "CartPole-v1"}, "feedback": {"judge": "f.py:h"}}
    assert resolve_paths(from_mapping(judged, "here")).feedback.judge == f"{tmp_path / 'f.py'}:h"
    service = resolve_paths(from_mapping(PEOPLE, "here"))
    assert (
        service.environment.prompts == "service"
        and service.gold_reward == "rubric"
        and service.algorithm == "ppo"
    )


@pytest.mark.parametrize(
    ("environment", "envs", "group"),
    [({}, 32, 8), ({"envs": 10}, 16, 8), ({"envs": 64}, 64, 8), ({"envs": 12, "group": 4}, 12, 4)],
)
@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_environments_for_whole_groups(
    algorithm: str, environment: dict[str, Any], envs: int, group: int
) -> None:
    """Nothing has to be said; an odd number of environments becomes the next multiple."""
    mapping = {"environment": {"id": "CartPole-v1"} | environment, "algorithm": algorithm}
    found = from_mapping(mapping, "here")
    assert (found.environment.envs, found.environment.group) == (envs, group)
    assert from_mapping(settings.dump(found), "again") == found


CARTPOLE: dict[str, Any] = {"environment": {"id": "CartPole-v1"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reward": {"discriminator": "gail", "demonstrations": "d.npz"}}, "reward.discriminator: has no effect while"),
        ({"reward": {"demonstrations": "d.npz"}}, "reward.demonstrations: has no effect while"),
        ({"trainer": {"step": {"kind": "trust_region"}}}, "trainer.step: ppo does not say how far a step moves"),
        ({"algorithm": "gail", "reward": 5}, "reward: 5 is not a mapping of fields"),
        ({"algorithm": "rloo", "settings": {"others_at_least": -1}}, "settings.others_at_least: must be at least 1"),
        ({"reward": {"kinds": {"comparision": 2}}}, "reward.kinds.comparision: unknown; did you mean 'comparison'?"),
        ({"feedback": {"options": 7}}, "feedback.options: must be between 2 and 6, not 7"),
        ({"algorithm": "dpo", "pairs": "p.npz", "start": "s", "win_rate_check": {"every": 2}}, "win_rate_check.every: dpo learns"),
        ({"settings": {"kl_in_reward": 0.1, "kl_in_loss": 0.1}}, "settings.kl_in_loss: KL has one price now"),
        *(({"algorithm": name, "environment": {"id": "CartPole-v1", "envs": 8, "group": 4}},
           f"environment.group: {name} compares no episodes with each other") for name in ("ppo", "trpo", "es")),
    ],
)  # fmt: skip
def test_what_would_do_nothing_or_break_later(changes: dict[str, Any], expected: str) -> None:
    assert message(CARTPOLE | changes).startswith(expected), message(CARTPOLE | changes)


def test_gail_stands_for_ppo_on_a_discriminator_also_over_a_dumped_config() -> None:
    usual = settings.dump(from_mapping(CARTPOLE, "here"))
    said = {key: value for key, value in usual.items() if key not in ("settings", "trainer")}
    for mapping in (CARTPOLE, said):
        given = {"algorithm": "gail", "reward": {**mapping.get("reward", {}), "demonstrations": "d.npz"}}
        made = from_mapping({**mapping, **given, "settings": {"reward": "logit", "clip": 0.3}}, "here")
        assert made.algorithm == "ppo" and made.settings.clip == 0.3
        assert made.reward.discriminator == "gail" and made.reward.discriminator_settings.reward == "logit"
        assert made.reward.weights == {"environment": 0.0, "discriminator": 1.0}


@pytest.mark.parametrize("name", ["epochs", "n_epochs", "num_ppo_epochs"])
def test_epochs_by_any_name_are_kept(name: str) -> None:
    said = {"trainer": {"epochs": 3}} if name == "epochs" else {name: 3}
    assert from_mapping(CARTPOLE | {"algorithm": "rloo"} | said, "here").trainer.epochs == 3


def test_a_file_is_one_module(tmp_path: Path) -> None:
    """Its settings are made of the classes that its loss knows; once it is written again it is another."""
    file = tmp_path / "mine.py"
    text = Path(str(algorithms.find("reinforce").__file__)).read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    first = algorithms.find(str(file))
    assert algorithms.find(str(file)) is first
    file.write_text(text + "\nMORE = 1\n", encoding="utf-8")
    assert algorithms.find(str(file)) is not first and hasattr(algorithms.find(str(file)), "MORE")
