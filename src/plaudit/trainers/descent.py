"""One step down a loss: all parameters as views of one flat vector, gradient clipping, Adam."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1) with decoupled decay (Loshchilov and Hutter 2019).

    The parameters become views of one vector and their gradients views of another, so that clipping and the step
    are a few operations however many tensors a network has. torch.optim takes longer for a small network's step than
    the step itself.
    """

    BETAS = (0.9, 0.999)

    def __init__(self, parameters: Iterable[nn.Parameter], eps: float = 1e-5, weight_decay: float = 0.0):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.eps, self.weight_decay = eps, weight_decay
        self.flat = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        self.gradient, self.mean, self.square = (torch.zeros_like(self.flat) for _ in range(3))
        self.steps = 0
        self.gradients: list[Tensor] = []
        start = 0
        for p in self.parameters:
            piece = slice(start, start + p.numel())
            p.data = self.flat[piece].view_as(p)
            self.gradients.append(self.gradient[piece].view_as(p))
            start += p.numel()

    def step(self, loss: Tensor, learning_rate: float, max_grad_norm: float | None) -> Tensor:
        """Descend once; the gradient is scaled down to the maximal global norm. Returns the norm before."""
        self.begin()
        loss.backward()
        return self.finish(learning_rate, max_grad_norm)

    def begin(self) -> None:
        """Forget the gradient; what is sent backward from now on adds up."""
        self.gradient.zero_()
        for p, gradient in zip(self.parameters, self.gradients, strict=True):
            p.grad = gradient  # again each time: module.zero_grad() takes it away

    def finish(self, learning_rate: float, max_grad_norm: float | None) -> Tensor:
        """Descend along what has added up since `begin`. Returns its norm before clipping."""
        norm = self.gradient.norm()
        if max_grad_norm is not None:
            self.gradient.mul_((max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        self._adam(learning_rate)
        return norm

    def _adam(self, learning_rate: float) -> None:
        first, second = self.BETAS
        self.steps += 1
        torch.ops.aten._fused_adamw_(  # one pass over the five vectors
            *([tensor] for tensor in (self.flat, self.gradient, self.mean, self.square)),
            [],
            [torch.tensor(float(self.steps), device=self.flat.device)],
            lr=learning_rate,
            beta1=first,
            beta2=second,
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """Step count and moments."""
        return {"steps": self.steps, "mean": self.mean.clone(), "square": self.square.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved moments."""
        self.steps = state["steps"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
