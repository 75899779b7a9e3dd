"""Settings by the kind of environment: each rule by an example, and what holds whatever was seen."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from plaudit.environments.control.look import Seen
from plaudit.errors import PlauditError
from plaudit.runs import config as configs
from plaudit.stages.adapters import control_defaults
from plaudit.stages.adapters.control_defaults import choose, described, notes, refuse_too_many, together

POLE = Seen(4, "discrete", 500, 69, (9, 30, 69), 3, (1.0, 1.0))
SWING = Seen(3, "continuous", 200, 600, (200,) * 24, 0, (-16.0, -0.1))
ROBOT = Seen(11, "continuous", 1000, 100, (12, 31), 2, (-1.0, 2.0))
GAME = Seen(128, "discrete", None, 1000, (), 0, (0.0, 0.0))


def config(seen: Seen, labels: int = 0, **more: object) -> configs.RunConfig:
    base = {"environment": {"id": "CartPole-v1"}}
    return configs.from_mapping(configs.merged(base, together(choose(seen, labels))) | more, "test")


def test_discrete_actions() -> None:
    made = config(POLE)
    e, t = made.environment, made.trainer
    assert (e.envs, e.n_steps, e.discount, e.kwargs) == (8, 128, 0.99, {})
    assert (t.learning_rate, t.epochs, t.minibatch_size) == (1e-3, 10, 256)
    assert made.settings.entropy_coef == 0.01 and not made.policy.normalise_observations
    assert made.timesteps == 150_000 and config(GAME).timesteps == 400_000
    assert made.reward.weights == {"environment": 1.0, "learned": 0.0} and made.feedback.labels == 0


def test_continuous_actions() -> None:
    made = config(ROBOT)
    e, t = made.environment, made.trainer
    assert (e.envs, e.n_steps, t.learning_rate, t.schedule) == (8, 256, 3e-4, "linear")
    assert made.settings.advantage.lam == 0.95 and made.policy.normalise_observations
    assert made.timesteps == 400_000


def test_a_swing_is_the_example_of_pendulum() -> None:
    """What is known to work there, where 200 comparisons are asked for."""
    example = configs.load(Path(__file__).parents[3] / "examples" / "pendulum_preferences.yaml")
    made = config(SWING, 200)
    made = replace(made, settings=replace(made.settings, discount=made.environment.discount))
    made = replace(made, feedback=replace(made.feedback, question=example.feedback.question))
    assert replace(made, environment=example.environment) == example
    wanted = replace(example.environment, id="CartPole-v1", discount=0.97)
    assert made.environment == wanted


def test_comparisons() -> None:
    made = config(POLE, 200)
    f, fit = made.feedback, made.reward.fit
    assert (f.labels, f.first, f.rounds, f.until, f.segment) == (200, 40, 20, 0.6, 50)
    assert (fit.first_steps, fit.steps, fit.subsample, fit.weight_decay) == (600, 200, 0.25, 1.0)
    assert made.reward.weights == {"environment": 0.0, "learned": 1.0}


@pytest.mark.parametrize(
    ("limit", "segment"), [(500, 50), (100, 50), (80, 40), (20, 10), (12, 10), (6, 6), (1, 1)]
)
def test_segments_are_at_most_half_of_an_episode(limit: int, segment: int) -> None:
    assert config(replace(POLE, limit=limit), 10).feedback.segment == segment


def test_a_limit_where_nothing_ends_an_episode_for_sure() -> None:
    """None of its own and none that it keeps itself: a policy that never fails would never be done."""
    assert config(GAME).environment.kwargs == {"max_episode_steps": 1000}
    assert config(replace(POLE, limit=None)).environment.kwargs == {"max_episode_steps": 1000}
    kept = replace(POLE, limit=None, lengths=(9, 40, 40), terminated=1)
    assert config(kept, 50).environment.kwargs == {} and config(kept, 50).feedback.segment == 20


def test_whatever_was_seen_makes_a_config() -> None:
    """And every choice is said with a reason, by names that flags have."""
    for observation, actions, limit, lengths, labels in product(
        (1, 9), ("discrete", "continuous"), (None, 1, 3, 200, 5000), ((), (3, 1000)), (0, 1, 777)
    ):
        ended = observation % 2  # some terminated, or none
        seen = Seen(observation, actions, limit, 1000, lengths, min(ended, len(lengths)), (0.0, 0.0))
        made = config(seen, labels)
        assert made.feedback.labels == labels and described(seen)
        if labels:
            assert 1 <= made.feedback.segment <= max(limit or 1000, 10)
            assert made.feedback.first <= labels
        for one in choose(seen, labels):
            assert one.why and str(one).endswith(f": {one.why}") and str(one).split(" ")[0].split(".")[0] in {
                "environment", "trainer", "settings", "policy", "timesteps", "reward", "feedback"
            }  # fmt: skip


def test_what_was_seen_in_words() -> None:
    assert described(POLE) == (
        "4 numbers of observation, discrete actions, a step limit of 500; "
        "3 episodes of random actions take 9 to 69 steps, all of them terminated"
    )
    assert described(GAME).endswith("no step limit; no episode of random actions ends within 1000 steps")
    assert described(SWING).endswith("take 200 to 200 steps, none of them terminated")


def test_nothing_to_learn_from_is_said() -> None:
    (note,) = notes(GAME, 0)
    assert "every one of 1000 random steps was paid 0" in note and "--labels N" in note
    assert notes(GAME, 10) == notes(POLE, 0) == notes(SWING, 0) == []
    assert notes(replace(SWING, rewards=(-1.0, -1.0)), 0) != []


@pytest.mark.parametrize(("steps", "most"), [(150, 3), (199, 3), (200, 6), (100, 1)])
def test_more_questions_than_pairs(steps: int, most: int) -> None:
    """Of n segments that do not overlap there are n (n - 1) / 2 pairs, here counted."""
    segments = range(steps // 50)
    assert most == sum(1 for i in segments for j in segments if i < j)
    refuse_too_many(config(POLE, most, timesteps=steps))
    with pytest.raises(PlauditError, match=f"feedback.labels: {most + 1} comparisons .* make {most} pairs"):
        refuse_too_many(config(POLE, most + 1, timesteps=steps))


def test_the_environment_of_a_config() -> None:
    assert control_defaults.environment_of(config(POLE)).id == "CartPole-v1"
