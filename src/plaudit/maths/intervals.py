"""The score interval of a share (Wilson 1927, equation 7)."""

from math import sqrt


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share (Wilson 1927); (0, 1) without data."""
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
