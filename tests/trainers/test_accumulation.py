"""Microbatches: a batch too large for its graph is taken in pieces, exactly as if it were whole."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Episodes, Loss
from plaudit.batches.rows import take
from plaudit.maths.constraint import StopAt
from plaudit.models.language import tokens
from plaudit.models.language.adapters import Lora
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.trainers.steps import AdamOptimiser, Descent, Objective, Taken, descend
from tests.models.language.tiny import lm, seeded, sequences

PIECES = [None, 1, 3, 4, 7, 8, 100]


def linear() -> nn.Linear:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=seeded(1))
    return model


INPUTS = torch.randn(7, 3, generator=seeded(2))


def no_mean(outputs: Tensor) -> Loss:
    """A loss in which every row meets every other one."""
    return Loss((outputs @ outputs.T).square().sum() + outputs.prod())


@dataclass(frozen=True)
class Whole:
    """An objective of two functions."""

    rows: int
    outputs: Callable[[slice], Any]
    loss: Callable[[Any], Loss]


def down(objective: Objective, optimiser: AdamOptimiser, size: int | None, rate: float = 0.1) -> Taken:
    """One step down, in pieces of so many rows."""
    return descend(objective, optimiser, Descent(rate, None, size))


# ------------------------------------------------------------------------------------------------- against torch alone


@pytest.mark.parametrize("piece", PIECES)
def test_the_gradient_is_that_of_the_whole_whatever_the_loss(piece: int | None) -> None:
    model, plain = linear(), linear()
    expected = no_mean(plain(INPUTS)).total
    gradients = torch.autograd.grad(expected, list(plain.parameters()))
    optimiser = AdamOptimiser(model.parameters())
    taken = down(Whole(7, lambda rows: model(INPUTS[rows]), no_mean), optimiser, piece)
    loss, norm = taken.loss, taken.norm
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)
    flat = torch.cat([g.flatten() for g in gradients])
    torch.testing.assert_close(optimiser.flat.gradient, flat, rtol=1e-5, atol=1e-5)
    assert norm is not None and norm.item() == pytest.approx(flat.norm().item(), rel=1e-5)
    # Adam's first step by hand: the learning rate times the sign, but for eps
    before = torch.cat([p.flatten() for p in plain.parameters()])
    torch.testing.assert_close(
        optimiser.flat.vector, before - 0.1 * flat / (flat.abs() + 1e-5), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("piece", [None, 2])
def test_clipping_is_of_the_whole_gradient(piece: int | None) -> None:
    model = linear()
    optimiser = AdamOptimiser(model.parameters())
    objective = Whole(7, lambda rows: model(INPUTS[rows]), no_mean)
    norm = descend(objective, optimiser, Descent(0.1, 0.5, piece)).norm
    assert norm is not None and norm.item() > 1
    assert optimiser.flat.gradient.norm().item() == pytest.approx(0.5, rel=1e-4)


@dataclass(frozen=True)
class Pair:
    first: Tensor
    second: Tensor
    nothing: Tensor | None = None
    name: str = "pair"


@pytest.mark.parametrize("piece", PIECES)
def test_outputs_with_several_fields_some_of_which_the_loss_ignores(piece: int | None) -> None:
    model = linear()
    optimiser = AdamOptimiser(model.parameters())

    def outputs(rows: slice) -> Pair:
        out = model(INPUTS[rows])
        return Pair(out[:, 0], out[:, 1].exp())

    def loss(pair: Pair) -> Loss:
        assert pair.nothing is None and pair.name == "pair" and pair.first.shape == (7,)
        return Loss((pair.first.sum() - 1) ** 2)

    down(Whole(7, outputs, loss), optimiser, piece)
    plain = linear()
    gradients = torch.autograd.grad((plain(INPUTS)[:, 0].sum() - 1) ** 2, list(plain.parameters()))
    torch.testing.assert_close(
        optimiser.flat.gradient, torch.cat([g.flatten() for g in gradients]), rtol=1e-5, atol=1e-5
    )


def test_one_piece_at_a_time_has_a_graph() -> None:
    model, seen = linear(), []

    def outputs(rows: slice) -> Tensor:
        seen.append((range(7)[rows], torch.is_grad_enabled()))
        return model(INPUTS[rows])

    down(Whole(7, outputs, no_mean), AdamOptimiser(model.parameters()), 3)
    pieces = [range(0, 3), range(3, 6), range(6, 7)]
    assert seen == [(rows, False) for rows in pieces] + [(rows, True) for rows in pieces]


@pytest.mark.parametrize("piece", PIECES)
def test_a_loss_that_asks_to_stop_changes_nothing(piece: int | None) -> None:
    model = linear()
    optimiser = AdamOptimiser(model.parameters())
    before = optimiser.flat.vector.clone()

    def stop(outputs: Tensor) -> Loss:
        return Loss(outputs.sum(), {"moved": outputs.sum().detach()}, stop=True)

    taken = down(Whole(7, lambda rows: model(INPUTS[rows]), stop), optimiser, piece)
    loss, norm = taken.loss, taken.norm
    assert norm is None and loss.stop and loss.metrics["moved"].item() == pytest.approx(loss.total.item())
    assert torch.equal(optimiser.flat.vector, before) and optimiser.count == 0
    assert not optimiser.mean.any() and not optimiser.square.any()


# --------------------------------------------------------------------------------------- PPO on answers of any lengths


def episodes(policy: LanguagePolicy, record: tokens.Tokens) -> Episodes:
    """Old scores a little away from the policy's own, and a reward for each answer."""
    g, mask = seeded(5), record.mask
    with torch.no_grad():
        scores, following = policy.score(record)
    off = torch.randn(mask.shape, generator=g) * 0.2
    last = mask & (mask.flip(1).cumsum(dim=1).flip(1) == 1)
    rewards = torch.where(last, torch.randn(len(mask), 1, generator=g), 0.0)
    return Episodes(
        torch.where(mask, scores.logp + off, 0.0), rewards, last, last, mask, scores.values, following
    )


