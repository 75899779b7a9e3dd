"""Adam over a flat vector against torch.optim, against the paper's loop, and through a save."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plaudit.trainers.steps import AdamOptimiser


def network(seed: int = 0) -> nn.Sequential:
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    torch.set_rng_state(before)
    return made


def losses(steps: int, scale: float = 1.0) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(16, 3, generator=generator), scale * torch.randn(16, 2, generator=generator))
        for _ in range(steps)
    ]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("limit", [None, 0.5, 100.0])
def test_step_for_step_the_same_as_torch(weight_decay: float, limit: float | None) -> None:
    mine, theirs = network(), network()
    adam = AdamOptimiser(mine.parameters(), weight_decay=weight_decay)
    if weight_decay:
        oracle: torch.optim.Optimizer = torch.optim.AdamW(
            theirs.parameters(), eps=1e-5, weight_decay=weight_decay
        )
    else:
        oracle = torch.optim.Adam(theirs.parameters(), eps=1e-5)
    for i, (x, y) in enumerate(losses(30, scale=5.0)):
        rate = 1e-2 * (1 - i / 30)  # a falling step size
        norm = adam.step(((mine(x) - y) ** 2).mean(), rate, limit)
        oracle.zero_grad()
        ((theirs(x) - y) ** 2).mean().backward()
        expected = nn.utils.clip_grad_norm_(theirs.parameters(), math.inf if limit is None else limit)
        oracle.param_groups[0]["lr"] = rate
        oracle.step()
        assert torch.allclose(norm, expected, rtol=1e-5)
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_the_first_steps_are_algorithm_1_of_the_paper() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    adam = AdamOptimiser([parameter])
    x, m, v = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for t in range(1, 6):
        adam.step((parameter**3).sum(), 0.1, None)
        gradient = [3 * xi**2 for xi in x]
        for i in range(2):
            m[i] = 0.9 * m[i] + 0.1 * gradient[i]
            v[i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2
            x[i] -= 0.1 * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-5)
        assert parameter.tolist() == pytest.approx(x, abs=1e-9)


def test_clipping_worked_by_hand() -> None:
    # gradient (3, 4) has norm 5; scaled to norm .5 it is (.3, .4)
    parameter = nn.Parameter(torch.zeros(2))
    adam = AdamOptimiser([parameter])
    norm = adam.step((parameter * torch.tensor([3.0, 4.0])).sum(), 0.0, 0.5)
    assert norm.item() == 5 and parameter.tolist() == [0.0, 0.0]  # a step size of 0 goes nowhere
    assert adam.flat.gradient.tolist() == pytest.approx([0.3, 0.4], abs=1e-6)


def test_a_saved_state_continues_bit_for_bit() -> None:
    straight, data = network(), losses(10)
    adam = AdamOptimiser(straight.parameters(), weight_decay=0.01)
    halfway: tuple[dict[str, Tensor], dict[str, Any]] = ({}, {})
    for i, (x, y) in enumerate(data):
        if i == 5:
            halfway = ({k: v.clone() for k, v in straight.state_dict().items()}, adam.state_dict())
        adam.step(((straight(x) - y) ** 2).mean(), 1e-2, 0.5)

    resumed = network(seed=9)
    again = AdamOptimiser(resumed.parameters(), weight_decay=0.01)
    again.step(resumed(data[0][0]).sum(), 1e-2, None)  # a past of its own, to be forgotten
    resumed.load_state_dict(halfway[0])
    again.load_state_dict(halfway[1])
    for x, y in data[5:]:
        again.step(((resumed(x) - y) ** 2).mean(), 1e-2, 0.5)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_saved_state_is_a_copy() -> None:
    parameter = nn.Parameter(torch.ones(3))
    adam = AdamOptimiser([parameter])
    adam.step(parameter.sum(), 0.1, None)
    saved = adam.state_dict()
    written = {name: torch.as_tensor(value).clone() for name, value in saved.items()}
    adam.step(parameter.sum(), 0.1, None)
    assert saved and all(torch.equal(written[name], torch.as_tensor(saved[name])) for name in saved)


def test_parameters_keep_their_values_shapes_and_frozen_ones_stay() -> None:
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made[0].weight.requires_grad_(False)
    adam = AdamOptimiser(made.parameters())
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())
    x, y = losses(1)[0]
    adam.step(((made(x) - y) ** 2).mean(), 1e-2, None)
    assert torch.equal(made[0].weight, before["0.weight"])
    assert not torch.equal(made[2].weight, before["2.weight"])


def test_what_others_do_to_gradients_in_between_changes_nothing() -> None:
    one, two = network(), network()
    first, second = AdamOptimiser(one.parameters()), AdamOptimiser(two.parameters())
    for x, y in losses(3):
        first.step(((one(x) - y) ** 2).mean(), 1e-2, None)
        two(x).sum().backward()
        two.zero_grad()
        second.step(((two(x) - y) ** 2).mean(), 1e-2, None)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_parameter_the_loss_does_not_touch_stays() -> None:
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    adam = AdamOptimiser([used, idle])
    adam.step(used.sum(), 0.1, None)
    assert torch.equal(idle, torch.ones(2)) and not torch.equal(used, torch.ones(2))


def test_nothing_global_is_drawn_or_moved_when_there_is_no_gradient() -> None:
    before = torch.get_rng_state()
    parameter = nn.Parameter(torch.ones(2))
    norm = AdamOptimiser([parameter]).step((parameter * 0).sum(), 0.1, 0.5)
    assert norm == 0 and parameter.tolist() == [1.0, 1.0]
    assert torch.equal(torch.get_rng_state(), before)
