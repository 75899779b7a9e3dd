"""Several sources of reward by weight, each logged apart; and a mix divided by its own spread."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.errors import PlauditError
from plaudit.models.moments import RunningMoments
from plaudit.trainers.learner import Behaviour, Masked, RewardSource

__all__ = ["Fixed", "Part", "RewardSource", "Scaled", "Weighted"]


@runtime_checkable
class Stepped(Masked, Protocol):
    """Behaviour of environments that go on from one rollout to the next."""

    @property
    def ended(self) -> Bool[Tensor, "B T"]:
        """The episode ended at this step."""
        ...


Rows = TypeVar("Rows", bound=Masked)
"""Behaviour with its decisions, whatever the medium."""
Steps = TypeVar("Steps", bound=Stepped)
"""Behaviour with its decisions and the ends of its episodes."""


class Fixed(Generic[Behaviour]):
    """A source that never changes: a function of behaviour."""

    def __init__(self, pay: Callable[[Behaviour], Rewards]):
        self.pay = pay

    def observe(self, behaviour: Behaviour, progress: float) -> dict[str, Any]:
        """Nothing is learned."""
        return {}

    def rewards(self, behaviour: Behaviour) -> Rewards:
        """What the function says."""
        return self.pay(behaviour)

    def state_dict(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""


PREFIX = "objective/rewards"
"""Where the metrics of rewards are logged."""


@dataclass(frozen=True)
class Part(Generic[Behaviour]):
    """One source in a mix."""

    weight: float
    source: RewardSource[Behaviour]


class Weighted(Generic[Rows]):
    """A `RewardSource`: the weighted sum of its parts. Where one part is dense, scores count at the last decision.

    Metrics, besides the parts' own: `objective/rewards/<name>` and `objective/rewards/<name>_std`, mean and standard
    deviation (of the rows as they are) of each part's unweighted scores. A part of weight 0 is computed and logged, and
    teaches nothing.
    """

    def __init__(self, parts: Mapping[str, Part[Rows]]):
        if not parts:
            raise PlauditError("rewards: there are none; give at least one reward")
        for name, part in parts.items():
            if not math.isfinite(part.weight):
                raise PlauditError(f"rewards: the weight of {name!r} is {part.weight}; give a finite number")
            if f"{name}_std" in parts:
                raise PlauditError(
                    f"rewards: {name + '_std'!r} is also what the spread of {name!r} is logged as; rename one"
                )
        if not any(part.weight for part in parts.values()):
            raise PlauditError("rewards: all weights are 0; give at least one that teaches something")
        self.parts = dict(parts)

    def observe(self, behaviour: Rows, progress: float) -> dict[str, Any]:
        """Every part learns what it can; returns the metrics of all."""
        return {
            name: value
            for part in self.parts.values()
            for name, value in part.source.observe(behaviour, progress).items()
        }

    def rewards(self, behaviour: Rows) -> Rewards:
        """The weighted sum, in double precision and then float32."""
        mask = behaviour.mask
        paid = {
            name: _checked(name, part.source.rewards(behaviour), mask) for name, part in self.parts.items()
        }
        metrics = {key: value for given in paid.values() for key, value in given.metrics.items()}
        for name, given in paid.items():
            if len(given.scores):
                scores = given.scores.detach().double()
                metrics[f"{PREFIX}/{name}"] = scores.mean().item()
                metrics[f"{PREFIX}/{name}_std"] = scores.std(correction=0).item()
        # left out, not multiplied by 0: what is left out cannot make the sum dense either
        counted = [
            Counted(part.weight, paid[name])
            for name, part in self.parts.items()
            if part.weight and paid[name].taught
        ]
        if not counted:
            return Rewards(torch.zeros(len(mask)), torch.zeros(mask.shape), metrics, taught=False)
        if all(one.rewards.dense is None for one in counted):
            total = sum(one.weight * one.rewards.scores.detach().double().cpu() for one in counted)
            return Rewards(torch.as_tensor(total).float(), metrics=metrics)
        dense = sum(
            (_dense(one, mask) for one in counted), torch.zeros(mask.shape, dtype=torch.float64)
        ).float()
        if mask.any():
            metrics["rollout/reward_mean"] = float(dense[mask.cpu()].mean())
        return Rewards(dense.double().sum(dim=1).float(), dense, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Those of the parts."""
        return {name: part.source.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Every part goes on."""
        for name, part in self.parts.items():
            part.source.load_state_dict(state[name])


@dataclass(frozen=True)
class Counted:
    """What one part pays, and how much it counts."""

    weight: float
    rewards: Rewards


def _dense(one: Counted, mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Per decision; what a part says of a whole row, at its last decision."""
    mask = mask.cpu()
    if one.rewards.dense is not None:
        return one.weight * torch.where(mask, one.rewards.dense.detach().cpu(), 0.0).double()
    lengths = mask.sum(dim=1)
    if not lengths.all():
        row = int((lengths == 0).nonzero()[0, 0])
        raise PlauditError(
            f"rewards: row {row} has no decision to give its score to; ask for at least one token"
        )
    last = mask & (mask.flip(1).cumsum(dim=1).flip(1) == 1)
    return torch.where(last, one.weight * one.rewards.scores.detach().double().cpu()[:, None], 0.0)


def _checked(name: str, rewards: Rewards, mask: Bool[Tensor, "B T"]) -> Rewards:
    """As they are, unless there is not one for each row, or each decision: they would be repeated in silence."""
    if rewards.scores.shape != mask.shape[:1]:
        raise PlauditError(
            f"reward {name!r}: scores of shape {list(rewards.scores.shape)}, wanted [{len(mask)}]; give one per answer"
        )
    if rewards.dense is not None and rewards.dense.shape != mask.shape:
        raise PlauditError(
            f"reward {name!r}: dense rewards of shape {list(rewards.dense.shape)}, wanted {list(mask.shape)}; give one "
            "per decision"
        )
    return rewards


class Scaled(Generic[Steps]):
    """A `RewardSource`: another one divided by the running standard deviation of its discounted return, to +-10.

    No mean is subtracted (it would change what is optimal). The return restarts at the end of an episode and is
    carried over from one rollout to the next (Engstrom et al. 2020, arXiv:2005.12729, section 3). Where the source
    changes what it pays (it says `feedback/refitted`), the statistics begin anew: they say nothing about the new one.
    """

    def __init__(self, source: RewardSource[Steps], rows: int, discount: float, limit: float = 10.0):
        self.source, self.discount, self.limit = source, discount, limit
        self.moments = RunningMoments()
        self.running = torch.zeros(rows, dtype=torch.float64)
        self._paid: tuple[Any, Rewards] | None = None

    def observe(self, behaviour: Steps, progress: float) -> dict[str, Any]:
        """The source learns; then its rewards of this behaviour enter the statistics."""
        metrics = self.source.observe(behaviour, progress)
        if metrics.get("feedback/refitted"):
            self.reset()
        paid = self.source.rewards(behaviour)
        if not paid.taught:
            self._paid = (behaviour, paid)
            return metrics
        if paid.dense is None:
            raise PlauditError(
                "reward.normalise: no part of the reward pays every step, so there is no return of steps to scale; set "
                "it to false, or let a function return one number per step"
            )
        self.watch(torch.where(behaviour.mask, paid.dense, 0.0), behaviour.ended, behaviour.mask)
        self._paid = (behaviour, paid)
        return metrics

    def watch(
        self, rewards: Float[Tensor, "B T"], ended: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"]
    ) -> None:
        """Add the discounted returns of these rewards to the statistics."""
        seen = []
        for t in range(rewards.shape[1]):
            advanced = self.running * self.discount + rewards[:, t]
            self.running = torch.where(mask[:, t], advanced, self.running)
            seen.append(self.running[mask[:, t]])
            self.running = torch.where(ended[:, t], 0.0, self.running)
        self.moments.update(torch.cat(seen))

    def rewards(self, behaviour: Steps) -> Rewards:
        """What the source pays, divided."""
        known = self._paid
        paid = known[1] if known is not None and known[0] is behaviour else self.source.rewards(behaviour)
        if not paid.taught:
            return paid
        assert paid.dense is not None
        scaled = (paid.dense / (self.moments.var + 1e-8).sqrt()).clamp(-self.limit, self.limit)
        return Rewards(paid.scores, scaled.to(paid.dense.dtype), paid.metrics)

    def reset(self) -> None:
        """Forget: the reward itself has changed."""
        self.moments.reset()
        self.running.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Statistics, running returns and the source's own state."""
        return {
            "moments": dict(self.moments.state_dict()),
            "running": self.running.clone(),
            "source": self.source.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.moments.load_state_dict(state["moments"])
        self.running = state["running"].clone()
        self.source.load_state_dict(state["source"])
