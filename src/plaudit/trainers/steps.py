"""How a loss is descended, as a value: `Adam()`, or `TrustRegion(delta)`; and the step of each.

Any loss is a function of the model's outputs. So a batch too large for its graph is taken in pieces, exactly as if it
were whole: the outputs of all pieces are computed first without a graph, the loss is differentiated in them, and then
each piece is computed again and its part of that gradient sent down (Gao et al. 2021, arXiv:2101.06983, section 3.2).
No loss has to be a mean over rows, and pieces may be uneven.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.adamw import adamw

from plaudit.batches import Loss
from plaudit.declared import Count, Dataclass, NonNegative, Positive, Probability
from plaudit.maths.trust_region import conjugate_gradient, longest_step


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


@dataclass(frozen=True)
class Adam:
    """Steps of Adam on minibatches (Kingma and Ba 2015, arXiv:1412.6980)."""

    eps: Positive = 1e-5
    """Added to the root of the mean square of the gradient."""


@dataclass(frozen=True)
class TrustRegion:
    """One natural gradient step for the policy on the whole rollout, then steps of Adam for the critic."""

    delta: Positive = 0.01
    """KL(old || new) per decision that a step may reach, in nats."""
    damping: NonNegative = 0.1
    """Multiple of the identity added to the Fisher matrix."""
    cg_iterations: Count = 10
    """Steps of conjugate gradient, at most."""
    backtracks: Count = 10
    """Shorter and shorter steps that are tried."""
    shrink: Probability = 0.8
    """Length of each step tried, relative to the one before."""


Step = Adam | TrustRegion
Outputs = TypeVar("Outputs")
"""What a model says: a tensor, or a dataclass of tensors."""


@runtime_checkable
class Objective(Protocol[Outputs]):
    """A loss of some rows, split where the model ends and the mathematics begins."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    def outputs(self, rows: slice) -> Outputs:
        """What the model says of these rows: a tensor or a dataclass of tensors, the rows first."""
        ...

    def loss(self, outputs: Outputs) -> Loss:
        """The loss of the outputs of all rows."""
        ...


