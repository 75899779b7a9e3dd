"""Pairs that occur again, whichever way round."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.queries.random import repeats


def test_by_hand() -> None:
    pairs = torch.tensor([[1, 2], [2, 1], [1, 3], [3, 1], [1, 2], [0, 3]])
    assert repeats(pairs).tolist() == [False, True, False, True, True, False]
    assert repeats(pairs[:0]).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=20))
def test_against_a_set(listed: list[tuple[int, int]]) -> None:
    seen: set[frozenset[int]] = set()
    expected = []
    for pair in listed:
        expected.append(frozenset(pair) in seen)
        seen.add(frozenset(pair))
    assert repeats(torch.tensor(listed, dtype=torch.long).reshape(-1, 2)).tolist() == expected
