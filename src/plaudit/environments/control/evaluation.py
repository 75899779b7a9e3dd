"""Evaluate a policy by the true return, on environments of its own."""

from dataclasses import replace

import numpy as np
import torch

from plaudit.environments.control.actions import to_environment
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic

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
    generator = torch.Generator().manual_seed(seed)
    observations = source.reset(seed)
    running, finished = np.zeros(len(quota)), [[] for _ in quota]
    while any(len(done) < wanted for done, wanted in zip(finished, quota, strict=True)):
        states = torch.from_numpy(np.asarray(observations, dtype=np.float32).reshape(len(quota), -1))
        distribution = policy.distribution(states)
        actions = distribution.mode() if greedy else distribution.sample(generator)
        step = source.step(to_environment(actions.numpy(), source.action_space))
        running += np.where(step.alive, step.rewards, 0.0)
        for i in np.flatnonzero(step.alive & (step.terminated | step.truncated)):
            finished[i].append(running[i])
            running[i] = 0.0
        observations = step.observations
    return np.concatenate([np.asarray(done[:wanted]) for done, wanted in zip(finished, quota, strict=True)])