class AdamOptimiser:
    """Adam with decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101) over one flat vector."""

    BETAS = (0.9, 0.999)

    def __init__(
        self,
        parameters: "FlatParameters | Iterable[nn.Parameter]",
        eps: float = 1e-5,
        weight_decay: float = 0.0,
    ):
        self.flat = parameters if isinstance(parameters, FlatParameters) else FlatParameters(parameters)
        self.eps, self.weight_decay = eps, weight_decay
        self.mean, self.square = (torch.zeros_like(self.flat.vector) for _ in range(2))
        self.count = torch.zeros((), device=self.flat.vector.device)
        """Steps taken."""

    @property
    def finite(self) -> bool:
        """No parameter has become infinite or no number."""
        return bool(torch.isfinite(self.flat.vector).all())

    def step(self, loss: Tensor, learning_rate: float, max_grad_norm: float | None) -> Tensor:
        """Descend once; the gradient is scaled down to the maximal global norm. Returns the norm before."""
        self.flat.begin()
        loss.backward()
        return self.finish(learning_rate, max_grad_norm)

    def finish(self, learning_rate: float, max_grad_norm: float | None) -> Tensor:
        """Descend along the gradient that lies in the flat parameters. Returns its norm before clipping."""
        gradient = self.flat.gradient
        norm = gradient.norm()
        if max_grad_norm is not None:
            gradient.mul_((max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        first, second = self.BETAS
        adamw(
            [self.flat.vector],
            [gradient],
            [self.mean],
            [self.square],
            [],
            [self.count],
            fused=True,  # one pass over the four vectors
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=self.eps,
            maximize=False,
        )
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Step count and moments."""
        return {"steps": int(self.count), "mean": self.mean.clone(), "square": self.square.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved moments."""
        self.count.fill_(state["steps"])
        for moments, saved in ((self.mean, state["mean"]), (self.square, state["square"])):
            moments.zero_()  # parameters that a later version has added at the end have not moved yet
            moments[: len(saved)].copy_(saved)


@dataclass(frozen=True)
class Descent:
    """One step of Adam down a loss."""

    rate: float
    """Step size."""
    max_grad_norm: float | None = None
    """The gradient is scaled down to this global norm; none: no clipping."""
    microbatch_size: int | None = None
    """Rows whose graph is held at a time; none: all."""
    critic_alone: bool = False
    """Descend the value part and nothing else."""

    def of(self, loss: Loss) -> Tensor:
        """What is descended."""
        return loss.parts["value"] if self.critic_alone else loss.total


@dataclass(frozen=True)
class Taken:
    """A step that was taken, or was not."""

    loss: Loss
    norm: Tensor | None
    """Of the gradient, before clipping; None where the loss asked to stop."""


def descend(objective: Objective, optimiser: AdamOptimiser, how: Descent) -> Taken:
    """Take one step down the loss of all rows of the objective."""
    count, size = objective.rows, how.microbatch_size
    if size is None or count <= size:
        loss = objective.loss(objective.outputs(slice(None)))
        if loss.stop:
            return Taken(loss, None)
        return Taken(loss, optimiser.step(how.of(loss), how.rate, how.max_grad_norm))
    pieces = [slice(first, first + size) for first in range(0, count, size)]
    with torch.no_grad():
        said = [objective.outputs(rows) for rows in pieces]
    leaves = [torch.cat(parts).requires_grad_() for parts in zip(*map(_tensors, said), strict=True)]
    loss = objective.loss(_filled(said[0], leaves))
    if loss.stop:
        return Taken(loss, None)
    gradients = torch.autograd.grad(how.of(loss), leaves, allow_unused=True)
    optimiser.flat.begin()
    for rows in pieces:
        outputs = _tensors(objective.outputs(rows))
        paired = [(o, g[rows]) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        torch.autograd.backward([o for o, _ in paired], [g for _, g in paired])
    return Taken(loss, optimiser.finish(how.rate, how.max_grad_norm))


def move_within(objective: Objective, flat: FlatParameters, region: TrustRegion) -> dict[str, Tensor]:
    """One step of the policy in a trust region (Schulman et al. 2015, appendix C); the critic stays as it is.

    The direction solves (F + damping) x = -g by conjugate gradient from 0; its length is that at which the quadratic
    model of KL(old || new) reaches `delta`; then it is shortened until the surrogate has fallen and the KL itself
    lies within `delta`. If no step does both, the policy stays. Returns metrics.
    """
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no second derivative
        loss = objective.loss(objective.outputs(slice(None)))
        before = _surrogate(loss)
        gradient = flat.gradient_of(before)
        assert loss.kl is not None, "a trust region needs a loss with KL(old || new)"
        slope = flat.gradient_of(loss.kl, differentiable=True)

        def fisher(vector: Tensor) -> Tensor:
            return flat.gradient_of(slope @ vector) + region.damping * vector

        direction = conjugate_gradient(fisher, -gradient, region.cg_iterations)
        full = longest_step(direction, fisher, region.delta)
    return loss.metrics | _searched(objective, flat, region, full, before.detach())


def _searched(
    objective: Objective, flat: FlatParameters, region: TrustRegion, full: Tensor, before: Tensor
) -> dict[str, Tensor]:
    """The longest step of those tried that lowers the surrogate within the region, or none."""
    start = flat.vector.clone()
    for attempt in range(region.backtracks):
        flat.assign(start + region.shrink**attempt * full)
        with torch.no_grad():
            loss = objective.loss(objective.outputs(slice(None)))
            after = _surrogate(loss)
        assert loss.kl is not None
        if after < before and loss.kl <= region.delta:
            told = {
                "policy/step_fraction": torch.tensor(region.shrink**attempt),
                "policy/surrogate_change": after - before,
            }
            return loss.metrics | told
    flat.assign(start)
    return {"policy/step_fraction": torch.tensor(0.0), "policy/surrogate_change": torch.zeros(())}


def _surrogate(loss: Loss) -> Tensor:
    """All parts but the critic's."""
    return replace(loss, value=None).total


def _tensors(outputs: Tensor | Dataclass) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    assert is_dataclass(outputs)
    return [value for field in fields(outputs) if isinstance(value := getattr(outputs, field.name), Tensor)]


def _filled(pattern: Tensor | Dataclass, tensors: list[Tensor]) -> Any:
    """The pattern with other tensors in the order of `_tensors`."""
    if isinstance(pattern, Tensor):
        return tensors[0]
    left = iter(tensors)
    names = [field.name for field in fields(pattern) if isinstance(getattr(pattern, field.name), Tensor)]
    return replace(pattern, **{name: next(left) for name in names})
