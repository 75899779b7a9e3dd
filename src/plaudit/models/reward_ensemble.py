"""A reward model for control: an ensemble of small networks on (state, action, next state), trained as one."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from plaudit.declared import Count, Finite
from plaudit.models.actor_critic import Spaces
from plaudit.models.moments import RunningMoments
from plaudit.models.stacked_mlp import Activation, StackedMLP, orthogonal
from plaudit.models.transitions import Transitions

Input = Literal["state", "state_action", "state_action_next"]


@dataclass(frozen=True)
class RewardConfig:
    """The networks of a reward model."""

    inputs: Input = "state_action"
    """What the reward depends on: the state, the state and action, or the next state as well."""
    members: Count = 3
    """Networks in the ensemble."""
    hidden: tuple[Count, ...] = (32, 32)
    """Sizes of the hidden layers."""
    activation: Activation = "tanh"
    """Activation of the hidden layers."""
    uncertainty_penalty: Finite = 0.5
    """The reward is the mean of the standardised members minus this much of their spread."""


class RewardEnsemble(nn.Module):
    """K reward networks; each is standardised over the policy's own data before they are averaged.

    A reward is known up to scale and shift only, and each member has its own; the statistics that take them away
    come from what the policy does (`standardise`), never from the pairs, and `reward` never changes them.
    """

    anchored: Tensor
    doubt: Tensor

    def __init__(self, spaces: Spaces, config: RewardConfig, generator: torch.Generator):
        super().__init__()
        self.spaces, self.config = spaces, config
        parts = {
            "state": 0,
            "state_action": spaces.action,
            "state_action_next": spaces.action + spaces.observation,
        }
        features = spaces.observation + parts[config.inputs]
        self.scaling = RunningMoments(features)
        self.body = StackedMLP(config.members, features, config.hidden, config.activation, generator)
        width = config.hidden[-1] if config.hidden else features
        self.head = orthogonal(config.members, width, 1, 1.0, generator)
        self.end = nn.Parameter(torch.zeros(config.members, width, 1))
        """What the end of an episode is worth besides; without a draw, so that what never ends is learned as ever."""
        self.outputs = RunningMoments(config.members)
        self.register_buffer("anchored", torch.tensor(False))
        """Somebody has judged ends: the reward's zero is known, it is what comes after one."""
        self.register_buffer("doubt", torch.tensor(0.0))
        """The members' mean spread over the policy's behaviour."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A model from before ends were judged knows none."""
        state.setdefault(f"{prefix}end", torch.zeros_like(self.end))
        state.setdefault(f"{prefix}anchored", torch.tensor(False))
        state.setdefault(f"{prefix}doubt", torch.tensor(0.0))
        super()._load_from_state_dict(state, prefix, *rest)

    def features(self, record: Transitions) -> Float[Tensor, "B T F"]:
        """What the networks see, before scaling."""
        parts = [record.observations]
        if self.config.inputs != "state":
            parts.append(record.executed)
        if self.config.inputs == "state_action_next":
            parts.append(record.successors)
        return torch.cat(parts, dim=-1)

    def scale_inputs(self, features: Float[Tensor, "N F"]) -> None:
        """Fix the input scaling by the given rows; once, before the first fit."""
        self.scaling.reset()
        self.scaling.update(features)

    def forward(
        self, features: Float[Tensor, "B T F"], ends: Float[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "K B T"]:
        """The raw reward of every member, differentiable; `ends`: 1 where the step terminated its episode."""
        hidden = self._hidden(features)
        worth = torch.bmm(hidden, self.head)
        if ends is not None and bool(ends.any()):
            worth = worth + ends.reshape(-1, 1) * torch.bmm(hidden, self.end)
        return worth.reshape(-1, *features.shape[:2])

    def ending(self, features: Float[Tensor, "N F"]) -> Float[Tensor, "K N"]:
        """What it is worth besides that these steps ended their episodes."""
        return torch.bmm(self._hidden(features), self.end).squeeze(-1)

    def _hidden(self, features: Float[Tensor, "*B F"]) -> Float[Tensor, "K N H"]:
        rows = self.scaling.standardise(features.reshape(-1, features.shape[-1]))
        return self.body(rows.expand(self.config.members, -1, -1))

    @torch.no_grad()
    def standardise(self, record: Transitions, mask: Bool[Tensor, "B T"]) -> None:
        """Give every member variance 1 and mean 0 over this behaviour of the policy, or where ends were judged, a mean
        square of 1: then its zero is taught and not to be moved."""
        self.outputs.reset()
        self.outputs.update(self(self.features(record), record.ends)[:, mask].T)
        members = self.members(record)
        self.doubt.fill_(members.std(dim=0)[mask].mean() if bool(self.anchored) and len(members) > 1 else 0.0)

    @torch.no_grad()
    def members(self, record: Transitions) -> Float[Tensor, "K B T"]:
        """The standardised reward of every member."""
        raw = self(self.features(record), record.ends)
        mean, var = self.outputs.mean, self.outputs.var
        if bool(self.anchored):
            mean, var = torch.zeros_like(mean), var + mean**2
        mean, std = mean.to(raw.dtype), (var + 1e-8).sqrt().to(raw.dtype)
        return (raw - mean[:, None, None]) / std[:, None, None]

    def reward(self, record: Transitions) -> Float[Tensor, "B T"]:
        """Mean of the standardised members minus `uncertainty_penalty` times their unbiased spread.

        Where the zero is taught the spread is taken against its mean: a penalty for being alive is no part of it.
        """
        members = self.members(record)
        if len(members) < 2:
            return members[0]
        return members.mean(dim=0) - self.config.uncertainty_penalty * (members.std(dim=0) - self.doubt)
