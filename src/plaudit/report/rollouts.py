"""The policies of a run before and after, played again: their returns, true and learned, and clips from one start."""

import base64
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from plaudit.environments.control import rendering
from plaudit.environments.control.actor import Actor
from plaudit.environments.control.config import Control
from plaudit.environments.control.make import make
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.rollouts import ControlRollouts, Trajectories, true_returns
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.queries.segments import run_lengths, windows
from plaudit.report.data import RunData, is_number
from plaudit.runs import saved, settings
from plaudit.runs.returns import Returns
from plaudit.seeds import seed_of

EPISODES, ROWS, LONGEST, POINTS = 20, 16, 1000, 100
LARGEST = 300_000
"""Bytes of a clip."""
STARTS = 5
SECONDS, FASTEST = 7, 50
"""Of a clip, and its pictures per second at most: software that draws robots takes long for each."""
SIZES = ((220, 100), (180, 75), (150, 50), (120, 30))
"""Largest width and height, and pictures in a clip: tried until one is small enough."""


@dataclass(frozen=True)
class Models:
    """What was learned; a killed run's are taken from its newest checkpoint."""

    before: ActorCritic
    after: ActorCritic
    reward: RewardEnsemble | None
    finished: bool


@dataclass(frozen=True)
class BothReturns:
    """The same stretches of behaviour by both rewards."""

    true: np.ndarray
    learned: np.ndarray


@dataclass(frozen=True)
class Scored:
    """BothReturns of both policies."""

    before: BothReturns
    after: BothReturns
    length: int | None
    """Steps of each stretch; None: whole episodes."""


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
class _Episode:
    replay: Replay
    true_return: float
    whole: bool


def environment_of(run: RunData) -> Control:
    """The environment of a run; PlauditError where its config does not say."""
    given = run.config.get("environment")
    if isinstance(given, str):
        given = {"id": given}
    if not given:
        raise PlauditError(f"{run.folder.config}: does not name an environment")
    return settings.build(Control, given, "environment")


def models(run: RunData) -> Models:
    """The saved models; PlauditError where there are none yet."""
    path = run.folder.path
    before = saved.load_policy(path / "policy-start")
    if (path / "policy").exists():
        reward = saved.load_reward(path / "reward") if (path / "reward").exists() else None
        return Models(before, saved.load_policy(path / "policy"), reward, True)
    tree = run.folder.load_checkpoint()
    if tree is None:
        raise PlauditError(f"{path}: stopped before its first checkpoint")
    after, reward = deepcopy(before), None
    try:
        policy, learned = _weights(tree)
        after.restore(policy)
        if learned is not None:
            given = (run.config.get("reward") or {}).get("model") or {}
            config = settings.build(RewardConfig, given, "reward.model")
            reward = RewardEnsemble(before.spaces, config, torch.Generator())
            reward.load_state_dict(learned)
    except (KeyError, TypeError, RuntimeError) as error:
        raise PlauditError(f"{path}: the checkpoint does not fit config.yaml ({str(error)[:100]})") from None
    return Models(before, after, reward, False)


