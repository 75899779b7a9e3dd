"""What can be seen of an environment before anything is learned in it: its spaces, its limit, and random behaviour."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import gymnasium
import numpy as np

from plaudit.environments.control import rendering
from plaudit.environments.control.config import Control
from plaudit.environments.control.make import find, make
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError

ENVS, MOST, SEED = 8, 1000, 0
"""Environments side by side, and steps of each at most; always the same, so that a look gives the same facts again."""
EPISODES = 3
"""Episodes of each environment that are enough."""


@dataclass(frozen=True)
class Seen:
    """Facts about an environment."""

    observation: int
    """Numbers of an observation."""
    actions: Literal["discrete", "continuous"]
    limit: int | None
    """Steps after which an episode is truncated, by its registration; none: it has no such limit."""
    steps: int
    """Steps that each environment was looked at."""
    lengths: tuple[int, ...]
    """Of the random episodes that ended meanwhile."""
    terminated: int
    """How many of these the environment terminated."""
    rewards: tuple[float, float]
    """The smallest and the largest reward of a step."""

    @property
    def truncated(self) -> int:
        """Episodes that were ended by a limit, the registration's or one that the environment keeps itself."""
        return len(self.lengths) - self.terminated

    @property
    def same(self) -> bool:
        """Nothing that was done was better than anything else: one reward, and episodes of one length."""
        return self.rewards[0] == self.rewards[1] and len(set(self.lengths)) <= 1


def look(config: Control) -> Seen:
    """Act at random for a while. PlauditError where the environment cannot be made, learned in or stepped."""
    kind = "sync" if config.vectorization == "async" else config.vectorization
    source = make(replace(config, envs=ENVS, vectorization=kind, horizon="task", group=1))
    try:
        return _look(source)
    finally:
        source.close()


def refuse_undrawn(config: Control) -> None:
    """PlauditError where no picture can be drawn of this environment, which people would have to judge by."""
    source = make(replace(config, envs=1, horizon="task"))
    actions = np.zeros((1, *(source.action_space.shape or ())), source.action_space.dtype)
    source.action_space.seed(SEED)
    actions[0] = source.action_space.sample()
    source.close()
    try:
        with warnings.catch_warnings():  # Gymnasium's, of what is told in one sentence here
            warnings.simplefilter("ignore")
            rendering.frames(Replay(source.name, dict(config.kwargs), {"seed": SEED}, actions, 0))
    except PlauditError as error:
        if find(config.id).id in gymnasium.registry:  # it can be drawn, but not on this machine
            raise
        raise PlauditError(
            f"feedback.people: people judge clips, and {config.id} draws none; give it a keyword render_mode and a "
            "render() that returns pictures for rgb_array, or let simulated people answer"
        ) from error


def _look(source: Source) -> Seen:
    space, known = source.action_space, source.spaces
    space.seed(SEED)
    source.reset(SEED)
    lengths, terminated, ended = np.zeros(ENVS, int), 0, [[] for _ in range(ENVS)]
    low, high, steps = np.inf, -np.inf, 0
    while steps < MOST and min(map(len, ended)) < EPISODES:
        steps += 1
        step = source.step(np.stack([space.sample() for _ in range(ENVS)]))
        lengths += step.alive
        low, high = min(low, *step.rewards[step.alive]), max(high, *step.rewards[step.alive])
        for row in np.flatnonzero(step.terminated | step.truncated):
            ended[row].append(int(lengths[row]))
            terminated += int(step.terminated[row])
            lengths[row] = 0
    return Seen(
        observation=known.observation,
        actions="continuous" if known.kind == "continuous" else "discrete",
        limit=source.horizon,
        steps=steps,
        lengths=tuple(one for row in ended for one in row),
        terminated=terminated,
        rewards=(float(low), float(high)),
    )
