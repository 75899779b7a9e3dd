"""Behaviour in a control environment: act, then turn the record into episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from plaudit.batches import Episodes, Rewards, Rollout
from plaudit.environments.control.actor import Actor, Taken, flat_rows
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.spaces import executed
from plaudit.environments.control.vector_env import Source, Step
from plaudit.errors import Diverged, PlauditError
from plaudit.models.actor_critic import ActorCritic, Population
from plaudit.models.transitions import Transitions

GROUPS = 2**31
"""Seeds of initial states are drawn below this."""


@dataclass(frozen=True)
class Trajectories:
    """What happened, before anything is paid for it: the record and where its episodes end."""

    record: Transitions
    terminated: Bool[Tensor, "B T"]
    ended: Bool[Tensor, "B T"]
    """Terminated or truncated: the environment was reset after it; also where the decision itself is masked out."""
    last: Bool[Tensor, "B T"]
    """A decision that ended its episode, or was cut by the end of the rollout."""
    mask: Bool[Tensor, "B T"]
    metrics: dict[str, float] = field(default_factory=dict)
    """`rollout/*`: the episodes that ended meanwhile."""
    timesteps: int = 0
    """Environment steps that were taken, also those of episodes nobody learns from."""
    group: Int[Tensor, "B"] | None = None
    """Rows of one group began in the same state."""


@dataclass
class _Acting:
    """Columns of a rollout as they come."""

    observations: list[np.ndarray] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    alive: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class _Ended:
    """A finished episode: its true return and its length."""

    total: float
    length: int


@dataclass(frozen=True)
class Starts:
    """Which rows of a rollout by whole episodes begin in the same state."""

    group: int = 1
    """Neighbours that begin alike."""
    members: int = 1
    """Equal shares of the rows, one for each policy of a population, that begin like one another."""


class ControlRollouts:
    """N environments that advance together.

    By steps, unfinished episodes are carried over from one rollout to the next. By episodes, every row is one episode
    from its beginning, and `starts` says which of them begin in the same state.
    """

    def __init__(
        self,
        source: Source,
        steps: int,
        seed: int,
        unit: Literal["steps", "episodes"] = "steps",
        starts: Starts = Starts(),
        discount: float = 0.99,
    ):
        group, self.members = starts.group, starts.members
        self.source, self.steps, self.unit, self.group, self.discount = source, steps, unit, group, discount
        if source.num_envs % group:
            raise PlauditError(
                f"environment.envs: {source.num_envs} environments are no whole number of groups of {group}; "
                f"give a multiple of {group}"
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.observations = flat_rows(source.reset(seed))
        self.spaces = source.spaces
        self.unseen = torch.zeros(0, self.spaces.observation)  # a few reset states alone would mislead
        self.returns = np.zeros(source.num_envs)
        self.lengths = np.zeros(source.num_envs, dtype=np.int64)

    @property
    def size(self) -> int:
        """Environment steps of a whole rollout; of one by episodes, at most."""
        length = self.source.horizon or self.steps if self.unit == "episodes" else self.steps
        return self.source.num_envs * length

    def cost(self, behaviour: Trajectories) -> int:
        """Environment steps that this behaviour took."""
        return behaviour.timesteps

    @torch.no_grad()
    def collect(self, policy: ActorCritic | Population, limit: int | None = None) -> Trajectories:
        """Act for one rollout, of at most `limit` decisions.

        By steps, decisions beyond the limit are dropped from the last column. By episodes, what is unfinished at the
        limit took steps and is not learned from.
        """
        policy.observe(self.unseen)  # before acting, never between acting and learning: the ratio starts at 1
        if self.unit == "episodes":
            return self._whole_episodes(policy, limit)
        source, n = self.source, self.source.num_envs
        source.recorder.begin_rollout()
        acting, ended = _Acting(), []
        actor = Actor(policy, source, self.generator)
        left = most = limit if limit is not None else n * self.steps
        while left > 0 and (
            len(acting.taken) < self.steps or left == most
        ):  # dead steps alone are no rollout
            taken = actor.step(self.observations)
            alive = _first(taken.step.alive, left)
            left -= int(alive.sum())
            self._keep(acting, taken, alive)
            ended += self._count(taken.step)
        return self._assemble(acting, _episode_metrics(ended))

    def _whole_episodes(self, policy: ActorCritic | Population, limit: int | None) -> Trajectories:
        """One episode in each row."""
        n = self.source.num_envs
        drawn = torch.randint(GROUPS, (n // (self.group * self.members),), generator=self.generator).tolist()
        seeds = [seed for seed in drawn for _ in range(self.group)] * self.members
        self.observations = flat_rows(self.source.reset(seeds))
        self.returns[:], self.lengths[:] = 0.0, 0
        self.source.recorder.begin_rollout()
        acting, ended = _Acting(), []
        actor = Actor(policy, self.source, self.generator)
        running, left = np.ones(n, dtype=bool), n * self.size if limit is None else limit
        while running.any() and left > 0:
            taken = actor.step(self.observations)
            step, alive = taken.step, _first(taken.step.alive & running, left)
            left -= int(alive.sum())
            self._keep(acting, taken, alive)
            ended += self._count(step, running)
            running &= ~((step.terminated | step.truncated) & alive)  # an end beyond the limit is none
        whole = self._assemble(acting, _episode_metrics(ended))
        return _without(whole, running, torch.arange(n) // self.group)

    def _keep(self, acting: _Acting, taken: Taken, alive: np.ndarray) -> None:
        acting.observations.append(self.observations)
        acting.taken.append(taken)
        acting.alive.append(alive)
        self.observations = flat_rows(taken.step.observations)

    @torch.no_grad()
    def episodes(
        self, behaviour: Trajectories, policy: ActorCritic, reference: ActorCritic | None, rewards: Rewards
    ) -> Rollout:
        """Log-probabilities by the trainer's forward pass, values, rewards."""
        b = behaviour
        scores = policy.scores(b.record)
        values = following = None
        if policy.config.critic:
            values, following = policy.values_of(b.record, b.last)
        ref_logp = None if reference is None else reference.scores(b.record).logp
        episodes = Episodes(
            scores.logp, per_decision(rewards, b.mask), b.terminated, b.last, b.mask, values, following, ref_logp,
            group=b.group, discount=self.discount,
        )  # fmt: skip
        _refuse_divergence(episodes)
        return Rollout(episodes, b.record, b.metrics | rewards.metrics)

    def _count(self, step: Step, among: np.ndarray | bool = True) -> list[_Ended]:
        """Add up true returns and lengths; returns those of the episodes that ended now."""
        alive = step.alive & among
        self.returns += np.where(alive, step.rewards, 0.0)
        self.lengths += alive
        ends = (step.terminated | step.truncated) & alive
        ended = [_Ended(float(self.returns[i]), int(self.lengths[i])) for i in np.flatnonzero(ends)]
        self.returns[ends], self.lengths[ends] = 0.0, 0
        return ended

    def _assemble(self, acting: _Acting, metrics: dict[str, float]) -> Trajectories:
        steps = [taken.step for taken in acting.taken]
        actions, mask = _stack([taken.chosen for taken in acting.taken]), _stack(acting.alive)
        terminated = _stack([s.terminated for s in steps])
        ended = terminated | _stack([s.truncated for s in steps])
        record = Transitions(
            observations=_stack(acting.observations),
            actions=actions,
            executed=executed(actions, self.spaces, self.source.action_space),
            successors=_stack([flat_rows(s.successors) for s in steps]),
            environment_rewards=_stack([s.rewards for s in steps]).float(),
            ends=(terminated & mask).float(),
            legal=_legal([taken.legal for taken in acting.taken]),
        )
        last = (ended & mask) | _final_decisions(mask)
        self.unseen = record.observations[mask]
        return Trajectories(record, terminated & mask, ended, last, mask, metrics, int(mask.sum()))

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, where the source can be replayed."""
        return {
            "source": self.source.snapshot(),
            "unseen": self.unseen,
            "generator": self.generator.get_state(),
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; unfinished episodes are replayed."""
        self.unseen = state["unseen"]
        self.generator.set_state(state["generator"])
        self.returns, self.lengths = state["returns"].copy(), state["lengths"].copy()
        if self.unit == "episodes":  # every rollout begins anew
            return
        self.observations = flat_rows(self.source.restore(state["source"]))
        if self.source.resume == "statistical":  # fresh episodes: nothing is under way
            self.returns[:], self.lengths[:] = 0.0, 0


