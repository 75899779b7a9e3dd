"""Spaces of environments as plain numbers: flat observations, what a policy must fit, and which actions are legal."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import Space
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from gymnasium.spaces.utils import flatdim, flatten, flatten_space
from gymnasium.vector import VectorEnv
from torch import Tensor

from plaudit.environments.control.wrappers import to_environment
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces

SINGLE = (Box, Discrete, MultiDiscrete, MultiBinary)
"""Kinds of observation with a length of their own."""
MASK = "action_mask"
"""Where Gymnasium's environments say in `info` which actions are legal."""


def check_observation_space(space: Space, name: str) -> None:
    """Raise PlauditError for what has no fixed length: texts, graphs, sequences, also as a part of the whole."""
    for one in _parts(space):
        if not isinstance(one, SINGLE):
            raise PlauditError(
                f"{name}: observations of the kind {type(one).__name__} have no fixed length; wrap the environment so "
                "that they are made of Box, Discrete, MultiDiscrete and MultiBinary, in Dict or Tuple where there are "
                "several"
            )


def _parts(space: Space) -> Iterator[Space]:
    """What a space is made of."""
    if isinstance(space, Dict | Tuple):
        for inner in space.spaces.values() if isinstance(space, Dict) else space.spaces:
            yield from _parts(inner)
    else:
        yield space


class FlatObservation(gymnasium.ObservationWrapper):
    """Observations as one row of numbers: one-hot where they are discrete, one after another where there are several.

    Those of a Dict come in the order of their keys. The parts keep their precision: no scaling, float64 where that is
    needed to hold them all.
    """

    def __init__(self, env: gymnasium.Env, name: str):
        super().__init__(env)
        check_observation_space(env.observation_space, name)
        self.own_space = env.observation_space
        """As the environment gives them."""
        self.observation_space = flatten_space(self.own_space)

    def observation(self, observation: Any) -> np.ndarray:
        """One row."""
        return flat(self.own_space, observation)


def own_space(vector: VectorEnv) -> Space:
    """The observations of one environment before they were flattened, where it can be asked."""
    rows = getattr(vector, "envs", None)
    env = rows[0] if rows else None
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, FlatObservation):
            return env.own_space
        env = env.env
    return vector.single_observation_space


def flat(space: Space, observation: Any) -> np.ndarray:
    """An observation of this space as one row of numbers; PlauditError where it is none."""
    try:
        return np.asarray(flatten(space, observation))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError) as error:
        raise PlauditError(
            f"an observation does not fit its space {space} ({type(error).__name__}: {' '.join(str(error).split())}); "
            "mend the environment"
        ) from error


def flat_given(own: Space, observation: Any) -> np.ndarray:
    """An observation, or a batch of them, as numbers: flattened where the environment's own are no array of numbers.

    PlauditError for what is neither an observation of `own`, nor flat already.
    """
    if not isinstance(own, Box):
        if isinstance(own, Dict | Tuple):
            if isinstance(observation, dict | tuple):
                return flat(own, observation)
        else:
            whole = np.asarray(observation)
            single = own.shape or ()
            known = whole.dtype == bool or np.issubdtype(whole.dtype, np.integer)
            if known and whole.shape == single:
                return flat(own, whole)
            if known and whole.shape[1:] == single:
                return np.stack([flat(own, one) for one in whole])
    try:
        return np.asarray(observation, dtype=np.float32)
    except (TypeError, ValueError):
        raise PlauditError(
            f"observation: a {type(observation).__name__}, no array of numbers; give what the environment returns"
        ) from None


def flat_recorded(observations: np.ndarray, shape: tuple[int, ...] | None, own: Space) -> np.ndarray | None:
    """Recorded observations [N, ...] as the environment's are flattened, [N, *shape]; None: they do not fit.

    A file may hold them flat already, or as whole numbers where the environment's own are discrete.
    """
    if observations.shape[1:] == shape:
        return observations
    if not isinstance(own, Discrete | MultiDiscrete | MultiBinary):
        return None
    single = own.shape or ()
    if observations[:1].size != int(np.prod(single)) or not np.array_equal(
        observations, np.round(observations)
    ):
        return None
    whole = observations.reshape(len(observations), *single)
    rows = whole.astype(np.int64)
    valid = all(own.contains(row.astype(own.dtype)) for row in rows)
    return np.stack([flat(own, row) for row in rows]) if valid else None


def flat_length(space: Space) -> int:
    """How many numbers an observation or an action has, one-hot where it is discrete."""
    return int(flatdim(space))


