"""Runs of the on-policy trainer: schedules, the budget, the KL controller, resuming, the right answer."""

from dataclasses import replace

import pytest
import torch
from table_policy import Steps, Table, begin, rollout

from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.batches import Episodes, Rollout
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Config, Learner, State


def rate_of(decisions: int, config: Config) -> tuple[float, bool]:
    """The step size of an update begun after that many of 100 decisions, and whether the policy moved."""
    state, _, learner, given = begin(config)
    state.decisions = decisions
    before = state.policy.logits.detach().clone()
    on_policy.update(state, given, learner, max(0.0, 1 - state.decisions / 100))
    return state.metrics["policy/learning_rate"], not torch.equal(before, state.policy.logits)


def test_the_step_size_is_full_at_first_and_exactly_zero_at_the_end() -> None:
    linear, constant = Config(learning_rate=0.5), Config(learning_rate=0.5, schedule="constant")
    assert rate_of(0, linear) == (0.5, True)
    assert rate_of(25, linear) == (0.375, True)
    assert rate_of(100, linear) == (0.0, False)
    assert rate_of(120, linear) == (0.0, False)  # never climbs again
    assert rate_of(99, constant) == (0.5, True)


def test_annealed_settings_fall_with_the_budget() -> None:
    for decisions, share in [(0, 1.0), (75, 0.25), (100, 0.0)]:
        state, notes, learner, given = begin(Config(anneal=("clip",)))
        state.decisions = decisions
        on_policy.update(state, given, learner, max(0.0, 1 - state.decisions / 100))
        settings = notes.minibatches[0][2]
        assert settings.clip == pytest.approx(0.4 * share)
        assert settings.entropy_coef == 0.1


@pytest.mark.parametrize("budget", [1, 24, 100, 101])
def test_the_budget_is_spent_exactly(budget: int) -> None:
    state, _, learner, _ = begin(Config(epochs=1))
    limits: list[int] = []

    def collect(limit: int) -> Rollout:
        limits.append(limit)
        given = rollout(state.policy, torch.Generator().manual_seed(len(limits)))
        mask = given.episodes.mask
        mask &= (mask.flatten().cumsum(0) <= limit).reshape(mask.shape)
        return given

    seen = [s.decisions for s in on_policy.train(state, collect, learner, budget)]
    assert seen[-1] == state.decisions == budget and seen == sorted(set(seen))
    assert limits == [budget - d for d in [0, *seen[:-1]]]
    assert state.updates == len(seen)
    assert (
        list(on_policy.train(state, collect, learner, budget)) == []
    )  # a second call has nothing left to do


def test_the_price_of_kl_follows_its_target() -> None:
    # log pi - log ref = .4 at each of n decisions; target .1: too far, so the price grows by .2 n / 1000
    config = Config(epochs=1, kl_target=0.1, kl_horizon=1000)
    state, notes, learner, given = begin(config)
    given = replace(given, episodes=replace(given.episodes, ref_logp=given.episodes.logp - 0.4))
    n = int(given.episodes.mask.sum())
    on_policy.update(state, given, learner, max(0.0, 1 - state.decisions / 10_000))
    assert state.kl_price == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.metrics["objective/kl"] == pytest.approx(0.4, abs=1e-6)
    on_policy.update(state, given, learner, max(0.0, 1 - state.decisions / 10_000))
    assert notes.minibatches[0][2].kl_in_reward == 0.2
    assert notes.minibatches[-1][2].kl_in_reward == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.kl_price == pytest.approx(0.2 * (1 + 0.2 * n / 1000) ** 2)
    fixed, _, learner, _ = begin(Config(epochs=1))
    on_policy.update(fixed, given, learner, max(0.0, 1 - fixed.decisions / 10_000))
    assert fixed.kl_price is None


def test_a_run_cut_in_two_is_the_run_in_one_piece_bit_for_bit() -> None:
    config = Config(epochs=3, minibatch_size=5, learning_rate=0.05)
    learner = Learner(ppo, ppo.Config(advantage=GAE(0.9), entropy_coef=0.01), config)

    def go(state: State, updates: int, world: torch.Generator) -> None:
        for _ in range(updates):
            on_policy.update(
                state, rollout(state.policy, world), learner, max(0.0, 1 - state.decisions / 1000)
            )

    straight, world = begin(config)[0], torch.Generator().manual_seed(5)
    go(straight, 6, world)

    cut, world = begin(config)[0], torch.Generator().manual_seed(5)
    go(cut, 2, world)
    saved = {name: value.clone() for name, value in cut.policy.state_dict().items()}
    optimiser, generator, here = cut.optimiser.state_dict(), cut.generator.get_state(), world.get_state()

    resumed, world = begin(config)[0], torch.Generator()
    resumed.policy.load_state_dict(saved)
    resumed.optimiser.load_state_dict(optimiser)
    resumed.generator.set_state(generator)
    world.set_state(here)
    resumed.updates, resumed.decisions = cut.updates, cut.decisions
    go(resumed, 4, world)
    assert torch.equal(resumed.policy.logits, straight.policy.logits)
    assert torch.equal(resumed.policy.value, straight.policy.value)
    assert resumed.metrics == straight.metrics


REWARDS = torch.tensor([1.0, 0.0, 0.5, -1.0])
REFERENCE = torch.tensor([0.1, 0.4, 0.3, 0.2])


@pytest.mark.parametrize("price", [0.3, 1.0])
@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_on_a_bandit_with_a_kl_price_the_best_policy_is_reached(price: float, algorithm: str) -> None:
    """The maximum of E[r] - price KL(pi || ref) is pi* = ref exp(r / price) / Z."""
    best = REFERENCE * (REWARDS / price).exp()
    best = best / best.sum()
    policy = Table(1, 4, critic=False)
    with torch.no_grad():
        policy.logits.copy_(REFERENCE.log())
    world, n, updates = torch.Generator().manual_seed(1), 256, 120

    def collect(limit: int) -> Rollout:
        actions = torch.multinomial(
            policy.logits.detach().softmax(-1)[0], n, replacement=True, generator=world
        )
        record = Steps(
            torch.zeros(n, 1, dtype=torch.long), actions.unsqueeze(1), torch.arange(n).unsqueeze(1)
        )
        yes = torch.ones(n, 1, dtype=torch.bool)
        with torch.no_grad():
            logp = policy.scores(record).logp
        reference = REFERENCE.log()[record.actions]
        return Rollout(Episodes(logp, REWARDS[record.actions], yes, yes, yes, ref_logp=reference), record)

    if algorithm == "ppo":
        settings = ppo.Config(discount=1.0, advantage=MonteCarlo(), kl_in_reward=price)
        config, module = Config(learning_rate=0.1, epochs=4, minibatch_size=n), ppo
    else:
        settings = reinforce.Config(discount=1.0, weight=reinforce.ReturnToGo(), kl_in_reward=price)
        config, module = Config(learning_rate=0.1, epochs=1, minibatch_size=n), reinforce
    state = on_policy.start(policy, config, torch.Generator().manual_seed(2))
    for _ in on_policy.train(state, collect, Learner(module, settings, config), n * updates):
        pass
    found = policy.logits.detach().softmax(-1)[0]
    assert 0.5 * (found - best).abs().sum() <= 0.02
    assert 0.5 * (REFERENCE - best).abs().sum() > 0.1  # it was somewhere else before
