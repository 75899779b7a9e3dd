"""Statistics over the true positions of a mask; masked values are never read."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def total(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Sum over the mask. Where the mask is false even a NaN is invisible, to the gradient too."""
    return torch.where(mask, x, 0.0).sum()


def mean(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Mean over the mask; 0 where the mask is empty."""
    return total(x, mask) / mask.sum().clamp(min=1)


def row_total(x: Float[Tensor, "*R T"], mask: Bool[Tensor, "*R T"]) -> Float[Tensor, "*R"]:
    """Sum of every row over the mask."""
    return torch.where(mask, x, 0.0).sum(dim=-1)


def row_mean(x: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean of the means of the rows over the mask; rows without a true position are left out."""
    count = mask.sum(dim=1)
    means = row_total(x, mask) / count.clamp(min=1)
    return means.sum() / (count > 0).sum().clamp(min=1)


def var(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Unbiased variance (n - 1) over the mask; 0 for fewer than two elements."""
    return (centred(x, mask) ** 2).sum() / (mask.sum() - 1).clamp(min=1)


def centred(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """x - mean over the mask, 0 elsewhere; twice, so that equal numbers give 0 and not the mean's rounding error."""
    once = torch.where(mask, x - mean(x, mask), 0.0)
    return torch.where(mask, once - mean(once, mask), 0.0)


def standardise(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], eps: float = 1e-8) -> Float[Tensor, "*S"]:
    """(x - mean) / (std + eps) over the mask, 0 elsewhere; fewer than two elements are left as they are."""
    if mask.sum() < 2:
        return torch.where(mask, x, 0.0)
    return _to_unit_variance(centred(x, mask), mask, eps)


def rescale(x: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], eps: float = 1e-8) -> Float[Tensor, "*S"]:
    """`standardise` that keeps the mean: unit variance around the old mean, 0 where the mask is false."""
    if mask.sum() < 2:
        return torch.where(mask, x, 0.0)
    return torch.where(mask, _to_unit_variance(centred(x, mask), mask, eps) + mean(x, mask), 0.0)


def explained_variance(
    prediction: Float[Tensor, "*S"], target: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"]
) -> Float[Tensor, ""]:
    """1 - Var[target - prediction] / Var[target]: 1 is perfect, 0 no better than the mean, below 0 worse."""
    return 1 - var(target - prediction, mask) / var(target, mask).clamp(min=1e-12)


def _to_unit_variance(
    centred: Float[Tensor, "*S"], mask: Bool[Tensor, "*S"], eps: float
) -> Float[Tensor, "*S"]:
    return centred / (((centred**2).sum() / (mask.sum() - 1)).sqrt() + eps)
