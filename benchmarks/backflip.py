"""How far Hopper turns over backwards: what examples/backflip.yaml learned, counted from the physics.

    python -m benchmarks.backflip RUN [RUN ...] [--episodes 10] [--clip flip.webp]

Every run plays fresh episodes with the most likely action. `turned`: how far the torso ever got from where it began,
backwards, in whole turns and parts of one. `in the air`: the most of that between two touches of the ground. The clip
shows, at half the speed, the first run's episode that turned furthest.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from plaudit.environments.control import make, rendering
from plaudit.environments.control.config import Control
from plaudit.environments.control.replay import Replay
from plaudit.environments.control.wrappers import to_environment
from plaudit.models.actor_critic import ActorCritic
from plaudit.runs import saved

ANGLE = 1
"""Where an observation says how far the torso has turned; it grows as the robot falls on its face."""
FPS, SLOWER = 25, 2
"""Pictures per second of the clip, which is slower than time by so much."""
SEED = 1_000_000


@dataclass(frozen=True)
class Flips:
    """An episode."""

    turned: float
    in_the_air: float
    replay: Replay


def turned(angles: np.ndarray) -> float:
    """The furthest backwards from where it began, in turns."""
    return float((angles[0] - angles).max() / (2 * np.pi))


def turned_in_the_air(angles: np.ndarray, touching: np.ndarray) -> float:
    """The most turns backwards between two touches of the ground; a flight begins where it last touched."""
    flights = np.split(np.arange(len(angles)), np.flatnonzero(touching))
    return max((turned(angles[flight]) for flight in flights if len(flight)), default=0.0)


@torch.no_grad()
def play(policy: ActorCritic, environment: Control, episodes: int) -> Iterator[Flips]:
    """Episodes of a policy."""
    source = make.make(replace(environment, envs=1, vectorization="sync"))
    simulation = source.vector.envs[0].unwrapped  # type: ignore[attr-defined]
    try:
        for episode in range(episodes):
            observations, over = source.reset(SEED + episode), False
            source.recorder.begin_rollout()
            angles, touching, steps = [observations[0, ANGLE]], [False], 0
            while not over:
                states = torch.from_numpy(np.asarray(observations, dtype=np.float32))
                actions = policy.distribution(states).mode().numpy()
                step = source.step(to_environment(actions, source.action_space))
                over, steps = bool(step.terminated[0] or step.truncated[0]), steps + 1
                angles.append(step.successors[0, ANGLE])
                touching.append(not over and simulation.data.ncon > 0)  # reset already where it is over
                observations = step.observations
            replay = source.recorder.replay(0, 0, steps - 1)
            yield Flips(
                turned(np.array(angles)), turned_in_the_air(np.array(angles), np.array(touching)), replay
            )
    finally:
        source.close()


def main(argv: Sequence[str]) -> int:
    """Count, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--clip", type=Path)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    for number, run in enumerate(given.runs):
        played = list(play(saved.load_policy(run), saved.environment_of(run), given.episodes))
        best = max(played, key=lambda one: one.turned)
        turns = [one.turned for one in played]
        air = max(one.in_the_air for one in played)
        print(
            f"{run}: turned {np.mean(turns):.2f} ({min(turns):.2f} to {max(turns):.2f}); in the air {air:.2f} at most"
        )
        if given.clip and not number:
            every = max(1, round(rendering.frames_per_second(best.replay) / (FPS * SLOWER)))
            film = rendering.film(best.replay, every=every)
            given.clip.write_bytes(rendering.animation(film.frames, film.fps / SLOWER))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
