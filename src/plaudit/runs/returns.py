"""True returns of policies, and the difference between two."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from plaudit.runs.statistics import t_quantile


@dataclass(frozen=True)
class Returns:
    """True returns of one policy."""

    mean: float
    std: float
    episodes: int

    @classmethod
    def of(cls, returns: np.ndarray) -> "Returns":
        """Mean and spread of the returns of episodes."""
        return cls(float(returns.mean()), float(returns.std()), len(returns))


@dataclass(frozen=True)
class Change:
    """After minus before, with Welch's 95 % interval."""

    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """better, worse or unclear."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "unclear"


def change(before: Returns, after: Returns) -> Change | None:
    """The difference of two means (Welch 1947); none where an interval needs more episodes."""
    if min(before.episodes, after.episodes) < 2:
        return None
    parts = [one.std**2 / (one.episodes - 1) for one in (before, after)]  # squared standard errors
    gain, error = after.mean - before.mean, sqrt(sum(parts))
    if error == 0:
        return Change(gain, gain, gain)
    spread = sum(part**2 / (one.episodes - 1) for part, one in zip(parts, (before, after), strict=True))
    half = error * t_quantile(0.95, max(1, int(error**4 / spread)))
    return Change(gain, gain - half, gain + half)
