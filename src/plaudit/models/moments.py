"""Running mean and variance in float64, merged batch by batch (Chan, Golub and LeVeque 1979)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RunningMoments(nn.Module):
    """Mean and variance of all rows seen so far; buffers, so that they are saved with the model they belong to."""

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, *shape: int):
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(shape, dtype=torch.float64))

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Merge rows [n, *shape]; only training data belongs here, never evaluation."""
        n = rows.shape[0]
        if n == 0:
            return
        rows = rows.double()
        mean = rows.mean(dim=0)
        delta = mean - self.mean
        total = self.count + n
        self.square += ((rows - mean) ** 2).sum(dim=0) + delta**2 * self.count * n / total
        self.mean += delta * n / total
        self.count += n

    @property
    def var(self) -> Tensor:
        """Population variance; 1 before any data."""
        return torch.where(self.count > 0, self.square / self.count.clamp(min=1), 1.0)

    def standardise(self, x: Float[Tensor, "..."], limit: float = 10.0) -> Float[Tensor, "..."]:
        """(x - mean) / std, clipped to +-limit, in the dtype of x; does not update."""
        scale = (self.var + 1e-8).rsqrt()
        return ((x - self.mean.to(x.dtype)) * scale.to(x.dtype)).clamp(-limit, limit)

    def reset(self) -> None:
        """Forget everything seen."""
        for buffer in self.buffers():
            buffer.zero_()