def gradient(
    piece: int | None, config: PolicyConfig, settings: ppo.Config
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The gradient of a step of PPO, the parameters after it, and its metrics."""
    policy = LanguagePolicy(lm(), config, seeded(3))
    with torch.no_grad():
        policy.value.weight.normal_(generator=seeded(4))
        for name, p in policy.named_parameters():
            if "lora_B" in name:
                p.normal_(0.0, 0.3, generator=seeded(6))
    prompts, answers = sequences([3, 9, 1, 5, 2, 7, 4], 1), sequences([6, 1, 12, 4, 9, 2, 7], 2)
    record = tokens.answers(prompts, answers)
    old = episodes(policy, record)
    advantages = ppo.advantages(old, settings)
    optimiser = AdamOptimiser(policy.parameters())
    judged: Callable[[Any], Loss] = lambda scores: ppo.loss(scores, old, advantages, settings)  # noqa: E731
    taken = down(Whole(7, lambda rows: policy.scores(record, rows), judged), optimiser, piece, 1e-3)
    loss, norm = taken.loss, taken.norm
    assert norm is not None
    return (
        optimiser.flat.gradient,
        optimiser.flat.vector,
        loss.metrics | {"total": loss.total.detach(), "norm": norm},
    )


@pytest.mark.parametrize("config", [PolicyConfig(rows=2), PolicyConfig("separate", lora=Lora(rank=2))])
def test_35_ppo_with_standardised_advantages_on_uneven_lengths(config: PolicyConfig) -> None:
    settings = ppo.Config(discount=1.0, entropy_coef=0.01)
    whole, moved, metrics = gradient(None, config, settings)
    assert 0 < metrics["policy/clipfrac_avg"].item() < 1
    for piece in (1, 3, 5):
        mine, after, again = gradient(piece, config, settings)
        # by the norm: how single numbers near 0 are rounded depends on the shapes and on the processor
        assert (mine - whole).norm() < 1e-5 * whole.norm()
        torch.testing.assert_close(after, moved, rtol=1e-4, atol=1e-5)
        for name, value in metrics.items():
            assert again[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("piece", [None, 2])
def test_ppo_stops_at_its_limit(piece: int | None) -> None:
    policy = LanguagePolicy(lm(), PolicyConfig(), seeded(3))
    record = tokens.answers(sequences([3, 5, 2], 1), sequences([6, 1, 4], 2))
    old, settings = episodes(policy, record), ppo.Config(discount=1.0, constraint=StopAt(1e-4))
    optimiser, advantages = AdamOptimiser(policy.parameters()), ppo.advantages(old, settings)
    before = optimiser.flat.vector.clone()
    judged: Callable[[Any], Loss] = lambda scores: ppo.loss(scores, old, advantages, settings)  # noqa: E731
    taken = down(Whole(3, lambda rows: policy.scores(record, rows), judged), optimiser, piece)
    loss, norm = taken.loss, taken.norm
    assert loss.stop and norm is None and torch.equal(optimiser.flat.vector, before)


def test_12_the_ratio_is_one_on_the_first_pass_in_minibatches_too() -> None:
    policy = LanguagePolicy(lm(), PolicyConfig(rows=3), seeded(3))
    record = tokens.answers(sequences([3, 9, 1, 5, 2], 1), sequences([6, 1, 12, 4, 9], 2))
    with torch.no_grad():
        old = policy.scores(record)
    policy.train()
    for rows in (torch.tensor([4, 1]), torch.tensor([0, 2, 3])):
        part = take(record, rows)
        new = policy.scores(part)
        ratio = (new.logp - old.logp[rows])[part.mask].exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-5, rtol=0)
