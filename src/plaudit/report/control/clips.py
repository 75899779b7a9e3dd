"""Animated clips of the policy before and after, from the same start."""

import base64
from dataclasses import dataclass, replace

import numpy as np
import torch

from plaudit.environments.control import rendering
from plaudit.environments.control.actions import to_environment
from plaudit.environments.control.make import EnvironmentConfig, make
from plaudit.environments.control.tape import Replay
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.report.control import behaviour
from plaudit.report.control.behaviour import Models
from plaudit.report.evidence import Evidence
from plaudit.seeds import seed_of

LARGEST = 300_000
"""Bytes of a clip."""
STARTS, LONGEST = 5, 1000
SECONDS, FASTEST = 7, 50
"""Of a clip, and its pictures per second at most: software that draws robots takes long for each."""
SIZES = ((220, 100), (180, 75), (150, 50), (120, 30))
"""Largest width and height, and pictures in a clip: tried until one is small enough."""


@dataclass(frozen=True)
class Clip:
    """An animated picture."""

    uri: str
    """A data: URI."""
    true_return: float
    """Of the whole episode."""
    steps: int
    """Steps shown."""
    whole: bool
    """The clip shows the episode to its end."""


@dataclass(frozen=True)
class _Played:
    replay: Replay
    true_return: float
    whole: bool


@torch.no_grad()
def before_and_after(evidence: Evidence, models: Models) -> tuple[Clip, Clip]:
    """Clips of both policies from one start: of five, the one with the middle return of the policy after.

    PlauditError where nothing can be drawn.
    """
    environment = replace(behaviour.environment(evidence), envs=1, vectorization="auto", resume="exact")
    seeds = [seed_of(evidence.seed, "report", "clip", i) % 2**31 for i in range(STARTS)]
    played = [_play(models.after, environment, seed) for seed in seeds]
    middle = int(np.argsort([one.true_return for one in played], kind="stable")[STARTS // 2])
    return _clip(_play(models.before, environment, seeds[middle])), _clip(played[middle])


def _play(policy: ActorCritic, environment: EnvironmentConfig, seed: int) -> _Played:
    """An episode with the likeliest actions, of which the first `SECONDS` can be shown."""
    source = make(environment)
    try:
        observations = source.reset(seed)
        source.tape.begin_rollout()
        total, steps, limit = 0.0, 0, source.horizon or LONGEST
        ended = False
        while not ended and steps < limit:
            states = torch.from_numpy(np.asarray(observations, dtype=np.float32).reshape(1, -1))
            action = policy.distribution(states).mode().numpy()
            step = source.step(to_environment(action, source.action_space))
            total, steps = total + float(step.rewards[0]), steps + 1
            ended = bool(step.terminated[0] | step.truncated[0])
            observations = step.observations
        shown = min(steps, round(SECONDS * _speed(source.tape.replay(0, 0, 0))))
        return _Played(source.tape.replay(0, 0, shown - 1), total, shown == steps)
    finally:
        source.close()


def _clip(played: _Played) -> Clip:
    """The largest clip that fits; fewer pictures are shown more slowly, so that time runs as it does."""
    replay, steps = played.replay, len(played.replay.actions)
    fps = _speed(replay)
    pictures = rendering.frames(replay, (SIZES[0][0], SIZES[0][0]))
    for size, count in SIZES:
        every = max(1, -(-len(pictures) // count))
        shown = pictures[::every] if size == SIZES[0][0] else _smaller(pictures[::every], size)
        content = rendering.animation(shown, fps / every)
        if len(content) <= LARGEST:
            uri = "data:image/webp;base64," + base64.b64encode(content).decode()
            return Clip(uri, played.true_return, steps, played.whole)
    raise PlauditError(f"{replay.environment}: its pictures are too large for a page")


def _speed(replay: Replay) -> float:
    return min(rendering.frames_per_second(replay), FASTEST)


def _smaller(pictures: np.ndarray, size: int) -> np.ndarray:
    """[T, H, W, 3] by nearest neighbours, at most `size` wide and high."""
    height, width = pictures.shape[1:3]
    scale = min(1.0, size / max(height, width))
    rows = (np.arange(round(height * scale)) / scale).astype(int)
    columns = (np.arange(round(width * scale)) / scale).astype(int)
    return pictures[:, rows][:, :, columns]
