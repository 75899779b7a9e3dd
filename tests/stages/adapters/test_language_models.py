"""What a run is put together from: rewards by weight, each logged apart, and the streams of prompts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.errors import PlauditError
from plaudit.models.language import reward_model
from tests.stages.tasks import build, tick
from tests.text_world import World, made_of

FOUR = ("trl", "trlx", "compute_score", "texts")


def functions(world: World, *names: str) -> dict[str, str]:
    return {name: f"{world.functions}:{name}" for name in names}


def by_hand(name: str, prompt: str, completion: str) -> float:
    """What the functions of the world say of an answer to `say ka:`."""
    return {
        "trl": len(completion), "trlx": len(completion), "compute_score": completion.count(prompt[5]),
        "texts": completion.count("a") / 2,
    }[name]  # fmt: skip


def test_rewards_are_mixed_by_weight_and_logged_apart(world: World, tmp_path: Path) -> None:
    weights = {
        "learned": 0.5,
        "trl": 0.25,
        "trlx": -1.0,
        "compute_score": 2.0,
    }  # texts has none: logged alone
    run = build(
        world.config(reward={"weights": weights, "functions": functions(world, *FOUR)}), tmp_path / "r"
    )
    said_now = run.learner.rollouts.collect(run.models.policy, 8)
    untaught = run.rewards.rewards(said_now)  # nobody has taught it yet, so it does not count
    assert run.feedback is not None
    run.feedback.proven = True
    graded = run.rewards.rewards(said_now)
    said = list(zip(said_now.answers.prompts, said_now.answers.completions, strict=True))
    parts = {name: torch.tensor([float(by_hand(name, *one)) for one in said]) for name in FOUR}
    assert run.models.reward is not None
    learned = {"learned": 0.5 * _learned(run, said_now)}
    total = learned["learned"] + sum(
        weight * parts[name] for name, weight in weights.items() if name in parts
    )
    assert torch.allclose(graded.scores, total, atol=1e-5)
    assert torch.allclose(untaught.scores, total - learned["learned"], atol=1e-5)
    for name in FOUR:
        assert graded.metrics[f"objective/rewards/{name}"] == pytest.approx(float(parts[name].mean()))
        assert graded.metrics[f"objective/rewards/{name}_std"] == pytest.approx(
            float(parts[name].std(correction=0)), abs=1e-6
        )
    row = tick(run)
    assert {f"objective/rewards/{name}" for name in (*FOUR, "learned")} <= row.keys()
    apart = sum(weight * row[f"objective/rewards/{name}"] for name, weight in weights.items())
    assert row["objective/scores"] == pytest.approx(apart, abs=1e-4)
    run.close()


def _learned(run: Any, said_now: Any) -> torch.Tensor:
    """The reward model's scores by transformers' own classifier, a text at a time."""
    model = run.models.reward
    assert model is not None
    scores = []
    for row in range(len(said_now.answers)):
        ids = said_now.record.ids[row, : int(said_now.record.lengths[row])]
        with torch.no_grad():
            logit = float(model.model(input_ids=ids[None]).logits)
            scores.append((logit - model.offset) * model.scale)
    return torch.tensor(scores)


def test_a_learned_reward_without_weight_is_logged(world: World, tmp_path: Path) -> None:
    reward = {"weights": {"learned": 0, "texts": 1}, "functions": functions(world, "texts")}
    reward_model.save(tmp_path / "rm", reward_model.begin(str(world.lm), torch.Generator().manual_seed(0)))
    config = world.config(reward=reward | {"start": str(tmp_path / "rm")}, feedback={"labels": 0})
    run = build(config, tmp_path / "r")
    row = tick(run)
    assert row["objective/scores"] == pytest.approx(row["objective/rewards/texts"])
    assert row["objective/rewards/learned_std"] > 0
    assert "reward.start" in run.models.made_of and "reference" not in run.models.made_of
    nothing = build(world.config(reward=reward, feedback={"labels": 0}), tmp_path / "s")
    assert nothing.models.reward is None


def test_functions_that_are_not_there(world: World, tmp_path: Path) -> None:
    for place, message in (
        (f"{world.functions}:text", "`text` is missing, did you mean texts"),
        (str(tmp_path / "no.py"), "no such Python file"),
    ):
        config = world.config(
            reward={"weights": {"mine": 1}, "functions": {"mine": place}}, feedback={"labels": 0}
        )
        with pytest.raises(PlauditError, match=message):
            build(config, tmp_path / message[:4])


def test_streams_of_their_own(world: World, tmp_path: Path) -> None:
    """The order of prompts to learn from is not that of the questions; both are everybody's prompts, each once."""
    run = build(world.config(), tmp_path / "r")
    one, other, same = (
        run.models.queue(3, purpose).take(36).tolist() for purpose in ("prompts", "questions", "prompts")
    )
    assert sorted(one) == sorted(other) == list(range(36)) and one == same != other
    assert run.models.queue(4, "prompts").take(36).tolist() != one
    run.close()


def test_a_reward_model_of_another_form_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlauditError, match="config.json is missing"):
        build(world.config(reward={"start": str(tmp_path / "empty")}), tmp_path / "r")
    other = made_of("zebra ", tmp_path / "other", context=16)
    run = build(world.config(reward={"start": str(other)}), tmp_path / "s")
    assert tick(run)["feedback/labels"] == 8
    run.close()
