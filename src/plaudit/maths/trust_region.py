"""The natural gradient step of a trust region (Schulman et al. 2015, arXiv:1502.05477, appendix C)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Product = Callable[[Float[Tensor, "D"]], Float[Tensor, "D"]]
"""A symmetric positive matrix by what it makes of a vector."""


def conjugate_gradient(
    product: Product, target: Float[Tensor, "D"], iterations: int, tolerance: float = 1e-10
) -> Float[Tensor, "D"]:
    """x with product(x) = target, from x = 0 (Hestenes and Stiefel 1952); fewer steps where the rest is below
    `tolerance` of the target's square."""
    x = torch.zeros_like(target)
    rest, direction = target.clone(), target.clone()
    square = rest @ rest
    enough = tolerance * square
    for _ in range(iterations):
        if square <= enough:
            break
        image = product(direction)
        rate = square / (direction @ image)
        x, rest = x + rate * direction, rest - rate * image
        previous, square = square, rest @ rest
        direction = rest + square / previous * direction
    return x


def longest_step(direction: Float[Tensor, "D"], product: Product, delta: float) -> Float[Tensor, "D"]:
    """The direction scaled to a KL of `delta` by the quadratic model: sqrt(2 delta / x^T H x) x; 0 for no direction."""
    curvature = direction @ product(direction)
    if curvature <= 0:
        return torch.zeros_like(direction)
    return (2 * delta / curvature).sqrt() * direction
