"""For tests of trainers: a policy that is a table, its rollouts, and an algorithm that notes what it sees."""

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from plaudit.batches import Episodes, Loss, Needs, Rewards, Rollout, Scores
from plaudit.batches.rows import take
from plaudit.maths.kl import Kl
from plaudit.trainers.on_policy import Algorithm, Config, Updater


@dataclass(frozen=True)
class Steps:
    """The record of the table: which state, which action, and a number for every decision."""

    states: Tensor
    actions: Tensor
    number: Tensor


class Table(nn.Module):
    """A softmax policy and a critic by look-up."""

    def __init__(self, states: int, actions: int, memoryless: bool = True, critic: bool = True):
        super().__init__()
        self.memoryless, self.critic = memoryless, critic
        self.logits = nn.Parameter(torch.zeros(states, actions))
        self.value = nn.Parameter(torch.zeros(states))
        self.refreshed = 0

    def scores(self, record: Steps, rows: Any = None) -> Scores:
        if rows is not None:
            record = take(record, rows)
        logp = self.logits.log_softmax(-1)[record.states]
        chosen = logp.gather(-1, record.actions.unsqueeze(-1)).squeeze(-1)
        return Scores(
            chosen, -(logp.exp() * logp).sum(-1), self.value[record.states] if self.critic else None
        )

    @torch.no_grad()
    def refresh(self, episodes: Episodes, record: Steps) -> Episodes:
        self.refreshed += 1
        return replace(episodes, values=self.value[record.states].clone())

    def trainable(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.named_parameters()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.load_state_dict(tensors)


def rollout(policy: Table, generator: torch.Generator, rows: int = 4, columns: int = 6) -> Rollout:
    """Random states, actions of the policy, one decision in five masked, episodes of two steps."""
    states = torch.randint(policy.logits.shape[0], (rows, columns), generator=generator)
    probabilities = policy.logits.detach().softmax(-1)[states]
    actions = torch.multinomial(probabilities.flatten(0, 1), 1, generator=generator).reshape(rows, columns)
    mask = torch.rand(rows, columns, generator=generator) < 0.8
    mask[0] = True
    record = Steps(states, actions, torch.arange(rows * columns).reshape(rows, columns))
    last = torch.zeros(rows, columns, dtype=torch.bool)
    last[:, 1::2] = True
    with torch.no_grad():
        scores = policy.scores(record)
    rewards = (actions == 0).float() + states
    values = scores.values
    following = None if values is None else torch.where(last, 0.0, values.roll(-1, 1))
    e = Episodes(scores.logp, torch.where(mask, rewards, 0.0), last, last, mask, values, following)
    return Rollout(e, record, {"rollout/given": 1.5})


class Notes(ModuleType):
    """An algorithm that notes every minibatch and pulls every log-probability up."""

    def __init__(self, stop_at: int | None = None):
        super().__init__("notes")
        self.stop_at = stop_at
        self.minibatches: list[tuple[Episodes, Tensor, Any]] = []
        self.advantage_calls: list[Episodes] = []

    def needs(self, config: Any) -> Needs:
        return Needs()

    def advantages(self, episodes: Episodes, config: Any) -> Tensor:
        self.advantage_calls.append(episodes)
        return torch.where(episodes.mask, episodes.rewards, 0.0)

    def loss(self, new: Scores, episodes: Episodes, advantages: Tensor, config: Any) -> Loss:
        self.minibatches.append((episodes, advantages, config))
        stop = self.stop_at == len(self.minibatches)
        return Loss(-new.logp.mean(), {"loss/number": torch.tensor(float(len(self.minibatches)))}, stop)


@dataclass(frozen=True)
class Settings:
    clip: float = 0.4
    entropy_coef: float = 0.1
    kl: Kl = Kl(0.2)


def begin(config: Config, settings: Any = Settings(), **table: Any) -> tuple[Updater, Notes, Rollout]:
    """An updater of a table with an algorithm that takes notes, and a rollout to show it."""
    notes = Notes()
    updater = updater_of(notes, settings, config, **table)
    return updater, notes, rollout(updater.policy, torch.Generator().manual_seed(1))


def module_of(**functions: Any) -> ModuleType:
    """An algorithm of these functions."""
    module = ModuleType("made")
    vars(module).update(functions)
    return module


def updater_of(module: Any, settings: Any, config: Config, **table: Any) -> Updater:
    """The same table with an algorithm of one's own."""
    policy = Table(3, 4, **table)
    return Updater(policy, Algorithm(module, settings, "tested"), config, torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Seen:
    """Behaviour whose episodes are known already."""

    rollout: Rollout

    @property
    def mask(self) -> Tensor:
        return self.rollout.episodes.mask


class Drawn:
    """Rollouts of the table; cut off after as many decisions as are left."""

    size = 24

    def __init__(self, seed: int = 0):
        self.generator = torch.Generator().manual_seed(seed)
        self.limits: list[int] = []

    def collect(self, policy: Table, limit: int) -> Seen:
        self.limits.append(limit)
        given = rollout(policy, self.generator)
        mask = given.episodes.mask
        mask &= (mask.flatten().cumsum(0) <= limit).reshape(mask.shape)
        return Seen(given)

    def cost(self, behaviour: Seen) -> int:
        return int(behaviour.mask.sum())

    def episodes(self, behaviour: Seen, policy: Any, reference: Any, rewards: Rewards) -> Rollout:
        given = behaviour.rollout
        assert rewards.dense is not None
        return replace(given, episodes=replace(given.episodes, rewards=rewards.dense))

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])


class Paid:
    """A source that pays what the rollout says, and notes when it was shown what."""

    def __init__(self) -> None:
        self.observed: list[float] = []

    def observe(self, behaviour: Seen, progress: float) -> dict[str, Any]:
        self.observed.append(progress)
        return {"reward/observed": float(len(self.observed))}

    def rewards(self, behaviour: Seen) -> Rewards:
        dense = behaviour.rollout.episodes.rewards
        return Rewards(dense.sum(1), dense)

    def state_dict(self) -> dict[str, Any]:
        return {"observed": list(self.observed)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.observed = list(state["observed"])
