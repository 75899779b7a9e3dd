"""What is unlike the rest is paid for: against distances by a loop."""

import math

import pytest
import torch

from plaudit.rewards import novelty as module
from plaudit.rewards.novelty import novelty


def slow(states: torch.Tensor, mask: torch.Tensor, k: int) -> list[float]:
    rows = [state.tolist() for state in states[mask]]
    spread = states[mask].std(dim=0).tolist()
    found = []
    for i, one in enumerate(rows):
        distances = sorted(
            math.sqrt(sum(((a - b) / (s + 1e-8)) ** 2 for a, b, s in zip(one, other, spread, strict=True)))
            for j, other in enumerate(rows)
            if i != j
        )
        found.append(math.log(1 + distances[min(k, len(distances)) - 1]))
    return found


def test_it_is_the_distance_to_the_fifth_neighbour() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 20, 4, generator=generator) * torch.tensor([1.0, 10.0, 0.1, 1.0])
    mask = torch.rand(3, 20, generator=generator) < 0.8
    paid = novelty(states, mask)
    assert paid.shape == mask.shape and (paid[~mask] == 0).all()
    assert paid[mask].tolist() == pytest.approx(slow(states, mask, 5), rel=1e-5)


def test_units_do_not_matter_and_what_lies_alone_is_paid_most() -> None:
    generator = torch.Generator().manual_seed(0)
    states, mask = torch.randn(1, 50, 2, generator=generator), torch.ones(1, 50, dtype=torch.bool)
    states[0, 7] = 20.0
    paid = novelty(states, mask)
    assert paid.argmax() == 7
    torch.testing.assert_close(
        novelty(states * torch.tensor([1000.0, 0.001]), mask), paid, rtol=1e-4, atol=1e-4
    )


def test_all_alike_one_and_none() -> None:
    mask = torch.ones(1, 6, dtype=torch.bool)
    assert novelty(torch.ones(1, 6, 2), mask).tolist() == [[0.0] * 6]
    assert novelty(torch.ones(1, 1, 2), mask[:, :1]).tolist() == [[0.0]]
    assert novelty(torch.ones(1, 6, 2), ~mask).tolist() == [[0.0] * 6]


def test_a_large_rollout_is_compared_with_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPARED", 200)
    states = torch.randn(4, 500, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(4, 500, dtype=torch.bool)
    part, every = novelty(states, mask).flatten(), torch.tensor(slow(states[:, ::10], mask[:, ::10], 5))
    assert torch.isfinite(part).all() and part.mean() == pytest.approx(every.mean().item(), rel=0.25)
