"""The orders options are shown in: balanced by construction, even-handed over people, and fixed for ever."""

from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.storage.queue import BLOCK, shown_order


@given(st.integers(0, 2**63), st.text(min_size=1), st.integers(1, 6), st.integers(0, 50))
def test_each_option_comes_before_each_other_one_twice_in_a_block(
    seed: int, annotator: str, count: int, block: int
) -> None:
    orders = [shown_order(seed, annotator, count, BLOCK * block + place) for place in range(BLOCK)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    for a in range(count):
        for b in range(a):
            assert sum(order.index(a) < order.index(b) for order in orders) == 2


@pytest.mark.parametrize("count", [2, 3])
def test_over_many_people_every_order_is_equally_likely_at_every_place(count: int) -> None:
    people = 1200
    for position in range(BLOCK):
        seen = Counter(shown_order(3, f"person {i}", count, position) for i in range(people))
        expected = people / len(list(permutations(range(count))))
        chi = sum((seen[order] - expected) ** 2 / expected for order in permutations(range(count)))
        assert chi < 25  # 5 degrees of freedom at most: p < .0002


def test_all_six_patterns_of_two_sides_occur() -> None:
    """Within a block nothing but the last showing can be foretold."""
    patterns = Counter(
        tuple(shown_order(0, f"person {i}", 2, p)[0] for p in range(BLOCK)) for i in range(1200)
    )
    assert set(patterns) == {p for p in permutations((0, 0, 1, 1))}
    assert all(140 < count < 260 for count in patterns.values())


def test_the_orders_never_change() -> None:
    """Noted once: another version of plaudit or Python must show a stored study the same way."""
    assert "".join(str(shown_order(0, "ann", 2, p)[0]) for p in range(8)) == "11001100"
    assert [shown_order(7, "安娜", 3, p) for p in range(4)] == [(2, 1, 0), (0, 1, 2), (0, 2, 1), (1, 2, 0)]
