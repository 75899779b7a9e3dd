"""The stage `pretrain` for control: clone a policy from demonstrations."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plaudit.algorithms.imitation import bc
from plaudit.batches import Demonstrations
from plaudit.batches.rows import take
from plaudit.declared import Count, Probability
from plaudit.environments.control.actions import from_environment
from plaudit.environments.control.rollouts import executed, spaces
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.vector_env import Source
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.transitions import Transitions
from plaudit.runs import saved
from plaudit.environments.control.evaluation import true_returns
from plaudit.stages.optimise import Watch
from plaudit.readers.arrays import RecordedSteps
from plaudit.seeds import seed_of
from plaudit.trainers import supervised


@dataclass(frozen=True)
class CloneConfig:
    """How a clone is made."""

    environment: Control
    """The environment of the demonstrations."""
    episodes: Count | None = None
    """Use only the first so many episodes; none: all."""
    held_out: Probability = 0.1
    """Share of the steps kept for the held-out loss."""
    settings: bc.Config = bc.Config()
    """The mathematics of cloning."""
    trainer: supervised.Config = supervised.Config()
    """How the loss is descended."""
    policy: PolicyConfig = PolicyConfig()
    """The networks; normalised observations use the demonstrations' statistics."""
    evaluate_episodes: Count = 50
    """Episodes of the evaluation at the end."""
    seed: int = 0
    """Seed of everything."""


def clone(config: CloneConfig, steps: RecordedSteps, out: Path, watch: Watch) -> dict[str, Any]:
    """Clone the demonstrator into `out`; returns the held-out loss and the true return of the clone."""
    if (out / saved.CARD).exists():
        raise PlauditError(f"{out}: a model is here already; choose another --out")
    source = make(config.environment)
    try:
        if config.episodes is not None:
            steps = steps.first_episodes(config.episodes)
        record = _record(steps, source)
        policy = ActorCritic(spaces(source), config.policy, _generator(config.seed, "policy"))
    finally:
        source.close()
    policy.observe(record.observations[:, 0])
    data, held_out = _split(record, config)
    task = supervised.Task(bc, config.settings, config.trainer)
    metrics: dict[str, Any] = {}
    for metrics in supervised.train(policy, data, held_out, task, _generator(config.seed, "minibatches")):
        watch(metrics)
    saved.save_policy(out, policy, config.environment)
    returns = true_returns(
        policy, config.environment, config.evaluate_episodes, seed_of(config.seed, "evaluation")
    )
    return metrics | {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "episodes": len(returns),
    }


def _record(steps: RecordedSteps, source: Source) -> Transitions:
    """Every demonstrated step a row of its own."""
    shape = source.observation_space.shape
    if steps.observations.shape[1:] != shape:
        raise PlauditError(
            f"demonstrations: observations have shape {steps.observations.shape[1:]}, but {source.name} gives {shape}; "
            "use demonstrations of this environment"
        )
    actions = steps.actions
    if hasattr(source.action_space, "n"):
        actions = actions.reshape(len(actions), -1)
        if actions.shape[1] != 1 or not np.array_equal(actions, np.round(actions)):
            raise PlauditError(f"demonstrations: actions {steps.actions.shape} are not one whole number per step, as "
                               f"{source.name} wants; use demonstrations of this environment")  # fmt: skip
        actions = actions[:, 0].astype(np.int64)
    try:
        known = np.asarray(from_environment(actions, source.action_space))
    except PlauditError as error:
        raise PlauditError(f"demonstrations of {source.name}: {error}") from None
    chosen = torch.from_numpy(known).reshape(len(known), 1, *known.shape[1:])
    observations = torch.from_numpy(steps.observations.astype(np.float32).reshape(len(chosen), 1, -1))
    given = executed(chosen, spaces(source), source.action_space)
    return Transitions(observations, chosen, given, observations, torch.zeros(len(chosen), 1))


def _split(record: Transitions, config: CloneConfig) -> tuple[Demonstrations, Demonstrations]:
    count = len(record.observations)
    order = torch.randperm(count, generator=_generator(config.seed, "held out"))
    kept = max(1, round(config.held_out * count))
    if not 0 <= config.held_out < 1 or kept >= count:
        raise PlauditError(
            f"held_out: {config.held_out} of {count} demonstrated steps leaves none to learn from; "
            "give more demonstrations or a share below 1"
        )
    mask = torch.ones(count, 1, dtype=torch.bool)
    everything = Demonstrations(mask, record)
    return take(everything, order[kept:]), take(everything, order[:kept])


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, purpose))
