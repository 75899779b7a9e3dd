"""Recorded behaviour of control from files: demonstrations and pairs, in a policy's own actions."""

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from plaudit.batches import Demonstrations, Pairs
from plaudit.batches.rows import take
from plaudit.environments.control.spaces import chosen_from, executed, flat_recorded
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import from_environment
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic
from plaudit.models.transitions import Transitions
from plaudit.readers.arrays import RecordedSteps, read_comparisons, read_demonstrations, read_pairs
from plaudit.runs.config import RunConfig
from plaudit.runs.streams import generator
from plaudit.trainers.supervised import with_reference

HELD_OUT = 0.1
"""Share of the pairs that are never learned from."""

Recorded = TypeVar("Recorded", Demonstrations, Pairs)


def record(steps: RecordedSteps, source: Source) -> Transitions:
    """Every demonstrated step a row of its own, with its true successor; the last step of the recording, whose
    successor nobody saw, is its own."""
    shape = source.observation_space.shape
    seen = flat_recorded(steps.observations, shape, source.own_space)
    if seen is None:
        raise PlauditError(
            f"demonstrations: observations have shape {steps.observations.shape[1:]}, but {source.name} gives {shape}; "
            "use demonstrations of this environment"
        )
    chosen = actions_of(steps.actions, source, "demonstrations")
    observations = torch.from_numpy(seen.astype(np.float32).reshape(len(chosen), 1, -1))
    given = executed(chosen, source.spaces, source.action_space)
    following = torch.cat([observations[1:], observations[-1:]])
    ends = torch.from_numpy(np.append(steps.starts[1:], True).astype(bool))
    following = torch.where(
        ends[:, None, None], observations, following
    )  # an episode's final state is not recorded
    return Transitions(observations, chosen, given, following, torch.zeros(len(chosen), 1))


def actions_of(actions: np.ndarray, source: Source, what: str) -> torch.Tensor:
    """Recorded actions [N, ...] as the policy chooses them, [N, 1, ...]."""
    wanted = source.spaces
    if wanted.kind != "continuous":
        flat = actions.reshape(len(actions), -1)
        count = {"discrete": 1, "multi_discrete": len(wanted.choices)}.get(wanted.kind, wanted.action)
        if flat.shape[1] != count or not np.array_equal(flat, np.round(flat)):
            many = "one whole number" if count == 1 else f"{count} whole numbers"
            raise PlauditError(
                f"{what}: actions {actions.shape} are not {many} per step, as {source.name} wants; use "
                f"{what} of this environment"
            )
        actions = (flat[:, 0] if wanted.kind == "discrete" else flat).astype(np.int64)
    try:
        known = np.asarray(from_environment(actions, source.action_space))
    except PlauditError as error:
        raise PlauditError(f"{what} of {source.name}: {error}") from None
    return torch.from_numpy(known).reshape(len(known), 1, *known.shape[1:])


def demonstrated(path: Path, source: Source) -> Transitions:
    """All demonstrated steps of a file."""
    return record(read_demonstrations(path), source)


def split(data: Recorded, share: float, draws: torch.Generator) -> tuple[Recorded, Recorded]:
    """Rows to learn from, and a share of them held out."""
    count = len(data.mask)
    order = torch.randperm(count, generator=draws)
    kept = max(1, round(share * count))
    if not 0 <= share < 1 or kept >= count:
        raise PlauditError(
            f"held_out: {share} of {count} demonstrated steps leaves none to learn from; "
            "give more demonstrations or a share below 1"
        )
    return take(data, order[kept:]), take(data, order[:kept])


def cloned(steps: RecordedSteps, source: Source) -> Demonstrations:
    """Demonstrations in which every step counts."""
    found = record(steps, source)
    return Demonstrations(torch.ones(len(found.observations), 1, dtype=torch.bool), found)


def pairs(config: RunConfig, source: Source, reference: ActorCritic) -> tuple[Pairs, Pairs]:
    """The pairs of a file, and those held out, with the log-probabilities of the reference."""
    path = Path(str(config.pairs))
    found = read_pairs(path) if path.suffix == ".npz" else read_comparisons(path)
    sides, masks = [], []
    for side in (0, 1):
        segments = found.segments(side)
        lengths = torch.tensor([len(one.actions) for one in segments])
        mask = torch.arange(found.actions[side].shape[1]) < lengths[:, None]
        seen = np.concatenate([one.observations for one in segments])
        rows = flat_recorded(seen, source.observation_space.shape, source.own_space)
        if rows is None:
            raise PlauditError(
                f"{path}: observations have shape {seen.shape[1:]}, but {source.name} gives "
                f"{source.observation_space.shape}; give pairs of this environment"
            )
        taken = _indices(np.concatenate([one.actions for one in segments]), source)
        chosen = actions_of(taken, source, "pairs")
        states = _padded(torch.from_numpy(rows.astype(np.float32)).flatten(start_dim=1), mask)
        given = _padded(executed(chosen, source.spaces, source.action_space).squeeze(1), mask)
        following = torch.cat([states[:, 1:], states[:, -1:]], dim=1)
        sides.append(
            Transitions(states, _padded(chosen.squeeze(1), mask), given, following, torch.zeros(mask.shape))
        )
        masks.append(mask)
    both = Transitions(
        **{
            name: torch.stack([getattr(side, name) for side in sides], dim=1)
            for name, value in vars(sides[0]).items()
            if value is not None
        }
    )
    mask = torch.stack(masks, dim=1)
    preference = torch.from_numpy(found.preference.astype(np.float32))
    whole = with_reference(Pairs(mask, preference, both), reference, 256)
    return split(whole, HELD_OUT, generator(config.seed, "held out"))


def _padded(rows: Tensor, mask: Tensor) -> Tensor:
    """Rows of steps [N, ...] where the mask [P, L] is set, in its order; zeros elsewhere."""
    found = rows.new_zeros(*mask.shape, *rows.shape[1:])
    found[mask] = rows
    return found


def _indices(actions: np.ndarray, source: Source) -> np.ndarray:
    """Actions [N, ...] from what an export holds: one-hot rows of discrete ones, or the actions themselves."""
    wanted = source.spaces
    choices = (wanted.action,) if wanted.kind == "discrete" else wanted.choices
    if not choices or actions.ndim != 2 or not len(choices) < actions.shape[1] == sum(choices):
        return actions
    indices = chosen_from(actions, choices) + np.ravel(getattr(source.action_space, "start", 0))
    return indices[..., 0] if wanted.kind == "discrete" else indices
