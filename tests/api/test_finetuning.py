"""PPO(path).finetune_with_rlhf: both kinds of policy, every kind of feedback, what comes out, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import plaudit
from plaudit.agents import PPOAgent
from plaudit.errors import PlauditError
from plaudit.models.language import loading
from plaudit.runs import saved
from plaudit.stages import reward as stage
from tests.api.conftest import pendulum_rows, write
from tests.api.test_reward import texts
from tests.text_world import World


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Few steps of the fit where nothing depends on what was learned."""
    if request.node.get_closest_marker("slow") is None:
        usual = stage.usual("language")
        few = replace(usual, fit=replace(usual.fit, first_steps=4))
        real = stage.usual
        monkeypatch.setattr(stage, "usual", lambda medium: few if medium == "language" else real(medium))


FEW: dict[str, Any] = {"updates": 2, "batch_size": 8, "max_new_tokens": 6}


@pytest.fixture(scope="module")
def swinging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that has learned next to nothing."""
    place = tmp_path_factory.mktemp("policy") / "agent"
    PPOAgent("Pendulum-v1", n_envs=2, n_steps=8).save(place)
    return place


@pytest.mark.slow
def test_a_control_policy_learns_and_is_saved_as_it_was_read(
    swinging: Path, compared: Path, tmp_path: Path
) -> None:
    model = plaudit.ppo.PPO(swinging)
    feedback = plaudit.load_feedback(compared)
    reward = plaudit.RewardModel.fit(feedback, like=model)
    model.finetune_with_rlhf(feedback, reward, total_timesteps=200, n_envs=4, n_steps=16).save(
        tmp_path / "tuned"
    )
    before, after = saved.load_policy(swinging), saved.load_policy(tmp_path / "tuned", "Pendulum-v1")
    assert not torch.equal(before.policy_weight, after.policy_weight)
    assert saved.environment_of(tmp_path / "tuned") == saved.environment_of(swinging)
    assert torch.equal(PPOAgent.load(tmp_path / "tuned").policy.policy_weight, after.policy_weight)
    assert "rollout/reward_mean" in model.metrics


@pytest.mark.parametrize("kind", ["comparison", "ranking", "rating", "label"])
@pytest.mark.slow
def test_a_language_model_learns_and_is_saved_as_transformers_reads_it(
    spoken: World, tmp_path: Path, kind: str
) -> None:
    model = plaudit.ppo.PPO(spoken.lm)
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", texts(kind)))
    reward = plaudit.RewardModel.fit(feedback, like=model)
    taught = {name: p.clone() for name, p in reward.model.model.named_parameters()}
    model.finetune_with_rlhf(feedback, reward, **FEW).save(tmp_path / "tuned")
    assert all(torch.equal(p, taught[name]) for name, p in reward.model.model.named_parameters())
    mine = dict(model.policy.named_parameters())
    for name, p in AutoModelForCausalLM.from_pretrained(tmp_path / "tuned").named_parameters():
        assert torch.equal(p, mine[name])
    before, _ = loading.load(str(spoken.lm))
    assert any(not torch.equal(p, mine[name]) for name, p in before.named_parameters())
    assert np.isfinite(model.metrics["objective/kl_per_answer"])


@pytest.mark.parametrize(
    "said",
    [
        [{"prompt": f"say {i}:", "completions": ["", " a", " b"], "ranks": [3, 1, 2]} for i in range(8)],
        [{"prompt": f"say {i}:", "completion": " a" * (i % 2), "rating": i % 2} for i in range(8)],
    ],
    ids=["ranking", "rating"],
)
def test_a_reward_learns_about_empty_answers(
    spoken: World, tmp_path: Path, said: list[dict[str, Any]]
) -> None:
    """Of a model that ended at once: as a run exports them."""
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", said))
    reward = plaudit.RewardModel.fit(feedback, like=plaudit.ppo.PPO(spoken.lm))
    assert all(torch.isfinite(p).all() for p in reward.model.model.parameters())


@pytest.mark.slow
def test_a_language_model_says_more_of_what_people_want(spoken: World, tmp_path: Path) -> None:
    model = plaudit.ppo.PPO(spoken.lm)
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", texts("comparison")))
    reward = plaudit.RewardModel.fit(feedback, like=model)
    means = []
    for _ in range(2):
        model.finetune_with_rlhf(feedback, reward, updates=10, batch_size=32)
        means.append(model.metrics["objective/scores"])
    assert means[-1] > 0.8  # in standard deviations of the answers that were judged


@pytest.mark.slow
def test_the_same_seed_gives_the_same_policy(spoken: World, tmp_path: Path) -> None:
    feedback = plaudit.load_feedback(write(tmp_path / "f.jsonl", texts("rating")))
    found = []
    for seed in (1, 1, 2):
        model = plaudit.ppo.PPO(spoken.lm, seed=seed)
        reward = plaudit.RewardModel.fit(feedback, like=model)
        model.finetune_with_rlhf(feedback, reward, **FEW)
        found.append(torch.cat([p.detach().reshape(-1) for p in model.policy.parameters()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.slow
def test_what_does_not_fit_is_refused(swinging: Path, compared: Path, spoken: World, tmp_path: Path) -> None:
    control, lm = plaudit.ppo.PPO(swinging), plaudit.ppo.PPO(spoken.lm)
    clips = plaudit.load_feedback(compared)
    said = plaudit.load_feedback(write(tmp_path / "f.jsonl", texts("rating")))
    reward = plaudit.RewardModel.fit(clips, like=control)
    cases: list[tuple[Any, str]] = [
        (lambda: lm.finetune_with_rlhf(said, reward), "it judges control, but text is wanted"),
        (
            lambda: control.finetune_with_rlhf(said, reward),
            "this feedback is about text, but the policy is for control",
        ),
        (
            lambda: control.finetune_with_rlhf(clips, "reward"),
            "reward_model: a str was given; give a RewardModel",
        ),
        (
            lambda: control.finetune_with_rlhf("f.jsonl", reward),
            "feedback: a str; give what plaudit.load_feedback",
        ),
        (lambda: control.finetune_with_rlhf(clips, reward, gama=1), "unknown argument 'gama'"),
        (
            lambda: control.finetune_with_rlhf(clips, reward, net_arch=[4]),
            "net_arch: the saved policy was made",
        ),
        (lambda: control.finetune_with_rlhf(clips, reward, total_timesteps=0), "total_timesteps: 0"),
        (lambda: plaudit.ppo.PPO(tmp_path), "config.json is missing"),
        (lambda: plaudit.ppo.PPO(tmp_path / "f.jsonl"), "is a file"),
    ]
    for call, sentence in cases:
        with pytest.raises(PlauditError, match=sentence):
            call()


def test_a_list_of_rows_and_a_function_will_do(spoken: World) -> None:
    """For a language model: the answers with most of a letter are worth most."""
    asked: list[int] = []

    def letters(prompts: list[str], completions: list[str]) -> list[float]:
        asked.append(len(prompts))
        return [text.count("a") / 10 for text in completions]

    model = plaudit.ppo.PPO(spoken.lm)
    rows = texts("comparison")
    reward = plaudit.RewardModel.fit(rows, like=model)
    assert reward.medium == "text" and set(reward.metrics)
    model.finetune_with_rlhf(rows, letters, **FEW)
    assert asked == [8, 8] and "objective/scores" in model.metrics
    for wrong, sentence in (
        ([], "no answer in it that decides anything"),
        ([{"prompt": "a"}], r"^feedback\[0\]: no judgement in a known form"),
        (
            [*rows, {"prompt": "a", "completion": "b", "rating": 1}],
            r"\]: a rating, but the first one is a comparison",
        ),
    ):
        with pytest.raises(PlauditError, match=sentence):
            model.finetune_with_rlhf(wrong, letters)
    with pytest.raises(PlauditError, match="reward 'reward_model': it raised ZeroDivisionError"):
        model.finetune_with_rlhf(rows, lambda texts: 1 / 0, **FEW)


def test_a_function_pays_a_control_policy(swinging: Path) -> None:
    model, seen = plaudit.ppo.PPO(swinging), []

    def upright(observations: np.ndarray, actions: np.ndarray, successors: np.ndarray) -> np.ndarray:
        seen.append((observations.shape, actions.shape, successors.shape))
        return successors[..., 0]

    model.finetune_with_rlhf(pendulum_rows(4), upright, total_timesteps=64, n_envs=4, n_steps=8)
    assert set(seen) == {((4, 8, 3), (4, 8, 1), (4, 8, 3))} and "rollout/reward_mean" in model.metrics
    with pytest.raises(PlauditError, match=r"reward_model: it returned shape \[4\]"):
        model.finetune_with_rlhf(
            pendulum_rows(4), lambda o, a, s: o[:, 0, 0], total_timesteps=64, n_envs=4, n_steps=8
        )