RecordReward = Callable[[Transitions], Tensor]
"""A reward of every recorded step, [B, T]."""


def per_decision(rewards: Rewards, mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Rewards [B, T]: dense ones where they belong, a score at the last decision of its row; 0 outside the mask."""
    if rewards.dense is not None:
        return torch.where(mask, rewards.dense, 0.0)
    return torch.where(_final_decisions(mask), rewards.scores[:, None].to(torch.float32), 0.0)


def _without(behaviour: Trajectories, unfinished: np.ndarray, group: Tensor) -> Trajectories:
    """Nobody learns from rows that have no end; each is a group of its own, so that no other is compared with it."""
    kept = torch.from_numpy(~unfinished)[:, None]
    alone = len(group) + torch.arange(len(group))
    b = behaviour
    return replace(
        b,
        terminated=b.terminated & kept,
        ended=b.ended & kept,
        last=b.last & kept,
        mask=b.mask & kept,
        group=torch.where(kept[:, 0], group, alone),
    )


def _legal(columns: Sequence[np.ndarray | None]) -> Bool[Tensor, "B T A"] | None:
    """Action masks of all columns; where one has none, everything was legal."""
    known = next((masks for masks in columns if masks is not None), None)
    if known is None:
        return None
    return _stack([np.ones_like(known) if masks is None else masks for masks in columns])


def _stack(columns: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(columns, axis=1))


def _refuse_divergence(episodes: Episodes) -> None:
    """A NaN would pass for a choice or for `no estimate` further on."""
    for name in ("logp", "values", "rewards"):
        tensor = getattr(episodes, name)
        if tensor is not None and not torch.isfinite(tensor[episodes.mask]).all():
            raise Diverged(f"{name} is")


def _first(alive: np.ndarray, limit: int) -> np.ndarray:
    """The first `limit` true entries stay true."""
    return alive & (np.cumsum(alive) <= limit)


def _final_decisions(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """True at the last decision of every row: there the rollout cuts the episode."""
    after = mask.flip(1).cumsum(dim=1).flip(1)
    return mask & (after == 1)


def _episode_metrics(ended: Sequence[_Ended]) -> dict[str, float]:
    if not ended:
        return {}
    return {
        "rollout/ep_rew_mean": float(np.mean([one.total for one in ended])),
        "rollout/ep_len_mean": float(np.mean([one.length for one in ended])),
        "rollout/episodes": float(len(ended)),
    }


AT_ONCE = 16


def true_returns(
    policy: ActorCritic, environment: Control, episodes: int, seed: int, greedy: bool = True
) -> np.ndarray:
    """The undiscounted true return of each of `episodes` episodes, in environments of their own; see `played`."""
    rows = at_once(episodes, environment.envs)
    return played(policy, make(replace(environment, envs=rows)), episodes, seed, greedy)


def at_once(episodes: int, envs: int) -> int:
    """How many environments play side by side. PlauditError where there is nothing to play."""
    if episodes < 1:
        raise PlauditError(f"episodes: {episodes} are too few to evaluate; give 1 or more")
    return min(episodes, max(envs, AT_ONCE))


@torch.no_grad()
def played(policy: ActorCritic, source: Source, episodes: int, seed: int, greedy: bool = True) -> np.ndarray:
    """The undiscounted true return of each of `episodes` episodes; the source is closed afterwards.

    Every environment plays a fixed share of the episodes, so that short ones are not counted more often.
    Observation statistics are the policy's own and are not changed.
    """
    rows = source.num_envs
    quota = np.full(rows, episodes // rows) + (np.arange(rows) < episodes % rows)
    try:
        return _play(policy, source, quota, seed, greedy)
    finally:
        source.close()


def _play(policy: ActorCritic, source: Source, quota: np.ndarray, seed: int, greedy: bool) -> np.ndarray:
    actor = Actor(policy, source, torch.Generator().manual_seed(seed), greedy)
    observations = source.reset(seed)
    running, finished = np.zeros(len(quota)), [[] for _ in quota]
    while any(len(done) < wanted for done, wanted in zip(finished, quota, strict=True)):
        step = actor.step(observations).step
        running += np.where(step.alive, step.rewards, 0.0)
        for i in np.flatnonzero(step.alive & (step.terminated | step.truncated)):
            finished[i].append(running[i])
            running[i] = 0.0
        observations = step.observations
    return np.concatenate([np.asarray(done[:wanted]) for done, wanted in zip(finished, quota, strict=True)])
