"""The on-policy trainer on rollouts of a table, with algorithms that write down what they are shown."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.batches import Episodes, Loss, Rollout, Scores
from plaudit.batches.rows import take
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.maths.constraint import StopAt
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Config, Learner, State


@dataclass(frozen=True)
class Steps:
    """The record of the table: which state, which action, and a number for every decision."""

    states: Tensor
    actions: Tensor
    number: Tensor


class Table(nn.Module):
    """A softmax policy and a critic by look-up."""

    def __init__(self, states: int, actions: int, memoryless: bool = True, critic: bool = True):
        super().__init__()
        self.memoryless, self.critic = memoryless, critic
        self.logits = nn.Parameter(torch.zeros(states, actions))
        self.value = nn.Parameter(torch.zeros(states))
        self.refreshed = 0

    def scores(self, record: Steps, rows: Any = None) -> Scores:
        if rows is not None:
            record = take(record, rows)
        logp = self.logits.log_softmax(-1)[record.states]
        chosen = logp.gather(-1, record.actions.unsqueeze(-1)).squeeze(-1)
        return Scores(chosen, -(logp.exp() * logp).sum(-1), self.value[record.states] if self.critic else None)

    @torch.no_grad()
    def refresh(self, episodes: Episodes, record: Steps) -> Episodes:
        self.refreshed += 1
        return replace(episodes, values=self.value[record.states].clone())


def rollout(
    policy: Table, generator: torch.Generator, rows: int = 4, columns: int = 6, reward: Callable[[Steps], Tensor] | None = None
) -> Rollout:
    """Random states, actions of the policy, one decision in five masked, episodes of two steps."""
    states = torch.randint(policy.logits.shape[0], (rows, columns), generator=generator)
    probabilities = policy.logits.detach().softmax(-1)[states]
    actions = torch.multinomial(probabilities.flatten(0, 1), 1, generator=generator).reshape(rows, columns)
    mask = torch.rand(rows, columns, generator=generator) < 0.8
    mask[0] = True
    record = Steps(states, actions, torch.arange(rows * columns).reshape(rows, columns))
    last = torch.zeros(rows, columns, dtype=torch.bool)
    last[:, 1::2] = True
    with torch.no_grad():
        scores = policy.scores(record)
    rewards = (actions == 0).float() + states if reward is None else reward(record)
    values = scores.values
    following = None if values is None else torch.where(last, 0.0, values.roll(-1, 1))
    e = Episodes(scores.logp, torch.where(mask, rewards, 0.0), last, last, mask, values, following)
    return Rollout(e, record, {"rollout/given": 1.5})


class Notes:
    """An algorithm that notes every minibatch and pulls every log-probability up."""

    def __init__(self, policy: Table, stop_at: int | None = None):
        self.policy, self.stop_at = policy, stop_at
        self.minibatches: list[tuple[Episodes, Tensor, Any]] = []
        self.advantage_calls: list[Episodes] = []

    def advantages(self, episodes: Episodes, config: Any) -> Tensor:
        self.advantage_calls.append(episodes)
        return torch.where(episodes.mask, episodes.rewards, 0.0)

    def loss(self, new: Scores, episodes: Episodes, advantages: Tensor, config: Any) -> Loss:
        self.minibatches.append((episodes, advantages, config))
        stop = self.stop_at == len(self.minibatches)
        return Loss(-new.logp.mean(), {"loss/number": torch.tensor(float(len(self.minibatches)))}, stop)


@dataclass(frozen=True)
class Settings:
    clip: float = 0.4
    entropy_coef: float = 0.1
    kl_in_reward: float = 0.2


def begin(config: Config, settings: Any = Settings(), **table: Any) -> tuple[State, Notes, Learner, Rollout]:
    policy = Table(3, 4, **table)
    notes = Notes(policy)
    state = on_policy.start(policy, config, torch.Generator().manual_seed(0))
    return state, notes, Learner(notes, settings, config), rollout(policy, torch.Generator().manual_seed(1))


def numbers(notes: Notes, given: Rollout) -> list[list[int]]:
    """The numbers of the decisions of every minibatch, recovered from rewards made unique."""
    lookup = {float(r): int(i) for r, i in zip(given.episodes.rewards.flatten(), given.record.number.flatten(), strict=True)}
    return [[lookup[float(r)] for r in e.rewards.flatten()] for e, _, _ in notes.minibatches]


def with_unique_rewards(given: Rollout) -> Rollout:
    rewards = (given.record.number + 1).float()
    return replace(given, episodes=replace(given.episodes, rewards=rewards))


@pytest.mark.parametrize("minibatch", [1, 5, 7, 1000])
def test_every_decision_exactly_once_per_epoch_in_a_fresh_order(minibatch: int) -> None:
    state, notes, learner, given = begin(Config(epochs=3, minibatch=minibatch))
    given = with_unique_rewards(given)
    on_policy.update(state, given, learner, 1000)
    decisions = sorted(given.record.number[given.episodes.mask].tolist())
    parts = numbers(notes, given)
    per_epoch = math.ceil(len(decisions) / minibatch)
    assert len(parts) == 3 * per_epoch
    orders = [sum(parts[i * per_epoch : (i + 1) * per_epoch], []) for i in range(3)]
    for order in orders:
        assert sorted(order) == decisions
    assert orders[0] != orders[1] != orders[2] and orders[0] != sorted(orders[0])
    assert all(len(part) == minibatch for part in parts[: per_epoch - 1])


def test_advantages_and_records_travel_with_their_decisions() -> None:
    state, notes, learner, given = begin(Config(epochs=2, minibatch=5))
    shown: list[tuple[Tensor, Tensor]] = []
    scores = state.policy.scores

    def listen(record: Steps, rows: Any = None) -> Scores:
        shown.append((record.number, record.states))
        return scores(record, rows)

    state.policy.scores = listen
    given = with_unique_rewards(given)
    on_policy.update(state, given, learner, 1000)
    for (number, states), (e, advantages, _) in zip(shown, notes.minibatches, strict=True):
        assert torch.equal(e.rewards, (number + 1).float()) and torch.equal(advantages, e.rewards)
        assert torch.equal(states, given.record.states.flatten()[number])
        assert torch.equal(e.logp, given.episodes.logp.flatten()[number])
        assert e.mask.all()


def test_a_policy_with_memory_keeps_its_rows_whole() -> None:
    state, notes, learner, given = begin(Config(epochs=2, minibatch=3), memoryless=False)
    given = with_unique_rewards(given)
    on_policy.update(state, given, learner, 1000)
    assert [tuple(e.rewards.shape) for e, _, _ in notes.minibatches] == [(3, 6), (1, 6)] * 2
    seen = Counter(float(row[0]) for e, _, _ in notes.minibatches for row in e.rewards)
    assert seen == {float(row[0]): 2 for row in given.episodes.rewards}
    for e, _, _ in notes.minibatches:
        for row in e.rewards:
            assert any(torch.equal(row, other) for other in given.episodes.rewards)


def test_the_first_minibatch_is_at_ratio_one() -> None:
    state, _, _, given = begin(Config())
    seen: list[Loss] = []

    def loss(*arguments: Any) -> Loss:
        seen.append(ppo.loss(*arguments))
        return seen[-1]

    listening = SimpleNamespace(advantages=ppo.advantages, loss=loss)
    config = Config(epochs=4, minibatch=1000, learning_rate=0.05)
    on_policy.update(state, given, Learner(listening, ppo.Config(), config), 1000)
    first = seen[0].metrics
    assert first["val/ratio"].item() == pytest.approx(1, abs=1e-6)
    assert first["policy/approxkl_avg"].item() == pytest.approx(0, abs=1e-9)
    assert first["policy/clipfrac_avg"].item() == 0
    assert first["loss/policy_avg"].item() == pytest.approx(0, abs=1e-6)
    moved = [loss.metrics["policy/approxkl_avg"].item() for loss in seen]
    assert moved == sorted(moved) and moved[1] > 0  # then it grows, epoch by epoch


def rate_of(decisions: int, config: Config) -> tuple[float, bool]:
    """The step size of an update begun after that many of 100 decisions, and whether the policy moved."""
    state, _, learner, given = begin(config)
    state.decisions = decisions
    before = state.policy.logits.detach().clone()
    on_policy.update(state, given, learner, 100)
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
        on_policy.update(state, given, learner, 100)
        settings = notes.minibatches[0][2]
        assert settings.clip == pytest.approx(0.4 * share)
        assert settings.entropy_coef == 0.1


def test_a_loss_that_says_stop_takes_no_step_and_ends_the_update() -> None:
    config = Config(epochs=3, minibatch=5, learning_rate=0.1)
    state, notes, learner, given = begin(config)
    notes.stop_at = 3
    on_policy.update(state, given, learner, 1000)
    assert len(notes.minibatches) == 3 and state.updates == 1
    # as two minibatches and no third step
    other, calm, again, _ = begin(config)
    stepped: list[int] = []
    step = other.optimiser.step

    def count(*arguments: Any) -> Tensor:
        stepped.append(1)
        return step(*arguments)

    calm.stop_at = 3
    other.optimiser.step = count  # type: ignore[method-assign]
    on_policy.update(other, given, again, 1000)
    assert len(stepped) == 2
    assert torch.equal(other.policy.logits, state.policy.logits)


def test_ppo_stops_once_its_limit_is_passed() -> None:
    config = Config(epochs=50, minibatch=1000, learning_rate=0.1)
    state, _, _, given = begin(config)
    on_policy.update(state, given, Learner(ppo, ppo.Config(constraint=StopAt(0.01)), config), 1000)
    free, _, _, _ = begin(config)
    on_policy.update(free, given, Learner(ppo, ppo.Config(), config), 1000)
    assert state.metrics["policy/approxkl_avg"] < free.metrics["policy/approxkl_avg"]

    def moved(policy: Table) -> float:
        new = policy.scores(given.record)
        return ppo.loss(new, given.episodes, given.episodes.rewards, ppo.Config()).metrics["policy/approxkl_avg"].item()

    assert 0.01 < moved(state.policy) < moved(free.policy)  # one step past the limit, no more


def test_values_are_refreshed_before_every_epoch_but_the_first() -> None:
    state, notes, learner, given = begin(Config(epochs=4, refresh_values="each epoch", minibatch=1000))
    with torch.no_grad():
        state.policy.value += 7.0  # the critic has moved since the rollout
    on_policy.update(state, given, learner, 1000)
    assert state.policy.refreshed == 3 and len(notes.advantage_calls) == 4
    assert notes.advantage_calls[0] is given.episodes
    for e in notes.advantage_calls[1:]:
        assert e.values is not None and torch.allclose(e.values, torch.full_like(e.values, 7.0))
    for e, _, _ in notes.minibatches[1:]:
        assert e.values is not None and torch.allclose(e.values, torch.full_like(e.values, 7.0))
    state, notes, learner, given = begin(Config(epochs=4, minibatch=1000))
    on_policy.update(state, given, learner, 1000)
    assert state.policy.refreshed == 0 and len(notes.advantage_calls) == 1


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
    assert list(on_policy.train(state, collect, learner, budget)) == []  # a second call has nothing left to do


def test_masked_decisions_are_neither_learned_from_nor_counted() -> None:
    state, notes, learner, given = begin(Config(epochs=1, minibatch=1000))
    on_policy.update(state, given, learner, 1000)
    count = int(given.episodes.mask.sum())
    assert count < given.episodes.mask.numel()
    assert state.decisions == count and notes.minibatches[0][0].rewards.shape == (count, 1)


def test_metrics_are_means_over_the_minibatches_and_keep_what_collecting_said() -> None:
    state, notes, learner, given = begin(Config(epochs=2, minibatch=5))
    on_policy.update(state, given, learner, 1000)
    n = len(notes.minibatches)
    assert state.metrics["loss/number"] == pytest.approx((n + 1) / 2)
    assert state.metrics["rollout/given"] == 1.5
    assert "policy/grad_norm" in state.metrics and "objective/kl" not in state.metrics


def test_the_price_of_kl_follows_its_target() -> None:
    # log pi - log ref = .4 at each of n decisions; target .1: too far, so the price grows by .2 n / 1000
    config = Config(epochs=1, kl_target=0.1, kl_horizon=1000)
    state, notes, learner, given = begin(config)
    given = replace(given, episodes=replace(given.episodes, ref_logp=given.episodes.logp - 0.4))
    n = int(given.episodes.mask.sum())
    on_policy.update(state, given, learner, 10_000)
    assert state.kl_price == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.metrics["objective/kl"] == pytest.approx(0.4, abs=1e-6)
    on_policy.update(state, given, learner, 10_000)
    assert notes.minibatches[0][2].kl_in_reward == 0.2
    assert notes.minibatches[-1][2].kl_in_reward == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.kl_price == pytest.approx(0.2 * (1 + 0.2 * n / 1000) ** 2)
    fixed, _, learner, _ = begin(Config(epochs=1))
    on_policy.update(fixed, given, learner, 10_000)
    assert fixed.kl_price is None


def test_a_rollout_without_any_decision_changes_nothing() -> None:
    state, _, learner, given = begin(Config())
    before = state.policy.logits.detach().clone()
    empty = replace(given, episodes=replace(given.episodes, mask=torch.zeros_like(given.episodes.mask)))
    on_policy.update(state, empty, learner, 1000)
    assert state.decisions == 0 and torch.equal(before, state.policy.logits)


def test_a_run_cut_in_two_is_the_run_in_one_piece_bit_for_bit() -> None:
    config = Config(epochs=3, minibatch=5, learning_rate=0.05)
    learner = Learner(ppo, ppo.Config(advantage=GAE(0.9), entropy_coef=0.01), config)

    def go(state: State, updates: int, world: torch.Generator) -> None:
        for _ in range(updates):
            on_policy.update(state, rollout(state.policy, world), learner, 1000)

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
        actions = torch.multinomial(policy.logits.detach().softmax(-1)[0], n, replacement=True, generator=world)
        record = Steps(torch.zeros(n, 1, dtype=torch.long), actions.unsqueeze(1), torch.arange(n).unsqueeze(1))
        yes = torch.ones(n, 1, dtype=torch.bool)
        with torch.no_grad():
            logp = policy.scores(record).logp
        reference = REFERENCE.log()[record.actions]
        return Rollout(Episodes(logp, REWARDS[record.actions], yes, yes, yes, ref_logp=reference), record)

    if algorithm == "ppo":
        settings = ppo.Config(discount=1.0, advantage=MonteCarlo(), kl_in_reward=price)
        config, module = Config(learning_rate=0.1, epochs=4, minibatch=n), ppo
    else:
        settings = reinforce.Config(discount=1.0, weight=reinforce.ReturnToGo(), kl_in_reward=price)
        config, module = Config(learning_rate=0.1, epochs=1, minibatch=n), reinforce
    state = on_policy.start(policy, config, torch.Generator().manual_seed(2))
    for _ in on_policy.train(state, collect, Learner(module, settings, config), n * updates):
        pass
    found = policy.logits.detach().softmax(-1)[0]
    assert 0.5 * (found - best).abs().sum() <= 0.02
    assert 0.5 * (REFERENCE - best).abs().sum() > 0.1  # it was somewhere else before