def _weights(tree: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The weights of the policy and of the learned reward in a checkpoint, of today or of the version before."""
    if "learner" not in tree:
        return tree["policy"], tree["preferences"] and tree["preferences"]["learner"]["model"]
    learner = tree["learner"]
    parts = learner.get("rewards") or {}
    parts = parts.get("source", parts)  # inside what normalises them
    trainer = (parts.get("learned") or {}).get("trainer")
    return learner.get("updater", learner)["policy"], trainer and trainer["medium"]


def returns(run: RunData, models: Models) -> tuple[Returns, Returns]:
    """True returns before and after, with the likeliest actions; what the run has measured itself is taken from it."""
    result = run.result
    if models.finished and (measured := recorded(run)) is not None:
        return measured
    before = _evaluated(run, models.before, "before")
    if models.finished and result:
        return before, Returns(result["return_mean"], result["return_std"], result["episodes"])
    return before, _evaluated(run, models.after, "after")


def recorded(run: RunData, suffix: str = "") -> tuple[Returns, Returns] | None:
    """True returns before and after as the run has measured them; `_drawn`: by drawn actions. None: it has not."""
    found = []
    for row in (run.result.get("before"), run.result):
        names = (f"return_mean{suffix}", f"return_std{suffix}", "episodes")
        values = [row.get(name) if isinstance(row, dict) else None for name in names]
        if not all(is_number(value) for value in values):
            return None
        found.append(Returns(float(values[0] or 0), float(values[1] or 0), int(values[2] or 0)))
    return found[0], found[1]


def _evaluated(run: RunData, policy: ActorCritic, which: str) -> Returns:
    seed = seed_of(run.seed, "report", which)
    return Returns.of(true_returns(policy, environment_of(run), EPISODES, seed))


def scored(run: RunData, models: Models) -> Scored:
    """Stretches of both policies' behaviour, actions drawn as in training, by the true and the learned reward.

    They are as long as the segments people judge; whole episodes where all segments are worth the same.
    """
    assert models.reward is not None, "ask only where a reward was learned"
    reward: RewardEnsemble = models.reward
    trajectories = [_played(run, models.before, "before"), _played(run, models.after, "after")]
    longest = min(int(run_lengths(one.mask, one.last).max()) for one in trajectories)
    wanted = int((run.config.get("feedback") or {}).get("segment", 100))
    length = min(wanted, longest)
    before, after = (_returns_by_both(one, reward, _segments(one, length)) for one in trajectories)
    if np.ptp(np.concatenate([before.true, after.true])) > 0:
        return Scored(before, after, length)
    before, after = (_returns_by_both(one, reward, _episodes(one)) for one in trajectories)
    return Scored(before, after, None)


def _played(run: RunData, policy: ActorCritic, which: str) -> Trajectories:
    source = make(replace(environment_of(run), envs=ROWS))
    try:
        steps = min(source.horizon or LONGEST, LONGEST)
        control = ControlRollouts(source, steps, seed_of(run.seed, "report", "walk", which))
        return control.collect(deepcopy(policy))  # a copy: acting updates observation statistics
    finally:
        source.close()


def _segments(trajectories: Trajectories, length: int) -> list[tuple[int, int, int]]:
    """(row, first step, step after the last) of stretches that share no step."""
    free: dict[int, int] = {}
    chosen = []
    for row, start in windows(trajectories.mask, trajectories.last, length).tolist():
        if start >= free.get(row, 0):
            free[row] = start + length
            chosen.append((row, start, start + length))
    return chosen


def _episodes(trajectories: Trajectories) -> list[tuple[int, int, int]]:
    """The same of the episodes that both began and ended here."""
    places = []
    for row, ended in enumerate(trajectories.ended & trajectories.mask):
        start = 0
        for end in torch.nonzero(ended).flatten().tolist():
            places.append((row, start, end + 1))
            start = end + 1
    return places


def _returns_by_both(
    trajectories: Trajectories, reward: RewardEnsemble, places: list[tuple[int, int, int]]
) -> BothReturns:
    record = trajectories.record
    sides = [record.environment_rewards.double(), reward.reward(record).double()]
    every = max(1, len(places) // POINTS)
    both = [
        [float((side * trajectories.mask)[row, start:end].sum()) for row, start, end in places[::every]]
        for side in sides
    ]
    return BothReturns(np.array(both[0]), np.array(both[1]))


@torch.no_grad()
def clips(run: RunData, models: Models) -> tuple[Clip, Clip]:
    """Clips of both policies from one start: of five, the one with the middle return of the policy after.

    PlauditError where nothing can be drawn.
    """
    environment = replace(environment_of(run), envs=1, vectorization="auto", resume="exact")
    seeds = [seed_of(run.seed, "report", "clip", i) % 2**31 for i in range(STARTS)]
    played = [_play(models.after, environment, seed) for seed in seeds]
    middle = int(np.argsort([one.true_return for one in played], kind="stable")[STARTS // 2])
    return _clip(_play(models.before, environment, seeds[middle])), _clip(played[middle])


def _play(policy: ActorCritic, environment: Control, seed: int) -> _Episode:
    """An episode with the likeliest actions, of which the first `SECONDS` can be shown."""
    source = make(environment)
    try:
        observations = source.reset(seed)
        actor = Actor(policy, source, torch.Generator(), greedy=True)
        source.recorder.begin_rollout()
        total, steps, limit = 0.0, 0, source.horizon or LONGEST
        ended = False
        while not ended and steps < limit:
            step = actor.step(observations).step
            total, steps = total + float(step.rewards[0]), steps + 1
            ended = bool(step.terminated[0] | step.truncated[0])
            observations = step.observations
        shown = min(steps, round(SECONDS * _speed(source.recorder.replay(0, 0, 0))))
        return _Episode(source.recorder.replay(0, 0, shown - 1), total, shown == steps)
    finally:
        source.close()


def _clip(played: _Episode) -> Clip:
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
