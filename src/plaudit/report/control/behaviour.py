"""The policies of a run before and after, played again: their returns, true and learned."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from plaudit.environments.control.collect import Control, Walk
from plaudit.environments.control.make import EnvironmentConfig, make
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.runs import saved
from plaudit.environments.control.evaluation import true_returns
from plaudit.queries.segments import run_lengths, windows
from plaudit.report.evidence import Evidence
from plaudit.runs import settings
from plaudit.seeds import seed_of

EPISODES, ROWS, LONGEST, POINTS = 20, 16, 1000, 100


@dataclass(frozen=True)
class Models:
    """What was learned; a killed run's are taken from its newest checkpoint."""

    before: ActorCritic
    after: ActorCritic
    reward: RewardEnsemble | None
    finished: bool


@dataclass(frozen=True)
class Returns:
    """True returns of one policy."""

    mean: float
    std: float
    episodes: int


@dataclass(frozen=True)
class Pieces:
    """The same stretches of behaviour by both rewards."""

    true: np.ndarray
    learned: np.ndarray


@dataclass(frozen=True)
class Scored:
    """Pieces of both policies."""

    before: Pieces
    after: Pieces
    length: int | None
    """Steps of each piece; None: whole episodes."""


def environment(evidence: Evidence) -> EnvironmentConfig:
    """The environment of a run; PlauditError where its config does not say."""
    given = evidence.config.get("environment")
    if isinstance(given, str):
        given = {"id": given}
    if not given:
        raise PlauditError(f"{evidence.folder.config}: does not name an environment")
    return settings.build(EnvironmentConfig, given, "environment")


def models(evidence: Evidence) -> Models:
    """The saved models; PlauditError where there are none yet."""
    path = evidence.folder.path
    before = saved.load_policy(path / "policy-start")
    if (path / "policy").exists():
        reward = saved.load_reward(path / "reward") if (path / "reward").exists() else None
        return Models(before, saved.load_policy(path / "policy"), reward, True)
    tree = evidence.folder.load_checkpoint()
    if tree is None:
        raise PlauditError(f"{path}: stopped before its first checkpoint")
    after, reward = deepcopy(before), None
    try:
        after.load_state_dict(tree["policy"])
        if tree["preferences"] is not None:
            given = (evidence.config.get("reward") or {}).get("model") or {}
            config = settings.build(RewardConfig, given, "reward.model")
            reward = RewardEnsemble(before.spaces, config, torch.Generator())
            reward.load_state_dict(tree["preferences"]["learner"]["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise PlauditError(f"{path}: the checkpoint does not fit config.yaml ({str(error)[:100]})") from None
    return Models(before, after, reward, False)


def returns(evidence: Evidence, models: Models) -> tuple[Returns, Returns]:
    """True returns before and after, with the likeliest actions."""
    result = evidence.manifest.get("result")
    before = _evaluated(evidence, models.before, "before")
    if models.finished and result:
        return before, Returns(result["return_mean"], result["return_std"], result["episodes"])
    return before, _evaluated(evidence, models.after, "after")


def _evaluated(evidence: Evidence, policy: ActorCritic, which: str) -> Returns:
    seed = seed_of(evidence.seed, "report", which)
    found = true_returns(policy, environment(evidence), EPISODES, seed)
    return Returns(float(found.mean()), float(found.std()), len(found))


def scored(evidence: Evidence, models: Models) -> Scored:
    """Stretches of both policies' behaviour, actions drawn as in training, by the true and the learned reward.

    They are as long as the segments people judge; whole episodes where all segments are worth the same.
    """
    assert models.reward is not None, "ask only where a reward was learned"
    reward: RewardEnsemble = models.reward
    walks = [_walk(evidence, models.before, "before"), _walk(evidence, models.after, "after")]
    longest = min(int(run_lengths(walk.mask, walk.last).max()) for walk in walks)
    wanted = int((evidence.config.get("feedback") or {}).get("segment", 100))
    length = min(wanted, longest)
    before, after = (_pieces(walk, reward, _segments(walk, length)) for walk in walks)
    if np.ptp(np.concatenate([before.true, after.true])) > 0:
        return Scored(before, after, length)
    before, after = (_pieces(walk, reward, _episodes(walk)) for walk in walks)
    return Scored(before, after, None)


def _walk(evidence: Evidence, policy: ActorCritic, which: str) -> Walk:
    source = make(replace(environment(evidence), envs=ROWS))
    try:
        steps = min(source.horizon or LONGEST, LONGEST)
        control = Control(source, steps, seed_of(evidence.seed, "report", "walk", which))
        return control.walk(deepcopy(policy))[0]  # a copy: walking updates observation statistics
    finally:
        source.close()


def _segments(walk: Walk, length: int) -> list[tuple[int, int, int]]:
    """(row, first step, step after the last) of stretches that share no step."""
    free: dict[int, int] = {}
    chosen = []
    for row, start in windows(walk.mask, walk.last, length).tolist():
        if start >= free.get(row, 0):
            free[row] = start + length
            chosen.append((row, start, start + length))
    return chosen


def _episodes(walk: Walk) -> list[tuple[int, int, int]]:
    """The same of the episodes that both began and ended here."""
    found = []
    for row, ended in enumerate(walk.ended & walk.mask):
        start = 0
        for end in torch.nonzero(ended).flatten().tolist():
            found.append((row, start, end + 1))
            start = end + 1
    return found


def _pieces(walk: Walk, reward: RewardEnsemble, places: list[tuple[int, int, int]]) -> Pieces:
    sides = [walk.record.environment_rewards.double(), reward.reward(walk.record).double()]
    every = max(1, len(places) // POINTS)
    both = [
        [float((side * walk.mask)[row, start:end].sum()) for row, start, end in places[::every]]
        for side in sides
    ]
    return Pieces(np.array(both[0]), np.array(both[1]))
