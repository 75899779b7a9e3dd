"""Descending a loss on recorded behaviour: every row once an epoch, and equal to torch's own optimiser."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.algorithms.imitation import bc
from plaudit.batches import Demonstrations, Loss, Scores
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.transitions import Transitions
from plaudit.trainers.on_policy import Algorithm
from plaudit.trainers.supervised import Config, Supervised, run

SPACES = Spaces(3, 4, "discrete")


def policy(seed: int = 0) -> ActorCritic:
    return ActorCritic(SPACES, PolicyConfig(hidden=(16,)), torch.Generator().manual_seed(seed))


def demonstrations(count: int, seed: int = 1) -> Demonstrations:
    """An expert who looks at which of the first two numbers is larger, and at the sign of the third."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(count, 1, 3, generator=generator)
    actions = 2 * (states[..., 0] > states[..., 1]).long() + (states[..., 2] > 0).long()
    nothing = torch.zeros(count, 1)
    record = Transitions(states, actions, torch.nn.functional.one_hot(actions, 4).float(), states, nothing)
    return Demonstrations(torch.ones(count, 1, dtype=torch.bool), record)


def nll(model: ActorCritic, data: Demonstrations) -> float:
    """By a loop over the softmax."""
    total = 0.0
    with torch.no_grad():
        logits = model.distribution(data.record.observations[:, 0]).logits
    for row, action in zip(logits.tolist(), data.record.actions[:, 0].tolist(), strict=True):
        total -= row[action] - torch.tensor(row).exp().sum().log().item()
    return total / len(logits)


class Noting(ModuleType):
    """Cloning that notes which rows it is given."""

    def __init__(self) -> None:
        super().__init__("noting")
        self.rows: list[list[float]] = []

    def loss(self, new: Scores, data: Demonstrations, config: Any) -> Loss:
        self.rows.append(data.record.observations[:, 0, 0].tolist())
        return bc.loss(new, data, config)


def train(
    model: ActorCritic,
    data: Demonstrations,
    held_out: Demonstrations,
    config: Config,
    seed: int = 0,
    module: ModuleType = bc,
) -> Iterator[dict[str, Any]]:
    """Clone; yields every report."""
    generator = torch.Generator().manual_seed(seed)
    return run(Supervised(model, data, held_out, Algorithm(module, bc.Config()), config, generator))


@pytest.mark.parametrize(("count", "minibatch"), [(10, 4), (8, 8), (5, 64), (7, 1)])
def test_every_row_exactly_once_per_epoch_in_a_fresh_order(count: int, minibatch: int) -> None:
    notes, data, held_out = Noting(), demonstrations(count), demonstrations(3, seed=8)
    epochs = list(train(policy(), data, held_out, Config(epochs=3, minibatch_size=minibatch), module=notes))
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    parts = -(-count // minibatch)
    orders, everything = [], data.record.observations[:, 0, 0].tolist()
    for e in range(3):
        *training, evaluated = notes.rows[e * (parts + 1) : (e + 1) * (parts + 1)]
        orders.append(sum(training, []))
        assert sorted(orders[-1]) == sorted(everything)
        assert evaluated == held_out.record.observations[:, 0, 0].tolist()
    assert orders[0] != orders[1] != orders[2]


def test_the_same_as_torchs_own_optimiser() -> None:
    data, config = (
        demonstrations(20),
        Config(learning_rate=1e-2, weight_decay=0.1, epochs=3, minibatch_size=6, max_grad_norm=0.1),
    )
    ours, theirs = policy(), policy()
    losses = [e["loss/total"] for e in train(ours, data, data, config, 4)]
    generator = torch.Generator().manual_seed(4)
    optimiser = torch.optim.AdamW(theirs.parameters(), 1e-2, eps=1e-5, weight_decay=0.1)
    for epoch in range(3):
        seen = []
        for rows in torch.randperm(20, generator=generator).split(6):
            logits = theirs.distribution(data.record.observations[rows, 0]).logits
            loss = torch.nn.functional.cross_entropy(logits, data.record.actions[rows, 0])
            optimiser.zero_grad()
            for parameter in theirs.parameters():  # the critic takes no part, but decays
                parameter.grad = torch.zeros_like(parameter)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
            optimiser.step()
            seen.append(loss.item())
        assert losses[epoch] == pytest.approx(sum(seen) / len(seen), rel=1e-4)
    for (name, one), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


def test_held_out_loss_is_measured_after_the_epoch_and_never_learned_from() -> None:
    data, held_out, model = demonstrations(64), demonstrations(32, seed=5), policy()
    weights: list[Tensor] = []
    for metrics in train(model, data, held_out, Config(epochs=4)):
        assert metrics["val/nll_avg"] == pytest.approx(nll(model, held_out), rel=1e-4)
        weights.append(model.policy_weight.detach().clone())
    again = policy()
    other = demonstrations(32, seed=6)
    for metrics, weight in zip(
        train(again, data, other, Config(epochs=4)),
        weights,
        strict=True,
    ):
        assert torch.equal(again.policy_weight, weight)
        assert metrics["val/nll_avg"] == pytest.approx(nll(again, other), rel=1e-4)


def test_it_learns() -> None:
    model, held_out = policy(), demonstrations(300, seed=9)
    config = Config(learning_rate=1e-2, epochs=25)
    metrics = list(train(model, demonstrations(300), held_out, config))
    assert metrics[0]["val/nll_avg"] > 1 and metrics[-1]["val/nll_avg"] < 0.3
    chosen = model.distribution(held_out.record.observations[:, 0]).mode()
    assert (chosen == held_out.record.actions[:, 0]).float().mean() > 0.9


def test_masked_steps_teach_nothing() -> None:
    data = demonstrations(40)
    wrong = data.record.actions.clone()
    mask = torch.ones(40, 1, dtype=torch.bool)
    mask[::3] = False
    wrong[::3] = 0
    found = []
    for actions in (data.record.actions, wrong):
        model = policy()
        record = Transitions(
            data.record.observations,
            actions,
            data.record.executed,
            data.record.successors,
            torch.zeros(40, 1),
        )
        for _ in train(model, Demonstrations(mask, record), data, Config(epochs=2, minibatch_size=10)):
            pass
        found.append(model.policy_weight.detach().clone())
    assert torch.equal(*found)
