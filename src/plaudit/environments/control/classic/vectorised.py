"""Many copies of one of our environments that step at once, with Gymnasium's vector interface."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

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


class ClassicVectorEnv(VectorEnv):
    """N environments of one `Physics`; same-step autoreset only; the time limit is inside.

    Environment i has a generator of its own, seeded with seed + i, so that what it does depends neither on N
    nor on its neighbours, and equals Gymnasium's scalar environment of that seed. Where episodes ended,
    `infos["final_obs"]` is a dense [N, d] array of the observations before the reset (meaningful where
    `infos["_final_obs"]`).
    """

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}

    def __init__(self, physics: Physics, num_envs: int, horizon: int | None):
        self.physics_of_one = physics
        self.num_envs = num_envs
        self.name = physics.id
        self.horizon = horizon
        """Steps until the time limit; None: there is none."""
        self.spec = None
        self.render_mode = None
        self.single_observation_space, self.single_action_space = (
            physics.observation_space,
            physics.action_space,
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.states = np.zeros((num_envs, 0))
        self.elapsed = np.zeros(num_envs, dtype=np.int64)
        self.generators: list[np.random.Generator] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin N episodes; without a seed the generators go on (seeded by the system the first time)."""
        seeds = [None] * self.num_envs if seed is None else seed
        seeds = [seeds + i for i in range(self.num_envs)] if isinstance(seeds, int) else seeds
        fresh = not self.generators
        self.generators = [
            np_random(one)[0] if fresh or one is not None else self.generators[i]
            for i, one in enumerate(seeds)
        ]
        self.states = np.stack([self.physics_of_one.draw(generator) for generator in self.generators]).astype(
            float
        )
        self.elapsed = np.zeros(self.num_envs, dtype=np.int64)
        return self._first(self.states), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance all, then begin again where an episode ended."""
        actions = np.asarray(actions, dtype=self.single_action_space.dtype)
        states, rewards, terminated = self.physics_of_one.advance(self.states, actions, self.elapsed == 0)
        self.elapsed = self.elapsed + 1
        truncated = self.elapsed >= (np.inf if self.horizon is None else self.horizon)
        observations = self.physics_of_one.observe(states)
        infos: dict[str, Any] = {}
        ended = terminated | truncated
        if ended.any():
            infos = {"final_obs": observations.copy(), "_final_obs": ended}
            rows = np.flatnonzero(ended)
            states[rows] = [self.physics_of_one.draw(self.generators[row]) for row in rows]
            self.elapsed[rows] = 0
            observations[rows] = self._first(states[rows])
        self.states = states
        return observations, rewards, terminated, truncated, infos

    def physics(self) -> np.ndarray:
        """The full states [N, k]; `place` puts a scalar Gymnasium environment into one."""
        return self.states.copy()

    def snapshot(self) -> dict[str, Any]:
        """States, elapsed steps, and the generators' states as JSON."""
        return {
            "states": self.states.copy(),
            "elapsed": self.elapsed.copy(),
            "generators": [json.dumps(generator.bit_generator.state) for generator in self.generators],
        }

    def restore(self, saved: dict[str, Any]) -> np.ndarray:
        """Come back to a snapshot: the observations [N, d] to act on."""
        self.states = np.array(saved["states"], dtype=np.float64)
        self.elapsed = np.array(saved["elapsed"], dtype=np.int64)
        self.generators = [np.random.Generator(np.random.PCG64()) for _ in saved["generators"]]
        for generator, state in zip(self.generators, saved["generators"], strict=True):
            generator.bit_generator.state = json.loads(state)
        observations = self.physics_of_one.observe(self.states)
        rows = self.elapsed == 0
        observations[rows] = self._first(self.states[rows])
        return observations

    def _first(self, states: np.ndarray) -> np.ndarray:
        return (self.physics_of_one.observe_first or self.physics_of_one.observe)(states)


def place(env: gymnasium.Env, physics: Physics, state: np.ndarray, elapsed: int) -> None:
    """Put Gymnasium's scalar environment, just reset, into a state [k] of ours after `elapsed` steps."""
    kind = np.float32 if physics.single_precision and elapsed else np.float64
    env.unwrapped.state = np.asarray(state, dtype=kind)  # type: ignore[attr-defined]
