"""Demonstrated actions: at a bound they are censored, elsewhere and for discrete actions nothing differs."""

import math

import pytest
import torch

from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.demonstrated import Demonstrated, censored
from plaudit.models.distributions import Gaussian
from plaudit.models.transitions import Transitions


def slow(mean: list[float], log_std: list[float], action: list[float], bounded: list[bool]) -> float:
    """Tobin's likelihood, dimension by dimension, with the error function."""
    total = 0.0
    for m, s, a, b in zip(mean, map(math.exp, log_std), action, bounded, strict=True):
        if b and a == 1:
            total += math.log(0.5 * math.erfc((1 - m) / s / math.sqrt(2)))
        elif b and a == -1:
            total += math.log(0.5 * math.erfc((m + 1) / s / math.sqrt(2)))
        else:
            total += -((a - m) ** 2) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi))
    return total


@pytest.mark.parametrize("seed", range(5))
def test_against_the_error_function(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(20, 3, generator=g), 0.5 * torch.randn(3, generator=g)
    actions = (2 * torch.randn(20, 3, generator=g)).clamp(-1, 1)
    bounded = torch.tensor([True, False, True])
    found = censored(Gaussian(mean, log_std), actions, bounded)
    for i in range(20):
        rows = (mean[i].tolist(), log_std.tolist(), actions[i].tolist())
        assert found[i].item() == pytest.approx(slow(*rows, bounded.tolist()), rel=1e-4, abs=1e-4)


def test_at_a_bound_it_is_the_share_of_draws_that_are_clipped_there() -> None:
    drawn = Gaussian(torch.full((200_000, 1), 0.4), torch.tensor([0.0]))
    given = drawn.sample(torch.Generator().manual_seed(0)).clamp(-1, 1)
    for bound in (-1.0, 1.0):
        share = (given == bound).double().mean().item()
        one = Gaussian(torch.tensor([[0.4]]), torch.tensor([0.0]))
        logp = censored(one, torch.tensor([[bound]]), torch.tensor([True]))
        assert math.exp(logp.item()) == pytest.approx(share, abs=0.005)


def test_a_mean_beyond_the_bound_is_not_punished() -> None:
    far, near = (
        censored(Gaussian(torch.tensor([[m]]), torch.tensor([-1.0])), torch.ones(1, 1), torch.tensor([True]))
        for m in (3.0, 1.0)
    )
    assert far > near and far.item() == pytest.approx(0, abs=1e-6)


def record(spaces: Spaces, actions: torch.Tensor) -> Transitions:
    states = torch.randn(6, 1, spaces.observation, generator=torch.Generator().manual_seed(1))
    return Transitions(states, actions, torch.zeros(6, 1, 2), states, torch.zeros(6, 1))


def test_everything_else_is_as_the_policy_scores_it() -> None:
    discrete, continuous = Spaces(4, 2, "discrete"), Spaces(4, 2, "continuous")
    inside = torch.rand(6, 1, 2, generator=torch.Generator().manual_seed(2)) - 0.5
    cases = (
        (discrete, torch.tensor([0, 1, 1, 0, 1, 0])[:, None], None),
        (continuous, inside, torch.tensor([True, True])),
        (continuous, torch.ones(6, 1, 2), torch.tensor([False, False])),
    )
    for spaces, actions, bounded in cases:
        policy = ActorCritic(spaces, PolicyConfig(hidden=(8,)), torch.Generator().manual_seed(0))
        seen, given = Demonstrated(policy, bounded), record(spaces, actions)
        found, oracle = seen.scores(given), policy.scores(given)
        torch.testing.assert_close(found.logp, oracle.logp)
        torch.testing.assert_close(found.entropy, oracle.entropy)
        assert found.values is None
        torch.testing.assert_close(seen.scores(given, slice(2, 4)).logp, found.logp[2:4])
