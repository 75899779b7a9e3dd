"""Settings for an environment nobody has written a config for: few rules, each from a fact and with its reason.

A rule looks at what kind of environment it is, never at its name: the spaces, the step limit, and whether episodes of
random actions end. What it gives are values of a config, which a flag or a line of the file overrides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.environments.control.config import Control
from plaudit.environments.control.look import Seen
from plaudit.errors import PlauditError
from plaudit.runs.config import RunConfig, merged

USUAL_LIMIT = 1000
"""Steps of an episode where nothing else ends it, as in most of MuJoCo."""
FEW_NUMBERS = 8
"""An observation of so many is one of classic control or of a small game."""
SHORT = 200
"""An episode of so many steps at most can be asked about by halves."""
SEGMENT, SHORTEST_SEGMENT = 50, 10
"""Steps of a segment: enough to see what is meant, few enough to say which step was good."""


@dataclass(frozen=True)
class Choice:
    """Values of a config, and why these."""

    values: dict[str, Any]
    why: str

    def __str__(self) -> str:
        """In a line, by the names that flags have."""
        said = ", ".join(f"{name} {value}" for name, value in _flat(self.values))
        return f"{said}: {self.why}"


def choose(seen: Seen, labels: int = 0) -> list[Choice]:
    """What suits an environment of which this was seen, to learn from its reward or from so many comparisons."""
    found = [*_limit(seen), *_ppo(seen)]
    return found + _comparisons(seen, labels) if labels else found


def together(choices: Sequence[Choice]) -> dict[str, Any]:
    """All values as one mapping for a config."""
    found: dict[str, Any] = {}
    for one in choices:
        found = merged(found, one.values)
    return found


def described(seen: Seen) -> str:
    """What was seen, in a line."""
    limit = f"a step limit of {seen.limit}" if seen.limit else "no step limit"
    if not seen.lengths:
        episodes = f"no episode of random actions ends within {seen.steps} steps"
    else:
        often = "all" if seen.terminated == len(seen.lengths) else seen.terminated or "none"
        episodes = (
            f"{len(seen.lengths)} episodes of random actions take {min(seen.lengths)} to {max(seen.lengths)} steps, "
            f"{often} of them terminated"
        )
    return f"{seen.observation} numbers of observation, {seen.actions} actions, {limit}; {episodes}"


def notes(seen: Seen, labels: int) -> list[str]:
    """What somebody should know before it starts."""
    if labels or not seen.same:
        return []
    return [
        f"every one of {seen.steps} random steps was paid {seen.rewards[0]:g} and no episode was longer than another, "
        "so plain PPO has nothing to learn from until it comes upon something else; --labels N learns from comparisons"
    ]


def refuse_too_many(config: RunConfig) -> None:
    """PlauditError where more questions are asked than the behaviour of the whole run holds pairs of segments."""
    feedback = config.feedback
    count = config.budget // feedback.segment
    if feedback.labels > count * (count - 1) // 2:
        raise PlauditError(
            f"feedback.labels: {feedback.labels} comparisons are asked for, but {config.budget} steps hold {count} "
            f"segments of {feedback.segment} steps, which make {count * (count - 1) // 2} pairs; ask fewer, or raise "
            "timesteps"
        )


def _limit(seen: Seen) -> Iterator[Choice]:
    """Every episode must end some day: evaluations wait for it, and a policy may learn never to fail."""
    if seen.limit is None and not seen.truncated:
        yield Choice(
            {"environment": {"kwargs": {"max_episode_steps": USUAL_LIMIT}}},
            "it has no step limit, and episodes of a policy that never fails would not end",
        )


def _longest(seen: Seen) -> int:
    """Steps of an episode at most, as far as is known."""
    if seen.limit is not None:
        return seen.limit
    return max(seen.lengths) if seen.truncated else USUAL_LIMIT


def _never_ends(seen: Seen) -> bool:
    """Continuous control by short episodes of one length, as Pendulum's: a swing, whole in every episode."""
    return seen.actions == "continuous" and not seen.terminated and _longest(seen) <= SHORT


def _ppo(seen: Seen) -> list[Choice]:
    if _never_ends(seen):
        return [
            Choice(_learner(32, 100, 1e-3, 320, 0.97) | {"settings": {"entropy_coef": 0.01}},
                   "continuous actions and short episodes that nothing ends"),
            Choice({"timesteps": 198_400}, "enough for a swing"),
        ]  # fmt: skip
    if seen.actions == "continuous":
        return [
            Choice(_learner(8, 256, 3e-4, 256, 0.99) | {"settings": {"advantage": {"kind": "gae", "lam": 0.95}},
                   "policy": {"normalise_observations": True}}, "continuous actions"),
            Choice({"timesteps": 400_000}, "continuous actions take longer"),
        ]  # fmt: skip
    few = seen.observation <= FEW_NUMBERS
    why = f"{'at most' if few else 'more than'} {FEW_NUMBERS} numbers of observation"
    return [
        Choice(_learner(8, 128, 1e-3, 256, 0.99) | {"settings": {"entropy_coef": 0.01}}, "discrete actions"),
        Choice({"timesteps": 150_000 if few else 400_000}, why),
    ]


def _learner(envs: int, steps: int, rate: float, minibatch: int, discount: float) -> dict[str, Any]:
    return {
        "environment": {"envs": envs, "n_steps": steps, "discount": discount},
        "trainer": {"learning_rate": rate, "epochs": 10, "minibatch_size": minibatch},
    }


def _comparisons(seen: Seen, labels: int) -> list[Choice]:
    reward = {"weights": {"environment": 0.0, "learned": 1.0}}
    if _never_ends(seen):
        segment, first, rounds, until = _longest(seen) // 2, labels // 4, 15, 0.5
        fit = {"subsample": 0.125}
        why = "half an episode shows a swing"
    else:
        segment, first = min(SEGMENT, _longest(seen) // 2), labels // 5
        rounds, until = (10, 0.3) if seen.actions == "continuous" else (20, 0.6)
        fit = {"first_steps": 600, "steps": 200, "subsample": 0.25}
        why = f"at most half of the {_longest(seen)} steps of an episode"
    segment = max(segment, min(SHORTEST_SEGMENT, _longest(seen)))
    asked = {"labels": labels, "first": min(labels, max(20, first)), "rounds": rounds, "until": until}
    return [
        Choice({"reward": reward | {"fit": fit}}, "the reward is learned, and the environment's is not used"),
        Choice({"feedback": {"segment": segment}}, why),
        Choice({"feedback": asked}, "most of them while behaviour changes most, none when it is to settle"),
    ]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def environment_of(config: RunConfig) -> Control:
    """The environment of a config for control."""
    assert isinstance(config.environment, Control)
    return config.environment
