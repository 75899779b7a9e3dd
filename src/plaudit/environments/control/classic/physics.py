"""What an environment of ours consists of: pure functions over N states at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box, Discrete

Advanced = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Next states [N, k], rewards [N] and terminated [N]."""


@dataclass(frozen=True)
class Physics:
    """An environment as functions: the same operations in the same order as Gymnasium's, in float64."""

    id: str
    """Gymnasium's id of the scalar environment that it equals step by step."""
    horizon: int
    """Steps until the time limit, as in Gymnasium's registry."""
    observation_space: Box
    """Of one environment."""
    action_space: Box | Discrete
    """Of one environment."""
    draw: Callable[[np.random.Generator], np.ndarray]
    """A first state [k], from the generator exactly as Gymnasium draws it."""
    advance: Callable[[np.ndarray, np.ndarray, np.ndarray], Advanced]
    """(states [N, k], actions [N, ...], first step of its episode [N]) -> what follows."""
    observe: Callable[[np.ndarray], np.ndarray]
    """States [N, k] -> observations [N, d] float32."""
    observe_first: Callable[[np.ndarray], np.ndarray] | None = None
    """The same for states just drawn, where Gymnasium computes these with another precision."""
    single_precision: bool = False
    """Gymnasium keeps the state as float32 after the first step."""
