"""Rewards from files: baselines against other libraries, honest cross-validation, and a model that can be used."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plaudit.cli import main as cli
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.readers.arrays import RecordedPairs
from plaudit.readers.judgements import Judged, judged_pairs
from plaudit.rewards.control import stack
from plaudit.rewards.learned import fit as reward_fit
from plaudit.runs import saved
from plaudit.stages import reward as stage
from plaudit.stages.adapters.control_reward import linear, single, transitions
from plaudit.stages.reward import Answers, RewardFromFiles, cross_validate, learn

QUICK = RewardFromFiles(
    model=RewardConfig(members=2, hidden=(8,)),
    likelihood=bradley_terry.Config(),
    fit=reward_fit.Config(first_steps=120, learning_rate=1e-2, subsample=1.0),
    folds=3,
    repeats=2,
)


def recorded(count: int = 24, steps: int = 5, seed: int = 0, equal: int = 4) -> RecordedPairs:
    """The third number of the observation decides; the last few pairs are called equal."""
    rng = np.random.default_rng(seed)
    observations = tuple(rng.normal(size=(count, steps, 3)) for _ in range(2))
    actions = tuple(rng.normal(size=(count, steps, 2)) for _ in range(2))
    preference = (observations[0][..., 2].sum(1) > observations[1][..., 2].sum(1)).astype(float)
    preference[count - equal :] = 0.5
    return RecordedPairs(observations, actions, preference)  # type: ignore[arg-type]


def rows(pairs: RecordedPairs) -> list[Judged]:
    return judged_pairs(pairs, "here")


def side(judged: list[Judged], which: int) -> Any:
    """One side of all pairs, as the model reads it."""
    return stack([transitions(one.options[which]) for one in judged])[0]


def test_both_sides_as_transitions() -> None:
    pairs = recorded()
    read = rows(pairs)
    assert [one.said[0] for one in read] == pairs.preference.tolist()
    for which in (0, 1):
        seen = side(read, which)
        np.testing.assert_allclose(seen.observations, pairs.observations[which], rtol=1e-6)
        np.testing.assert_allclose(seen.executed, pairs.actions[which], rtol=1e-6)
        assert torch.equal(seen.successors[:, :-1], seen.observations[:, 1:])
        assert torch.equal(seen.successors[:, -1], seen.observations[:, -1])
    pixels = RecordedPairs(
        tuple(np.zeros((2, 4, 3, 3)) for _ in range(2)), tuple(np.ones((2, 4)) for _ in range(2)), np.ones(2)
    )  # type: ignore[arg-type]
    first = side(rows(pixels), 0)
    assert first.observations.shape == (2, 4, 9) and first.executed.shape == (2, 4, 1)


def test_the_linear_baseline_is_the_ridge_penalised_optimum() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(30, 4, generator=generator) * 3, torch.randn(7, 4, generator=generator)
    preference = torch.randint(3, (30,), generator=generator) / 2
    scale = train.std(dim=0)
    weight = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=500, tolerance_grad=1e-10, tolerance_change=1e-14)

    def loss() -> Any:
        optimiser.zero_grad()
        logits = (train / scale).double() @ weight
        nll = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, preference.double(), reduction="sum"
        )
        total = nll + 0.5 * (weight**2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    expected = (test / scale).double() @ weight.detach()
    torch.testing.assert_close(linear(train, preference, test), expected, rtol=1e-5, atol=1e-6)


def test_the_best_single_feature_by_hand() -> None:
    # feature 0 agrees in 1 of 3, feature 1 disagrees in 3 of 3: the second, upside down
    train = torch.tensor([[1.0, -2.0], [1.0, 3.0], [1.0, 0.5], [9.0, 9.0]])
    preference = torch.tensor([1.0, 0.0, 0.0, 0.5])
    assert single(train, preference, torch.tensor([[5.0, 2.0], [5.0, -1.0]])).tolist() == [-2.0, 1.0]


def test_cross_validation_scores_every_decided_pair_once_and_never_one_it_has_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = rows(recorded(20, equal=5))
    number = {id(one): i for i, one in enumerate(read)}
    scored: list[list[int]] = []

    def margins(train: list[Judged], test: list[Judged], config: Any, watch: Any) -> torch.Tensor:
        seen = {number[id(one)] for one in train}
        assert {15, 16, 17, 18, 19} <= seen  # equal pairs teach in every fold
        scored.append([number[id(one)] for one in test])
        assert not seen & set(scored[-1]) and len(seen) + len(scored[-1]) == 20
        return torch.tensor([2 * one.said[0] - 1 for one in test])  # the first is always said to be better

    monkeypatch.setattr(stage, "_margins", margins)
    found = cross_validate(read, QUICK)
    for repeat in range(2):
        assert sorted(sum(scored[3 * repeat : 3 * repeat + 3], [])) == list(range(15))
    assert scored[0] != scored[3]
    share = sum(one.said[0] == 1 for one in read[:15]) / 15
    assert found["reward model"].mean == pytest.approx(share)
    assert found["reward model"].low == found["reward model"].high == pytest.approx(share)


def test_a_margin_of_nothing_foresees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_margins", lambda train, test, config, watch: torch.zeros(len(test)))
    assert cross_validate(rows(recorded(20)), QUICK)["reward model"].mean == 0


@pytest.mark.slow
def test_what_is_learned_can_be_used(tmp_path: Path) -> None:
    pairs = Answers(rows(recorded(60, equal=6)), [])
    found = learn(pairs, QUICK, tmp_path / "model", {"files": ["a"]}).accuracy
    assert found["linear on mean features"].mean > 0.75 and found["best single feature"].mean > 0.9
    assert found["reward model"].mean > 0.7
    model = saved.load_reward(tmp_path / "model", Spaces(3, 2, "continuous"))
    fresh = rows(recorded(100, seed=9, equal=0))
    first, second = side(fresh, 0), side(fresh, 1)
    preference = torch.tensor([one.said[0] for one in fresh])
    better = (model.reward(first).sum(1) > model.reward(second).sum(1)).float()
    assert (better == preference).float().mean() > 0.75
    one, other = side(pairs.train, 0), side(pairs.train, 1)
    everything = torch.cat([model.members(one), model.members(other)], dim=1).double()
    torch.testing.assert_close(
        everything.mean(dim=(1, 2)), torch.zeros(2, dtype=torch.float64), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        everything.var(dim=(1, 2), correction=0), torch.ones(2, dtype=torch.float64), atol=1e-4, rtol=0
    )
    again = learn(pairs, QUICK, tmp_path / "again", {"files": ["a"]}).accuracy
    assert again == found
    assert (tmp_path / "again/model.safetensors").read_bytes() == (
        tmp_path / "model/model.safetensors"
    ).read_bytes()
    with pytest.raises(PlauditError, match="a model is here already"):
        learn(pairs, QUICK, tmp_path / "model", {})


def test_ratings_alone_are_learned_and_nothing_is_said_of_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for i in range(12):
        segment = {
            "observations": rng.normal(size=(3, 2)).tolist(),
            "actions": rng.normal(size=(3, 1)).tolist(),
        }
        lines.append(json.dumps({"segment": segment, "rating": 1 + i % 5}) + "\n")
    (tmp_path / "ratings.jsonl").write_text("".join(lines))
    for extra in ([], ["--repeats", "0"]):
        out = tmp_path / f"model{len(extra)}"
        flags = ["--out", str(out), "--fit.first-steps", "3", *extra]
        assert cli.main(["reward", str(tmp_path / "ratings.jsonl"), *flags]) == 0
        said = capsys.readouterr().out
        assert "nothing tells how accurate the model is" in said and (out / "model.safetensors").exists()


def test_how_far_it_is_rises_from_the_first_fit_to_the_last(tmp_path: Path) -> None:
    told: list[float] = []
    quick = replace(QUICK, fit=reward_fit.Config(first_steps=4, learning_rate=1e-2, subsample=1.0))
    learn(Answers(rows(recorded()), []), quick, tmp_path / "model", {}, told.append)
    assert len(told) == 7 * 4  # two times three folds, then the model that is kept
    assert told == sorted(told) and told[0] == pytest.approx(1 / 28) and told[-1] == 1
