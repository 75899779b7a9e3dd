"""True returns of policies, and the difference between two."""

from math import sqrt

import numpy as np
import pytest

from plaudit.runs.returns import Change, Returns, change


def test_change_is_welch() -> None:
    """Means 10 and 14, sample deviations 2 and 4 over 4 and 9 episodes: worked by hand."""
    before = Returns(10.0, 2 * sqrt(3 / 4), 4)
    after = Returns(14.0, 4 * sqrt(8 / 9), 9)
    found = change(before, after)
    assert found is not None
    error2 = 4 / 4 + 16 / 9
    freedom = error2**2 / (1**2 / 3 + (16 / 9) ** 2 / 8)  # 10.6, taken as 10: t = 2.228
    assert int(freedom) == 10
    assert (found.gain, found.low, found.high) == pytest.approx(
        (4, 4 - 2.2281 * sqrt(error2), 4 + 2.2281 * sqrt(error2)), abs=1e-3
    )
    assert found.verdict == "better"
    assert change(before, Returns(10.5, 2.0, 5)).verdict == "unclear"  # pyright: ignore
    assert change(after, Returns(-9.0, 0.0, 5)).verdict == "worse"  # pyright: ignore
    assert change(before, Returns(1.0, 0.0, 1)) is None
    exact = change(Returns(1.0, 0.0, 5), Returns(2.0, 0.0, 5))
    assert exact == Change(1.0, 1.0, 1.0)


def test_returns_are_the_mean_and_spread_of_episodes() -> None:
    # deviations -3, -1, 4 from 5: sqrt(26 / 3)
    assert Returns.of(np.array([2.0, 4.0, 9.0])) == Returns(5.0, pytest.approx(sqrt(26 / 3)), 3)  # pyright: ignore
