"""Random pairs: distinct, without repetition, uniform, in random order, on both ways of drawing them."""

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.queries import random, segments
from plaudit.queries.random import repeats


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["listed", "drawn"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of drawing."""
    monkeypatch.setattr(random, "LISTED", 2**18 if request.param == "listed" else 0)
    return request.param


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 40), st.integers(0, 60), st.integers(0, 1000))
def test_never_itself_never_twice_while_others_are_left(windows: int, count: int, seed: int) -> None:
    drawn = random.pairs(windows, count, seeded(seed))
    assert drawn.shape == (count, 2)
    assert ((drawn >= 0) & (drawn < windows)).all()
    assert all(first != second for first, second in drawn.tolist())
    times = Counter(frozenset(pair) for pair in drawn.tolist())
    possible = windows * (windows - 1) // 2
    assert len(times) == min(count, possible)
    assert max(times.values(), default=0) - min(times.values(), default=0) <= (count > possible or 1)


def test_few_of_many_are_distinct() -> None:
    drawn = random.pairs(60_000, 3000, seeded(0))  # 1.8e9 possible pairs: they must not be listed
    assert len({frozenset(pair) for pair in drawn.tolist()}) == 3000
    assert abs(drawn.double().mean() / 59_999 - 0.5) < 5 * (1 / 12 / 6000) ** 0.5  # five standard errors


def test_distinct_where_most_are_drawn(way: str) -> None:
    for seed in range(20):  # 90 of 190: without the check several would come twice
        drawn = random.pairs(20, 90, seeded(seed))
        assert len({frozenset(pair) for pair in drawn.tolist()}) == 90


def test_uniform_over_pairs_and_orders(way: str) -> None:
    generator = seeded(1)
    tries = 3000
    seen = Counter(tuple(pair) for _ in range(tries) for pair in random.pairs(5, 2, generator).tolist())
    assert set(seen) == set(itertools.permutations(range(5), 2))
    expected = tries * 2 / 20  # each of the 20 ordered pairs alike
    statistic = sum((count - expected) ** 2 / expected for count in seen.values())
    assert statistic < 43.8  # chi-squared, 19 degrees of freedom, p = .001


def test_the_generator_decides(way: str) -> None:
    first, again, other = (random.pairs(50, 10, seeded(seed)) for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_overlapping_windows_are_not_compared(way: str) -> None:
    mask = torch.ones(2, 30, dtype=torch.bool)
    places = segments.windows(mask, torch.zeros_like(mask), 10)
    drawn = random.pairs(len(places), 100, seeded(5), segments.apart(places, 10))
    for first, second in drawn.tolist():
        (row, start), (other, begin) = places[first].tolist(), places[second].tolist()
        assert row != other or abs(start - begin) >= 10
    assert any(places[first, 0] == places[second, 0] for first, second in drawn.tolist())


def test_errors_say_how_to_mend_them(way: str) -> None:
    with pytest.raises(PlauditError, match="1 window.* but a comparison takes two; choose a shorter segment"):
        random.pairs(1, 3, seeded(0))
    places = torch.tensor([[0, step] for step in range(8)])
    with pytest.raises(PlauditError, match="overlap; choose a shorter segment"):
        random.pairs(8, 3, seeded(0), segments.apart(places, 10))


def test_repeats_ignore_order() -> None:
    pairs = torch.tensor([[1, 2], [0, 3], [2, 1], [1, 2], [3, 4], [3, 0]])
    assert repeats(pairs).tolist() == [False, False, True, True, False, True]
    assert repeats(pairs[:0]).tolist() == []
