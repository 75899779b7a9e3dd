"""One step down a loss: all parameters as views of one flat vector, gradient clipping, Adam."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter's decoupled decay) over a flat vector.

    The parameters become views of one vector and their gradients views of another, so that clipping and the step
    are one operation each however many tensors the network has.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], eps: float = 1e-5, weight_decay: float = 0.0):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.flat = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in self.parameters]))
        self.flat.grad = torch.zeros_like(self.flat)
        self.gradients: list[Tensor] = []
        start = 0
        for p in self.parameters:
            piece = slice(start, start + p.numel())
            p.data = self.flat.data[piece].view_as(p)
            self.gradients.append(self.flat.grad[piece].view_as(p))
            start += p.numel()
        self.adam = torch.optim.AdamW([self.flat], eps=eps, weight_decay=weight_decay, fused=True)

    def step(self, loss: Tensor, learning_rate: float, max_grad_norm: float | None) -> Tensor:
        """Descend once; the gradient is scaled down to the maximal global norm. Returns the norm before."""
        assert self.flat.grad is not None
        self.flat.grad.zero_()
        for p, gradient in zip(self.parameters, self.gradients, strict=True):
            p.grad = gradient  # again each time: module.zero_grad() takes it away
        loss.backward()
        norm = self.flat.grad.norm()
        if max_grad_norm is not None:
            self.flat.grad.mul_((max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.step()
        return norm

    def state_dict(self) -> dict[str, Tensor]:
        """Step count and moments, as tensors."""
        state = self.adam.state.get(self.flat, {})
        return {name: value.clone() for name, value in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from saved moments; an empty state starts afresh."""
        self.adam.state.clear()
        if state:
            self.adam.state[self.flat] = {name: value.clone() for name, value in state.items()}
