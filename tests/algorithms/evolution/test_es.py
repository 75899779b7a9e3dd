"""Evolution strategies: antithetic draws, and an estimate that is the gradient of what it is told."""

import pytest
import torch
from torch import Tensor

from plaudit.algorithms.evolution import es
from plaudit.maths.ranks import centred_ranks

CENTRE = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_perturbation_has_its_opposite() -> None:
    config = es.Config(pairs=500, sigma=0.2)
    tried = es.ask(CENTRE, config, generator())
    assert tried.shape == (1000, 3) and tried.dtype == CENTRE.dtype
    up, down = tried.chunk(2)
    torch.testing.assert_close(up + down, (2 * CENTRE).expand(500, 3))
    torch.testing.assert_close(tried.mean(dim=0), CENTRE)
    assert (up - CENTRE).std(dim=0).tolist() == pytest.approx([0.2] * 3, rel=0.1)
    assert torch.equal(es.ask(CENTRE, config, generator()), tried)
    assert not torch.equal(es.ask(CENTRE, config, generator(1)), tried)


def slow_tell(centre: Tensor, tried: Tensor, fitness: Tensor, config: es.Config) -> list[float]:
    """Algorithm 1 of the paper with fitness by its rank."""
    ranks, count = centred_ranks(fitness), len(tried)
    found = []
    for d in range(len(centre)):
        total = 0.0
        for i in range(count):
            noise = (float(tried[i, d]) - float(centre[d])) / config.sigma
            total += float(ranks[i]) * noise
        found.append(total / (count * config.sigma) - config.decay * float(centre[d]))
    return found


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_against_the_loop(decay: float) -> None:
    config = es.Config(pairs=7, sigma=0.3, decay=decay)
    tried = es.ask(CENTRE, config, generator())
    fitness = torch.randn(14, generator=generator(1), dtype=torch.float64)
    assert es.tell(CENTRE, tried, fitness, config).tolist() == pytest.approx(
        slow_tell(CENTRE, tried, fitness, config)
    )


def test_by_hand() -> None:
    # one pair, noise +-1 of sigma .5, the first is better: ranks +-.5; (.5 * 1 + -.5 * -1) / (2 * .5) = 1
    config = es.Config(pairs=1, sigma=0.5)
    centre = torch.zeros(1)
    tried = torch.tensor([[0.5], [-0.5]])
    assert es.tell(centre, tried, torch.tensor([3.0, 1.0]), config).tolist() == [1.0]
    assert es.tell(centre, tried, torch.tensor([1.0, 3.0]), config).tolist() == [-1.0]
    assert es.tell(centre, tried, torch.tensor([2.0, 2.0]), config).tolist() == [0.0]
    pulled = es.tell(
        centre + 2, tried + 2, torch.tensor([2.0, 2.0]), es.Config(pairs=1, sigma=0.5, decay=0.1)
    )
    assert pulled.tolist() == pytest.approx([-0.2])


def quadratic(x: Tensor) -> Tensor:
    target = torch.tensor([1.5, 0.5, 2.5], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    return -(weight * (x - target) ** 2).sum(dim=-1)


def numerical_gradient(x: Tensor, step: float = 1e-4) -> Tensor:
    found = []
    for d in range(len(x)):
        move = torch.zeros_like(x)
        move[d] = step
        found.append((quadratic(x + move) - quadratic(x - move)) / (2 * step))
    return torch.stack(found)


def test_the_estimate_points_along_the_gradient_of_a_quadratic() -> None:
    """Ranks keep the direction where all perturbations are small: the fitness is linear there."""
    config = es.Config(pairs=4000, sigma=0.01)
    tried = es.ask(CENTRE, config, generator())
    found, truth = es.tell(CENTRE, tried, quadratic(tried), config), numerical_gradient(CENTRE)
    assert torch.nn.functional.cosine_similarity(found, truth, dim=0) > 0.999


def test_a_constant_or_any_rising_function_of_fitness_changes_nothing() -> None:
    config = es.Config(pairs=6)
    tried = es.ask(CENTRE, config, generator())
    fitness = quadratic(tried)
    plain = es.tell(CENTRE, tried, fitness, config)
    for same in (fitness + 100, 3 * fitness, fitness.exp()):
        assert torch.equal(es.tell(CENTRE, tried, same, config), plain)
    order = torch.randperm(12, generator=generator(2))
    torch.testing.assert_close(es.tell(CENTRE, tried[order], fitness[order], config), plain)


def test_it_climbs() -> None:
    x, config, draws = CENTRE.clone(), es.Config(pairs=20, sigma=0.1), generator()
    for _ in range(200):
        tried = es.ask(x, config, draws)
        x = x + 0.05 * es.tell(x, tried, quadratic(tried), config)
    assert float(quadratic(x)) > -0.02 > float(quadratic(CENTRE))
