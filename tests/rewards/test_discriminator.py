"""A discriminator as a source: it learns to tell, paying changes nothing, and a save goes on."""

from typing import Any

import pytest
import torch

from plaudit.algorithms.imitation import gail
from plaudit.environments.control.rollouts import Trajectories
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.config import DiscriminatorConfig
from plaudit.rewards.discriminator import Discriminator
from plaudit.rewards.weighted import RewardSource

SPACES = Spaces(2, 2, "discrete")


def transitions(rows: int, columns: int, seed: int, right: float) -> Transitions:
    """Somebody who with this probability takes the action of the sign of the first number."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, columns, 2, generator=generator)
    best = (states[..., 0] > 0).long()
    takes = torch.rand(rows, columns, generator=generator) < right
    actions = torch.where(takes, best, 1 - best)
    one_hot = torch.nn.functional.one_hot(actions, 2).float()
    return Transitions(states, actions, one_hot, states, torch.zeros(rows, columns))


def behaviour(seed: int = 1, right: float = 0.5) -> Trajectories:
    record = transitions(20, 10, seed, right)
    mask = torch.rand(20, 10, generator=torch.Generator().manual_seed(seed)) < 0.8
    no = torch.zeros_like(mask)
    return Trajectories(record, no, no, no, mask)


def discriminator(settings: gail.Config = gail.Config(), **config: Any) -> Discriminator:
    model = RewardEnsemble(SPACES, RewardConfig(members=1, hidden=(16,)), torch.Generator().manual_seed(0))
    how = DiscriminatorConfig(**{"learning_rate": 1e-2, "steps": 20, "minibatch_size": 64} | config)
    return Discriminator(
        model, transitions(1, 300, 9, 1.0), gail, settings, how, torch.Generator().manual_seed(2)
    )


@pytest.mark.slow
def test_it_learns_to_tell_and_pays_for_what_the_demonstrator_does() -> None:
    one = discriminator()
    accuracies = [one.observe(behaviour(seed), 0.0)["discriminator/accuracy"] for seed in range(15)]
    assert (
        accuracies[-1] > 0.68 > 0.6 > accuracies[0] - 0.1
    )  # half of a coin's actions are the demonstrator's too
    fresh = behaviour(99)
    paid = one.rewards(fresh).dense
    assert paid is not None
    best = (fresh.record.observations[..., 0] > 0).long() == fresh.record.actions
    assert paid[fresh.mask & best].mean() > 2 * paid[fresh.mask & ~best].mean() > 0
    # of somebody who does the same as the demonstrator nothing can be told
    copied = discriminator()
    for seed in range(15):
        metrics = copied.observe(behaviour(seed, right=1.0), 0.0)
    assert metrics["discriminator/accuracy"] < 0.7


@pytest.mark.parametrize("name", ["-log(1-D)", "log(D)", "logit"])
def test_what_is_paid_is_the_algorithms_reward_of_the_logits(name: Any) -> None:
    one, fresh = discriminator(gail.Config(reward=name)), behaviour()
    one.observe(fresh, 0.0)
    found = one.rewards(fresh)
    assert found.dense is not None
    features = torch.cat([fresh.record.observations, fresh.record.executed], dim=-1)
    for b, t in fresh.mask.nonzero().tolist()[:20]:
        with torch.no_grad():
            d = float(one.model(features[b : b + 1, t : t + 1]).mean().sigmoid())
        expected = {
            "-log(1-D)": -torch.tensor(1 - d).log(),
            "log(D)": torch.tensor(d).log(),
            "logit": torch.tensor(d / (1 - d)).log(),
        }
        assert float(found.dense[b, t]) == pytest.approx(float(expected[name]), abs=1e-4)
    assert not found.dense[~fresh.mask].any()
    assert found.scores.tolist() == pytest.approx(
        [float(row.double().sum()) for row in found.dense], abs=1e-5
    )


def test_paying_changes_nothing() -> None:
    one, fresh = discriminator(), behaviour()
    one.observe(fresh, 0.0)
    before = {name: tensor.clone() for name, tensor in one.state_dict()["model"].items()}
    generator = one.generator.get_state()
    first, again = one.rewards(fresh), one.rewards(fresh)
    assert torch.equal(first.dense, again.dense)  # type: ignore[arg-type]
    assert first.dense is not None and not first.dense.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.state_dict()["model"].items())
    assert torch.equal(one.generator.get_state(), generator)
    assert isinstance(one, RewardSource)


def test_what_is_masked_teaches_nothing() -> None:
    one, other, fresh = discriminator(), discriminator(), behaviour()
    dirty = fresh.record.observations.clone()
    dirty[~fresh.mask] = 1e6
    record = Transitions(
        dirty, fresh.record.actions, fresh.record.executed, dirty, fresh.record.environment_rewards
    )
    assert one.observe(fresh, 0.0) == other.observe(
        Trajectories(record, fresh.terminated, fresh.ended, fresh.last, fresh.mask), 0.0
    )
    assert all(
        torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True)
    )


def test_a_saved_discriminator_goes_on_bit_for_bit() -> None:
    one = discriminator()
    one.observe(behaviour(1), 0.0)
    state = one.state_dict()
    saved = state | {"model": {name: tensor.clone() for name, tensor in state["model"].items()}}
    expected = [one.observe(behaviour(seed), 0.0) for seed in (2, 3)]
    other = discriminator()
    other.observe(behaviour(7), 0.0)
    other.load_state_dict(saved)
    assert [other.observe(behaviour(seed), 0.0) for seed in (2, 3)] == expected
    fresh = behaviour(5)
    assert torch.equal(one.rewards(fresh).dense, other.rewards(fresh).dense)  # type: ignore[arg-type]
