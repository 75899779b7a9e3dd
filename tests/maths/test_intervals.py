"""The interval of a share by hand, and against the score test that it inverts."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.maths.intervals import wilson

Z = 1.959964


def test_wilson_by_hand() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # a textbook example
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-12)
    assert wilson(10, 10)[1] == pytest.approx(1, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_ends_where_the_score_test_rejects(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    for bound in wilson(k, n):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(k / n - bound) / sqrt(bound * (1 - bound) / n) == pytest.approx(Z, rel=1e-6)
