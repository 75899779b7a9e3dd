"""For tests of trainers: a policy that is a table, its rollouts, and an algorithm that notes what it sees."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from plaudit.batches import Episodes, Loss, Rollout, Scores
from plaudit.batches.rows import take
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Config, Learner, State


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


class Notes:
    """An algorithm that notes every minibatch and pulls every log-probability up."""

    def __init__(self, policy: Table, stop_at: int | None = None):
        self.policy, self.stop_at = policy, stop_at
        self.minibatches: list[tuple[Episodes, Tensor, Any]] = []
        self.advantage_calls: list[Episodes] = []

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
    kl_in_reward: float = 0.2


def begin(config: Config, settings: Any = Settings(), **table: Any) -> tuple[State, Notes, Learner, Rollout]:
    policy = Table(3, 4, **table)
    notes = Notes(policy)
    state = on_policy.start(policy, config, torch.Generator().manual_seed(0))
    return state, notes, Learner(notes, settings, config), rollout(policy, torch.Generator().manual_seed(1))
