"""Actions between the policy's normalised space and the environment's own.

A policy chooses an index 0..n-1, or a number around [-1, 1] that maps linearly onto the bounds. A dimension
without two finite bounds has no scale to map onto: its numbers pass as they are, cut at a finite bound.
"""

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from plaudit.errors import PlauditError

TOLERANCE = 1e-6
"""How far, relative to the larger bound, a demonstrated action may lie outside: float32 rounding."""


def check_action_space(space: Space, name: str) -> None:
    """Raise PlauditError where `space` is not a Discrete, MultiDiscrete or float Box."""
    if isinstance(space, Discrete | MultiDiscrete):
        return
    if isinstance(space, Box) and np.issubdtype(space.dtype, np.floating):
        return
    raise PlauditError(
        f"{name}: actions of the kind {space} are not supported; wrap the environment so that its action "
        "space is Discrete, MultiDiscrete or a Box of floats"
    )


def to_environment(actions: np.ndarray, space: Space) -> np.ndarray:
    """What the environment is given: indices plus `start`, or numbers clipped to [-1, 1] and rescaled.

    `actions` [..., *shape] (or flat, [..., F]); the result has the space's shape and dtype.
    """
    if isinstance(space, Discrete):
        return _indices(actions, space) + space.start
    if isinstance(space, MultiDiscrete):
        return (_indices(actions, space) + space.start).astype(space.dtype)
    box = _box(space)
    actions = _shaped(np.asarray(actions, dtype=np.float64), box)
    low, high, scaled, middle, half = _bounds(box)
    given = np.where(scaled, middle + half * np.clip(actions, -1.0, 1.0), actions)
    return np.clip(given, low, high).astype(box.dtype)


def from_environment(actions: np.ndarray, space: Space) -> np.ndarray:
    """The inverse, for demonstrations: int64 indices, or float32 numbers of the policy's space.

    Raises PlauditError for an action outside the space (by more than rounding).
    """
    if isinstance(space, Discrete | MultiDiscrete):
        indices = _indices(actions, space) - space.start
        count = space.n if isinstance(space, Discrete) else space.nvec
        _reject((indices < 0) | (indices >= count), actions, space)
        return indices.astype(np.int64)
    box = _box(space)
    actions = _shaped(np.asarray(actions, dtype=np.float64), box)
    low, high, scaled, middle, half = _bounds(box)
    largest = np.maximum(
        np.where(np.isfinite(low), np.abs(low), 0), np.where(np.isfinite(high), np.abs(high), 0)
    )
    slack = TOLERANCE * largest
    with np.errstate(over="ignore"):
        outside = ~np.isfinite(actions) | (actions < low - slack) | (actions > high + slack)
    _reject(outside, actions, space)
    width = np.where(half > 0, half, 1.0)  # equal bounds: one action, called 0
    return np.where(
        scaled, np.clip((actions - middle) / width, -1.0, 1.0), np.clip(actions, low, high)
    ).astype(np.float32)


def _box(space: Space) -> Box:
    check_action_space(space, "the action space")
    assert isinstance(space, Box)
    return space


def _bounds(box: Box) -> tuple[np.ndarray, ...]:
    """low, high, where both are finite, and there the middle and half the width (elsewhere 0), in float64."""
    low, high = box.low.astype(np.float64), box.high.astype(np.float64)
    scaled = np.isfinite(low) & np.isfinite(high)
    finite_low, finite_high = np.where(scaled, low, 0.0), np.where(scaled, high, 0.0)
    # halved before they are added: bounds of the largest floats do not overflow
    return low, high, scaled, finite_high / 2 + finite_low / 2, finite_high / 2 - finite_low / 2


def _shaped(actions: np.ndarray, space: Space) -> np.ndarray:
    """[..., F] or [..., *shape] as [..., *shape]."""
    shape = space.shape or ()
    if not shape or actions.shape[-len(shape) :] == shape:
        return actions
    if actions.ndim and actions.shape[-1] == int(np.prod(shape)):
        return actions.reshape(*actions.shape[:-1], *shape)
    raise PlauditError(
        f"actions of shape {actions.shape} do not fit the action space {space}; its shape is {shape}"
    )


def _indices(actions: np.ndarray, space: Space) -> np.ndarray:
    actions = np.asarray(actions)
    if not np.issubdtype(actions.dtype, np.integer):
        raise PlauditError(
            f"actions for {space} are indices, but their type is {actions.dtype}; give whole numbers"
        )
    return _shaped(actions.astype(np.int64), space)


def _reject(outside: np.ndarray, actions: np.ndarray, space: Space) -> None:
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        value = np.asarray(actions).reshape(outside.shape)[place]
        raise PlauditError(
            f"action {list(place)} is {value}, outside the action space {space}; mend or drop it"
        )
