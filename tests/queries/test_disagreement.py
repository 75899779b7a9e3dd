"""Disagreement against loops over the definition; the unbiased variance; ties."""

import math
import statistics
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.queries import disagreement, random


def slow_variance(returns: list[list[float]], pair: list[int], scale: float) -> float:
    chances = []
    for member in returns:
        chances.append(1 / (1 + math.exp(-scale * (member[pair[0]] - member[pair[1]]))))
    return statistics.variance(chances)  # divides by n - 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(4, 12))
def test_the_most_disputed_first(seed: int, members: int, windows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    returns = torch.randn(members, windows, generator=generator, dtype=torch.float64)
    candidates = random.pairs(windows, windows * (windows - 1) // 2, generator)
    count = windows // 2
    chosen = disagreement.pairs(returns, candidates, count, generator, scale=0.7)
    ranked = sorted(candidates.tolist(), key=lambda pair: -slow_variance(returns.tolist(), pair, 0.7))
    assert chosen.tolist() == ranked[:count]


def test_unbiased_by_hand() -> None:
    # logits 3 and -1: their mean is 1 and their unbiased variance (2^2 + 2^2) / (2 - 1) = 8; so for sigma
    returns = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    p, q = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(1))
    middle = (p + q) / 2
    expected = ((p - middle) ** 2 + (q - middle) ** 2) / 1
    assert disagreement.variance(returns, torch.tensor([[0, 1]])).item() == pytest.approx(expected)


def test_the_order_within_a_pair_does_not_matter() -> None:
    returns = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    pairs = torch.combinations(torch.arange(6))
    forth, back = disagreement.variance(returns, pairs), disagreement.variance(returns, pairs.flip(1))
    assert torch.allclose(forth, back)


def test_ties_are_broken_by_the_generator() -> None:
    returns = torch.zeros(3, 5)  # nobody disagrees anywhere
    candidates = torch.combinations(torch.arange(5))
    generator = torch.Generator().manual_seed(0)
    drawn = [disagreement.pairs(returns, candidates, 1, generator)[0].tolist() for _ in range(2000)]
    first = Counter(map(tuple, drawn))
    assert len(first) == 10
    assert all(abs(times - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5 for times in first.values())


def test_a_pair_given_twice_is_taken_once_while_others_are_left() -> None:
    returns = torch.tensor([[5.0, 0.0, 0.0], [-5.0, 0.0, 0.1]])
    candidates = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 2]])
    chosen = disagreement.pairs(returns, candidates, 2, torch.Generator().manual_seed(0))
    assert {frozenset(pair) for pair in chosen.tolist()} == {frozenset({0, 1}), frozenset({1, 2})}


def test_errors_say_how_to_mend_them() -> None:
    generator = torch.Generator().manual_seed(0)
    candidates = torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(PlauditError, match="take at least 2, or `ask: random`"):
        disagreement.pairs(torch.zeros(1, 3), candidates, 1, generator)
    with pytest.raises(PlauditError, match="3 pairs wanted but only 2"):
        disagreement.pairs(torch.zeros(2, 3), candidates, 3, generator)


def test_well_separated_pairs_are_still_told_apart() -> None:
    """In single precision sigma(20) and sigma(40) are both 1: double precision sees that one is less sure."""
    # differences of the two members: 20 and 24 for the pair (0, 1), 30 and 40 for the pair (2, 3)
    returns = torch.tensor([[20.0, 0.0, 30.0, 0.0], [24.0, 0.0, 40.0, 0.0]])
    candidates = torch.tensor([[2, 3], [0, 1]])
    found = disagreement.variance(returns, candidates).tolist()
    expected = []
    for one, other in ((30.0, 40.0), (20.0, 24.0)):
        p = [
            -math.expm1(-math.log1p(math.exp(-d))) for d in (one, other)
        ]  # 1 - sigma(d), of the same variance
        mean = sum(p) / 2
        expected.append(sum((x - mean) ** 2 for x in p))
    assert found[1] == pytest.approx(expected[1], rel=1e-4) and 0 < found[0] < found[1]
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        assert disagreement.pairs(returns, candidates, 1, generator).tolist() == [[0, 1]]
