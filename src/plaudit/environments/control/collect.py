"""Collect behaviour from a control environment: act, then turn the record into episodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plaudit.batches import Episodes, Rollout
from plaudit.environments.control.actions import to_environment
from plaudit.environments.control.sources import Source
from plaudit.errors import Diverged, PlauditError
from plaudit.models.actor_critic import ActorCritic, Spaces
from plaudit.models.moments import RunningMoments
from plaudit.models.transitions import Transitions

Reward = Callable[[Transitions], Tensor]
"""A reward of every recorded step, [B, T]."""


@dataclass(frozen=True)
class Walk:
    """What happened, before it is judged: the record and where its episodes end."""

    record: Transitions
    terminated: Tensor
    ended: Tensor
    """Terminated or truncated: the environment was reset after it; also where the decision itself is masked out."""
    last: Tensor
    """A decision that ended its episode, or was cut by the end of the rollout."""
    mask: Tensor


class Control:
    """N environments that advance together; carries unfinished episodes over from one rollout to the next."""

    def __init__(self, source: Source, steps: int, seed: int, reward_scale: "RewardScale | None" = None):
        self.source, self.steps, self.reward_scale = source, steps, reward_scale
        self.generator = torch.Generator().manual_seed(seed)
        self.observations = _flat(source.reset(seed))
        self.spaces = spaces(source)
        self.unseen = torch.zeros(0, self.spaces.observation)  # a few reset states alone would mislead
        self.returns = np.zeros(source.num_envs)
        self.lengths = np.zeros(source.num_envs, dtype=np.int64)

    def collect(
        self, policy: ActorCritic, reference: Any | None, reward: Reward, limit: int | None = None
    ) -> Rollout:
        """A rollout of `steps` columns, or of at most `limit` decisions."""
        walk, metrics = self.walk(policy, limit)
        return self.judge(walk, policy, reference, reward, metrics)

    @torch.no_grad()
    def walk(self, policy: ActorCritic, limit: int | None = None) -> tuple[Walk, dict[str, float]]:
        """Act for `steps` vector steps; decisions beyond `limit` are dropped from the last column."""
        source, n = self.source, self.source.num_envs
        policy.observe(self.unseen)  # before acting, never between acting and learning: the ratio starts at 1
        source.tape.begin_rollout()
        columns: list[tuple[Any, ...]] = []
        ended: list[tuple[float, int]] = []
        left = most = limit if limit is not None else n * self.steps
        while left > 0 and (len(columns) < self.steps or left == most):  # dead steps alone are no rollout
            observations = self.observations
            chosen = policy.distribution(torch.from_numpy(observations)).sample(self.generator).numpy()
            step = source.step(to_environment(chosen, source.action_space))
            alive = _first(step.alive, left)
            left -= int(alive.sum())
            columns.append((observations, chosen, step, alive))
            self.observations = _flat(step.observations)
            ended += self._count(step)
        walk = self._assemble(columns)
        self.unseen = walk.record.observations[walk.mask]
        return walk, _episode_metrics(ended)

    @torch.no_grad()
    def judge(
        self,
        walk: Walk,
        policy: ActorCritic,
        reference: Any | None,
        reward: Reward,
        metrics: dict[str, float],
    ) -> Rollout:
        """Episodes of what happened: log-probabilities by the trainer's forward pass, values, rewards."""
        rewards = torch.where(walk.mask, reward(walk.record), 0.0)
        metrics = metrics | {"rollout/reward_mean": float(rewards[walk.mask].mean())}
        if self.reward_scale is not None:
            rewards = self.reward_scale(rewards, walk.ended, walk.mask)
        scores = policy.scores(walk.record)
        values = following = None
        if policy.config.critic:
            values, following = policy.values_of(walk.record, walk.last)
        ref_logp = None if reference is None else reference.scores(walk.record).logp
        episodes = Episodes(
            scores.logp, rewards, walk.terminated, walk.last, walk.mask, values, following, ref_logp
        )
        _refuse_divergence(episodes)
        return Rollout(episodes, walk.record, metrics)

    def _count(self, step: Any) -> list[tuple[float, int]]:
        """Add up true returns and lengths; returns those of the episodes that ended now."""
        self.returns += np.where(step.alive, step.rewards, 0.0)
        self.lengths += step.alive
        ends = (step.terminated | step.truncated) & step.alive
        ended = [(float(self.returns[i]), int(self.lengths[i])) for i in np.flatnonzero(ends)]
        self.returns[ends], self.lengths[ends] = 0.0, 0
        return ended

    def _assemble(self, columns: list[tuple[Any, ...]]) -> Walk:
        def stack(arrays: list[Any], dtype: Any = None) -> Tensor:
            return torch.from_numpy(
                np.stack(arrays, axis=1).astype(dtype) if dtype else np.stack(arrays, axis=1)
            )

        observations, chosen, steps, alive = zip(*columns, strict=True)
        actions = stack(list(chosen))
        mask = stack(list(alive))
        terminated = stack([s.terminated for s in steps])
        ended = terminated | stack([s.truncated for s in steps])
        record = Transitions(
            observations=stack(list(observations)),
            actions=actions,
            executed=executed(actions, self.spaces, self.source.action_space),
            successors=stack([_flat(s.successors) for s in steps]),
            environment_rewards=stack([s.rewards for s in steps], np.float32),
        )
        return Walk(record, terminated & mask, ended, (ended & mask) | _final_decisions(mask), mask)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, where the source can be replayed."""
        return {
            "source": self.source.snapshot(),
            "unseen": self.unseen,
            "generator": self.generator.get_state(),
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
            "reward_scale": {} if self.reward_scale is None else self.reward_scale.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; unfinished episodes are replayed."""
        self.observations = _flat(self.source.restore(state["source"]))
        self.unseen = state["unseen"]
        self.generator.set_state(state["generator"])
        self.returns, self.lengths = state["returns"].copy(), state["lengths"].copy()
        if self.reward_scale is not None:
            self.reward_scale.load_state_dict(state["reward_scale"])
        if self.source.resume == "statistical":  # fresh episodes: nothing is under way
            self.returns[:], self.lengths[:] = 0.0, 0
            if self.reward_scale is not None:
                self.reward_scale.running.zero_()