def spaces(observation: Space, action: Space) -> Spaces:
    """The numbers a policy for these spaces must fit."""
    seen = int(np.prod(observation.shape or ()))
    if isinstance(action, Discrete):
        return Spaces(seen, int(action.n), "discrete")
    if isinstance(action, MultiDiscrete):
        choices = tuple(int(n) for n in action.nvec.reshape(-1))
        return Spaces(seen, sum(choices), "multi_discrete", choices)
    kind = "multi_binary" if isinstance(action, MultiBinary) else "continuous"
    return Spaces(seen, int(np.prod(action.shape or ())), kind)


def executed(actions: Tensor, spaces: Spaces, action_space: Space) -> Tensor:
    """What the environment was given, as numbers for a reward model: one-hot, or the clipped and rescaled action."""
    if spaces.kind == "discrete":
        return torch.nn.functional.one_hot(actions.long(), spaces.action).float()
    if spaces.kind == "multi_discrete":
        each = zip(actions.long().unbind(-1), spaces.choices, strict=True)
        return torch.cat([torch.nn.functional.one_hot(one, n) for one, n in each], dim=-1).float()
    given = to_environment(actions.numpy(), action_space)
    return torch.from_numpy(np.asarray(given, dtype=np.float32)).reshape(*actions.shape[:2], -1)


def chosen_from(one_hot: np.ndarray, choices: tuple[int, ...]) -> np.ndarray:
    """Indices [..., K] of the choices that one-hot rows [..., sum(choices)] hold one after another."""
    pieces = np.split(one_hot, np.cumsum(choices)[:-1], axis=-1)
    return np.stack([piece.argmax(axis=-1) for piece in pieces], axis=-1)


def legal(infos: dict[str, Any], ready: np.ndarray, action_space: Space, name: str) -> np.ndarray | None:
    """Which actions are legal now, [N, A] bool, by the action masks in `infos`; None where there are none.

    Several choices have their masks one after another. An environment that says nothing, and one whose next step is
    dead (not `ready`), allows everything. PlauditError where one allows nothing.
    """
    masks = infos.get(MASK)
    if masks is None or not isinstance(action_space, Discrete | MultiDiscrete):
        return None
    sizes = [int(n) for n in np.ravel(getattr(action_space, "nvec", getattr(action_space, "n", 0)))]
    allowed = np.ones((len(ready), sum(sizes)), dtype=bool)
    said = _said(infos, ready) & ready
    regular = isinstance(masks, np.ndarray) and masks.shape == allowed.shape
    if regular and ((masks == 0) | (masks == 1)).all():
        allowed[said] = masks[said] == 1
    else:
        for row in np.flatnonzero(said):
            allowed[row] = _mask(masks[row], allowed.shape[1], f"{name}: environment {row}")
    for choice in np.split(allowed, np.cumsum(sizes)[:-1], axis=1):
        for row in np.flatnonzero(~choice.any(axis=1)):
            raise PlauditError(
                f"{name}: environment {row} allows no action at all (its info['{MASK}'] is 0 everywhere); an episode "
                "in which nothing can be done must end"
            )
    return allowed


def _said(infos: dict[str, Any], like: np.ndarray) -> np.ndarray:
    """[N] bool: which environments gave a mask."""
    return infos.get(f"_{MASK}", np.ones(len(like), dtype=bool))


def merged(infos: dict[str, Any], begun: dict[str, Any], ended: np.ndarray) -> dict[str, Any]:
    """The action masks of both, those of the new episodes where one `ended`."""
    if MASK not in begun:
        return {MASK: infos[MASK], f"_{MASK}": _said(infos, ended) & ~ended} if MASK in infos else {}
    if MASK not in infos:
        return begun
    masks, known = infos[MASK].copy(), _said(infos, ended) & ~ended
    masks[ended] = begun[MASK][ended]
    return {MASK: masks, f"_{MASK}": known | (_said(begun, ended) & ended)}


def _mask(given: Any, length: int, where: str) -> np.ndarray:
    parts = [np.ravel(part) for part in given] if isinstance(given, tuple | list) else [np.ravel(given)]
    mask = np.concatenate(parts)
    if mask.shape != (length,) or not np.isin(mask, (0, 1)).all():
        raise PlauditError(
            f"{where}: info['{MASK}'] must hold {length} times 0 or 1, one for each action, not {given!r}; mend the "
            "environment"
        )
    return mask.astype(bool)
