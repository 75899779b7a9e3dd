"""All parameters of a model as one flat vector: what Adam, a trust region and evolution move."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FlatParameters:
    """The trainable parameters as views of one vector [D], and their gradients as views of another.

    Clipping, a step or a perturbation are then a few operations, however many tensors a network has.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.vector: Float[Tensor, "D"] = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        self.gradient: Float[Tensor, "D"] = torch.zeros_like(self.vector)
        self._gradients: list[Tensor] = []
        start = 0
        for p in self.parameters:
            piece = slice(start, start + p.numel())
            p.data = self.vector[piece].view_as(p)
            self._gradients.append(self.gradient[piece].view_as(p))
            start += p.numel()

    def begin(self) -> None:
        """Forget the gradient; what is sent backward from now on adds up."""
        self.gradient.zero_()
        for p, gradient in zip(self.parameters, self._gradients, strict=True):
            p.grad = gradient  # again each time: module.zero_grad() takes it away

    def assign(self, vector: Float[Tensor, "D"]) -> None:
        """Set all parameters."""
        self.vector.copy_(vector)

    def gradient_of(self, scalar: Tensor, differentiable: bool = False) -> Float[Tensor, "D"]:
        """d scalar / d parameters; 0 for those it does not depend on. The graph is kept."""
        found = torch.autograd.grad(
            scalar, self.parameters, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
        pieces = zip(found, self.parameters, strict=True)
        return torch.cat([torch.zeros_like(p).reshape(-1) if g is None else g.reshape(-1) for g, p in pieces])