class RewardScale:
    """Divide rewards by the running standard deviation of the discounted return; clip to +-10.

    No mean is subtracted (it would change what is optimal). The return restarts at the end of an episode and is
    carried over from one rollout to the next (Engstrom et al. 2020, arXiv:2005.12729, section 3).
    """

    def __init__(self, rows: int, discount: float, limit: float = 10.0):
        self.discount, self.limit = discount, limit
        self.moments = RunningMoments()
        self.running = torch.zeros(rows, dtype=torch.float64)

    def __call__(self, rewards: Tensor, ended: Tensor, mask: Tensor) -> Tensor:
        """Scaled rewards [B, T]; updates the statistics with them first."""
        seen = []
        for t in range(rewards.shape[1]):
            advanced = self.running * self.discount + rewards[:, t]
            self.running = torch.where(mask[:, t], advanced, self.running)
            seen.append(self.running[mask[:, t]])
            self.running = torch.where(ended[:, t], 0.0, self.running)
        self.moments.update(torch.cat(seen))
        return (rewards / (self.moments.var + 1e-8).sqrt()).clamp(-self.limit, self.limit).to(rewards.dtype)

    def reset(self) -> None:
        """Forget: the reward itself has changed."""
        self.moments.reset()
        self.running.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Statistics and running returns."""
        return {"moments": dict(self.moments.state_dict()), "running": self.running.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved statistics."""
        self.moments.load_state_dict(state["moments"])
        self.running = state["running"].clone()


def environment_reward(record: Transitions) -> Tensor:
    """The environment's own reward: plain reinforcement learning."""
    return record.environment_rewards


def mixed(weights: dict[str, float], learned: Reward | None) -> Reward:
    """A weighted sum of the environment's reward and a learned one, such as {"environment": 0, "learned": 1}."""
    unknown = set(weights) - {"environment", "learned"}
    if unknown:
        raise PlauditError(
            f"reward weights: unknown name {sorted(unknown)[0]!r}; known are 'environment' and 'learned'"
        )
    if weights.get("learned") and learned is None:
        raise PlauditError(
            "reward weights: 'learned' has a weight but there is no reward model; give one or set it to 0"
        )

    def reward(record: Transitions) -> Tensor:
        total = weights.get("environment", 0.0) * record.environment_rewards
        if weights.get("learned") and learned is not None:
            total = total + weights["learned"] * learned(record)
        return total

    return reward


def spaces(source: Source) -> Spaces:
    """The numbers a policy for this source must fit."""
    observation = int(np.prod(source.observation_space.shape or ()))
    action: Any = source.action_space
    if hasattr(action, "n"):
        return Spaces(observation, int(action.n), "discrete")
    if not np.issubdtype(action.dtype, np.floating):
        raise PlauditError(f"{source.name}: policies for actions of the kind {action} are not there yet; "
                           "wrap the environment so that its actions are Discrete or a Box of floats")  # fmt: skip
    return Spaces(observation, int(np.prod(action.shape)), "continuous")


def executed(actions: Tensor, spaces: Spaces, action_space: Any) -> Tensor:
    """What the environment was given, as numbers for a reward model: one-hot, or the clipped and rescaled action."""
    if spaces.kind == "discrete":
        return torch.nn.functional.one_hot(actions.long(), spaces.action).float()
    given = to_environment(actions.numpy(), action_space)
    return torch.from_numpy(np.asarray(given, dtype=np.float32)).reshape(*actions.shape[:2], -1)


def _flat(observations: np.ndarray) -> np.ndarray:
    """[N, *obs] -> [N, F] float32, what networks take."""
    return np.ascontiguousarray(observations, dtype=np.float32).reshape(len(observations), -1)


def _refuse_divergence(episodes: Episodes) -> None:
    """A NaN would pass for a choice or for `no estimate` further on."""
    for name in ("logp", "values", "rewards"):
        tensor = getattr(episodes, name)
        if tensor is not None and not torch.isfinite(tensor[episodes.mask]).all():
            raise Diverged(f"{name} is")


def _first(alive: np.ndarray, limit: int) -> np.ndarray:
    """The first `limit` true entries stay true."""
    return alive & (np.cumsum(alive) <= limit)


def _final_decisions(mask: Tensor) -> Tensor:
    """True at the last decision of every row: there the rollout cuts the episode."""
    after = mask.flip(1).cumsum(dim=1).flip(1)
    return mask & (after == 1)


def _episode_metrics(ended: list[tuple[float, int]]) -> dict[str, float]:
    if not ended:
        return {}
    returns, lengths = zip(*ended, strict=True)
    return {
        "rollout/ep_rew_mean": float(np.mean(returns)),
        "rollout/ep_len_mean": float(np.mean(lengths)),
        "rollout/episodes": float(len(ended)),
    }
