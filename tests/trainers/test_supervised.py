"""Descending a loss on recorded behaviour: every row once an epoch, and equal to torch's own optimiser."""

import copy
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from plaudit.algorithms.imitation import bc
from plaudit.algorithms.preference import dpo
from plaudit.batches import Demonstrations, Loss, Pairs, Scores
from plaudit.batches.rows import flattened
from plaudit.errors import Diverged
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.transitions import Transitions
from plaudit.trainers import supervised
from plaudit.trainers.on_policy import Algorithm
from plaudit.trainers.steps import Descent, Taken, descend
from plaudit.trainers.supervised import Config, Supervised, run, with_reference

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


def test_the_linear_schedule_has_its_full_rate_first_and_one_step_left_at_the_end(monkeypatch) -> None:
    """Step i of n has the rate (n - i) / n, i from 0: the last step is not wasted; warmup rises to the full rate."""
    for changes, expected in (
        ({}, [1.0, 0.8, 0.6, 0.4, 0.2]),
        ({"warmup": 3}, [1 / 3, 0.8 * 2 / 3, 0.6, 0.4, 0.2]),
        ({"schedule": "constant"}, [1.0] * 5),
    ):
        rates: list[float] = []

        def noted(objective: Any, optimiser: Any, how: Descent, rates: list[float] = rates) -> Taken:
            rates.append(how.rate)
            return descend(objective, optimiser, how)

        monkeypatch.setattr(supervised, "descend", noted)
        config = Config(
            **{"learning_rate": 0.1, "schedule": "linear", "steps": 5, "minibatch_size": 4} | changes
        )
        data = demonstrations(8)
        assert len(list(train(policy(), data, data, config))) == 3  # reports after each pass, and at the end
        assert rates == pytest.approx([0.1 * rate for rate in expected])


def test_a_run_cut_in_two_is_the_run_in_one_piece() -> None:
    data, config = demonstrations(20), Config(epochs=4, minibatch_size=6, log_every=3)

    def fresh(seed: int) -> Supervised:
        generator = torch.Generator().manual_seed(seed)
        return Supervised(policy(seed), data, data, Algorithm(bc, bc.Config()), config, generator)

    straight = fresh(1)
    reports = list(run(straight))
    cut = fresh(1)
    first = [cut.step(), cut.step()]
    saved = {name: copy.deepcopy(value) for name, value in cut.state_dict().items()}
    resumed = fresh(5)
    resumed.step()
    resumed.load_state_dict(saved)
    assert first + list(run(resumed)) == reports
    assert resumed.progress == 1 and resumed.updates == straight.updates
    for one, other in zip(straight.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_that_are_no_numbers_are_told() -> None:
    data = demonstrations(8)
    with pytest.raises(Diverged, match="the weights are"):
        list(train(policy(), data, data, Config(learning_rate=1e300, weight_decay=0.0, epochs=3)))


# ----------------------------------------------------------------------------------------------------- pairs


def sides(count: int, seed: int = 3) -> Pairs:
    """Two steps of each side; who looks more often at the larger of the first two numbers is preferred."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(count, 2, 2, 3, generator=generator)
    actions = torch.randint(4, (count, 2, 2), generator=generator)
    nothing = torch.zeros(count, 2, 2)
    one_hot = torch.nn.functional.one_hot(actions, 4).float()
    right = (actions // 2 == (states[..., 0] > states[..., 1]).long()).sum(dim=2)
    preference = 0.5 + 0.5 * torch.sign(right[:, 0] - right[:, 1]).float()
    mask = torch.ones(count, 2, 2, dtype=torch.bool)
    mask[::3, 1, 1] = False
    return Pairs(mask, preference, Transitions(states, actions, one_hot, states, nothing))


def slow_dpo(
    model: ActorCritic, reference: ActorCritic, pairs: Pairs, rows: list[int], beta: float
) -> Tensor:
    """Side by side, step by step."""
    total: Any = 0.0
    for p in rows:
        margin: Any = 0.0
        for side, sign in ((0, 1.0), (1, -1.0)):
            for t in range(2):
                if pairs.mask[p, side, t]:
                    state, action = (
                        pairs.record.observations[p, side, t][None],
                        pairs.record.actions[p, side, t],
                    )
                    new = model.distribution(state).logits.log_softmax(-1)[0, action]
                    with torch.no_grad():
                        old = reference.distribution(state).logits.log_softmax(-1)[0, action]
                    margin = margin + sign * beta * (new - old)
        said = float(pairs.preference[p])
        total = total - said * logsigmoid(margin) - (1 - said) * logsigmoid(-margin)
    return total / len(rows)


def test_dpo_on_pairs_is_torchs_own_optimiser_on_the_formula() -> None:
    pairs, model, slow, reference = sides(10), policy(1), policy(1), policy(1)
    pairs = with_reference(pairs, reference, rows=4)
    with torch.no_grad():
        expected = reference.scores(flattened(pairs.record)).logp.unflatten(0, (10, 2))
    torch.testing.assert_close(pairs.ref_logp, expected)
    config = Config(learning_rate=1e-2, weight_decay=0.0, epochs=2, minibatch_size=4)
    algorithm, generator = Algorithm(dpo, dpo.Config(beta=0.5)), torch.Generator().manual_seed(4)
    reports = list(run(Supervised(model, pairs, pairs, algorithm, config, generator)))
    generator = torch.Generator().manual_seed(4)
    optimiser = torch.optim.AdamW(slow.parameters(), 1e-2, eps=1e-5, weight_decay=0.0)
    for epoch in range(2):
        losses = []
        for rows in torch.randperm(10, generator=generator).split(4):
            loss = slow_dpo(slow, reference, pairs, rows.tolist(), 0.5)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert reports[epoch]["loss/total"] == pytest.approx(sum(losses) / 3, rel=1e-4)
        if epoch == 0:
            assert losses[0] == pytest.approx(math.log(2), abs=1e-6)  # it starts at the reference
    for (name, one), (_, other) in zip(model.named_parameters(), slow.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)
    assert reports[-1]["val/nll_avg"] == pytest.approx(
        slow_dpo(slow, reference, pairs, list(range(10)), 0.5).item(), rel=1e-3
    )
    assert "val/rewards_margins" in reports[-1] and "rewards/accuracies" in reports[-1]


@pytest.mark.parametrize("size", [1, 3])
def test_pairs_in_pieces_are_pairs_as_a_whole(size: int) -> None:
    pairs = with_reference(sides(10), policy(1), rows=10)
    found = []
    for microbatch in (None, size):
        model = policy(1)
        config = Config(learning_rate=1e-2, epochs=2, minibatch_size=5, microbatch_size=microbatch)
        list(
            run(
                Supervised(
                    model,
                    pairs,
                    pairs,
                    Algorithm(dpo, dpo.Config()),
                    config,
                    torch.Generator().manual_seed(4),
                )
            )
        )
        found.append(model.policy_weight.detach())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_it_learns_from_pairs() -> None:
    model, reference, held_out = policy(1), policy(1), sides(200, 8)
    pairs, held_out = (with_reference(one, reference, 64) for one in (sides(300), held_out))
    config = Config(learning_rate=1e-2, epochs=10)
    algorithm = Algorithm(dpo, dpo.Config(beta=0.5))
    reports = list(
        run(Supervised(model, pairs, held_out, algorithm, config, torch.Generator().manual_seed(0)))
    )
    assert reports[-1]["val/nll_avg"] < reports[0]["val/nll_avg"] < math.log(2)
    assert reports[-1]["val/rewards_accuracies"] > 0.75
