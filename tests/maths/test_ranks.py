"""Centred ranks against sorting by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.maths.ranks import centred_ranks


def test_by_hand() -> None:
    # best .5, worst -.5, the tie shares the mean of the places 1 and 2 of 0 to 3
    assert centred_ranks(torch.tensor([10.0, -5.0, 7.0, 7.0])).tolist() == [0.5, -0.5, 0.0, 0.0]
    assert centred_ranks(torch.tensor([3.0])).tolist() == [0.0]
    assert centred_ranks(torch.tensor([1.0, 2.0])).tolist() == [-0.5, 0.5]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([-2.5, 0.0, 1.0, 3.0, 1e6]), min_size=2, max_size=9))
def test_ties_share_the_mean_of_their_places(fitness: list[float]) -> None:
    ordered = sorted(fitness)
    expected = []
    for x in fitness:
        places = [i for i, y in enumerate(ordered) if y == x]
        expected.append(sum(places) / len(places) / (len(fitness) - 1) - 0.5)
    found = centred_ranks(torch.tensor(fitness, dtype=torch.float64))
    assert found.tolist() == pytest.approx(expected)
    assert float(found.sum()) == pytest.approx(0, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_only_the_order_counts(fitness: list[int]) -> None:
    plain = torch.tensor(fitness, dtype=torch.float64)
    assert torch.equal(centred_ranks(plain), centred_ranks((plain / 10).exp() * 3 - 7))
    assert torch.allclose(centred_ranks(-plain), -centred_ranks(plain))
    assert torch.equal(centred_ranks(plain.flip(0)), centred_ranks(plain).flip(0))
