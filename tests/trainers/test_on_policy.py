"""One update of the on-policy trainer: what an algorithm is shown, in which order, and when it stops."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from table_policy import Notes, Steps, Table, begin, module_of, updater_of
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Loss, Rollout, Scores
from plaudit.maths.constraint import StopAt
from plaudit.trainers.on_policy import Config


def numbers(notes: Notes, given: Rollout) -> list[list[int]]:
    """The numbers of the decisions of every minibatch, recovered from rewards made unique."""
    lookup = {
        float(r): int(i)
        for r, i in zip(given.episodes.rewards.flatten(), given.record.number.flatten(), strict=True)
    }
    return [[lookup[float(r)] for r in e.rewards.flatten()] for e, _, _ in notes.minibatches]


def with_unique_rewards(given: Rollout) -> Rollout:
    rewards = (given.record.number + 1).float()
    return replace(given, episodes=replace(given.episodes, rewards=rewards))


@pytest.mark.parametrize("minibatch", [1, 5, 7, 1000])
def test_every_decision_exactly_once_per_epoch_in_a_fresh_order(minibatch: int) -> None:
    state, notes, given = begin(Config(epochs=3, minibatch_size=minibatch))
    given = with_unique_rewards(given)
    state.update(given, 1.0)
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
    state, notes, given = begin(Config(epochs=2, minibatch_size=5))
    shown: list[tuple[Tensor, Tensor]] = []
    scores = state.policy.scores

    def listen(record: Steps, rows: Any = None) -> Scores:
        shown.append((record.number, record.states))
        return scores(record, rows)

    state.policy.scores = listen
    given = with_unique_rewards(given)
    state.update(given, 1.0)
    for (number, states), (e, advantages, _) in zip(shown, notes.minibatches, strict=True):
        assert torch.equal(e.rewards, (number + 1).float()) and torch.equal(advantages, e.rewards)
        assert torch.equal(states, given.record.states.flatten()[number])
        assert torch.equal(e.logp, given.episodes.logp.flatten()[number])
        assert e.mask.all()


def test_a_policy_with_memory_keeps_its_rows_whole() -> None:
    state, notes, given = begin(Config(epochs=2, minibatch_size=3), memoryless=False)
    given = with_unique_rewards(given)
    state.update(given, 1.0)
    assert [tuple(e.rewards.shape) for e, _, _ in notes.minibatches] == [(3, 6), (1, 6)] * 2
    seen = Counter(float(row[0]) for e, _, _ in notes.minibatches for row in e.rewards)
    assert seen == {float(row[0]): 2 for row in given.episodes.rewards}
    for e, _, _ in notes.minibatches:
        for row in e.rewards:
            assert any(torch.equal(row, other) for other in given.episodes.rewards)


def test_the_first_minibatch_is_at_ratio_one() -> None:
    seen: list[Loss] = []

    def loss(*arguments: Any) -> Loss:
        seen.append(ppo.loss(*arguments))
        return seen[-1]

    listening = module_of(needs=ppo.needs, advantages=ppo.advantages, loss=loss)
    config = Config(epochs=4, minibatch_size=1000, learning_rate=0.05)
    _, _, given = begin(config)
    updater_of(listening, ppo.Config(), config).update(given, 1.0)
    first = seen[0].metrics
    assert first["val/ratio"].item() == pytest.approx(1, abs=1e-6)
    assert first["policy/approxkl_avg"].item() == pytest.approx(0, abs=1e-9)
    assert first["policy/clipfrac_avg"].item() == 0
    assert first["loss/policy_avg"].item() == pytest.approx(0, abs=1e-6)
    moved = [loss.metrics["policy/approxkl_avg"].item() for loss in seen]
    assert moved == sorted(moved) and moved[1] > 0  # then it grows, epoch by epoch


def test_a_loss_that_says_stop_takes_no_step_and_ends_the_update() -> None:
    config = Config(epochs=3, minibatch_size=5, learning_rate=0.1)
    state, notes, given = begin(config)
    notes.stop_at = 3
    state.update(given, 1.0)
    assert len(notes.minibatches) == 3 and state.updates == 1
    # as two minibatches and no third step
    other, calm, _ = begin(config)
    stepped: list[int] = []
    step = other.optimiser.step

    def count(*arguments: Any) -> Tensor:
        stepped.append(1)
        return step(*arguments)

    calm.stop_at = 3
    other.optimiser.step = count  # type: ignore[method-assign]
    other.update(given, 1.0)
    assert len(stepped) == 2
    assert torch.equal(other.policy.logits, state.policy.logits)


def test_ppo_stops_once_its_limit_is_passed() -> None:
    config = Config(epochs=50, minibatch_size=1000, learning_rate=0.1)
    _, _, given = begin(config)
    state = updater_of(ppo, ppo.Config(constraint=StopAt(0.01)), config)
    state.update(given, 1.0)
    free = updater_of(ppo, ppo.Config(), config)
    free.update(given, 1.0)
    assert state.metrics["policy/approxkl_avg"] < free.metrics["policy/approxkl_avg"]

    def moved(policy: Table) -> float:
        new = policy.scores(given.record)
        return (
            ppo.loss(new, given.episodes, given.episodes.rewards, ppo.Config())
            .metrics["policy/approxkl_avg"]
            .item()
        )

    assert 0.01 < moved(state.policy) < moved(free.policy)  # one step past the limit, no more


def test_values_are_refreshed_before_every_epoch_but_the_first() -> None:
    state, notes, given = begin(Config(epochs=4, refresh_values="each epoch", minibatch_size=1000))
    with torch.no_grad():
        state.policy.value += 7.0  # the critic has moved since the rollout
    state.update(given, 1.0)
    assert state.policy.refreshed == 3 and len(notes.advantage_calls) == 4
    assert notes.advantage_calls[0] is given.episodes
    for e in notes.advantage_calls[1:]:
        assert e.values is not None and torch.allclose(e.values, torch.full_like(e.values, 7.0))
    for e, _, _ in notes.minibatches[1:]:
        assert e.values is not None and torch.allclose(e.values, torch.full_like(e.values, 7.0))
    state, notes, given = begin(Config(epochs=4, minibatch_size=1000))
    state.update(given, 1.0)
    assert state.policy.refreshed == 0 and len(notes.advantage_calls) == 1


def test_masked_decisions_are_neither_learned_from_nor_counted() -> None:
    state, notes, given = begin(Config(epochs=1, minibatch_size=1000))
    state.update(given, 1.0)
    count = int(given.episodes.mask.sum())
    assert count < given.episodes.mask.numel()
    assert state.decisions == count and notes.minibatches[0][0].rewards.shape == (count, 1)


def test_metrics_are_means_over_the_minibatches_and_keep_what_collecting_said() -> None:
    state, notes, given = begin(Config(epochs=2, minibatch_size=5))
    state.update(given, 1.0)
    n = len(notes.minibatches)
    assert state.metrics["loss/number"] == pytest.approx((n + 1) / 2)
    assert state.metrics["rollout/given"] == 1.5
    assert "policy/grad_norm" in state.metrics and "objective/kl" not in state.metrics


def test_a_rollout_without_any_decision_changes_nothing() -> None:
    state, _, given = begin(Config())
    before = state.policy.logits.detach().clone()
    empty = replace(given, episodes=replace(given.episodes, mask=torch.zeros_like(given.episodes.mask)))
    state.update(empty, 1.0)
    assert state.decisions == 0 and torch.equal(before, state.policy.logits)
