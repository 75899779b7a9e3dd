"""Acting in any environment: only legal actions, smooth noise, the same scores afterwards; and something is learned."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from plaudit.environments.control.actor import Actor
from plaudit.environments.control.make import Control, made_by, make
from plaudit.environments.control.rollouts import ControlRollouts, Starts, played
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import Replayable
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.exploration import StateDependent
from plaudit.rewards.control import environment_reward
from plaudit.runs.config import from_mapping
from plaudit.stages import optimise
from tests.environments.control.pressing import PRESSED, SHOWN, Masked

HERE = "tests.environments.control.pressing:"


def network(control: ControlRollouts, **settings: Any) -> ActorCritic:
    settings = {"hidden": (8,)} | settings
    return ActorCritic(control.spaces, PolicyConfig(**settings), torch.Generator().manual_seed(2))


def ratio(control: ControlRollouts, model: ActorCritic) -> torch.Tensor:
    """exp(new - old) of a fresh rollout, by single decisions in another order, where there are decisions."""
    walk = control.collect(model)
    rollout = control.episodes(walk, model, None, environment_reward(walk))
    again = model.scores(rollout.record, torch.arange(len(walk.mask)).flip(0)).logp.flip(0)
    return (again - rollout.episodes.logp).exp()[walk.mask]


@pytest.mark.parametrize("choices", [(5,), (3, 4)])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_only_legal_actions_are_taken_and_scored(choices: tuple[int, ...], mode: AutoresetMode) -> None:
    """`Masked` raises where an action is illegal; episodes end in every row."""
    vector = SyncVectorEnv([lambda: Replayable(Masked(choices, silent=2))] * 4, autoreset_mode=mode)
    control = ControlRollouts(Source(vector, "Masked"), 20, 3)
    model = network(control)
    for _ in range(3):
        assert torch.allclose(ratio(control, model), torch.ones(()), atol=1e-6)
        walk = control.collect(model)
        assert walk.record.legal is not None and walk.ended.any()
        shown = walk.record.observations[..., 1:].bool()
        silent = walk.record.observations[..., 0] == 2  # an environment that says nothing allows everything
        assert torch.equal(walk.record.legal[walk.mask], (shown | silent[..., None])[walk.mask])
        illegal = walk.record.executed.bool() & ~walk.record.legal
        assert not illegal[walk.mask].any()
    assert len(played(model, made_by(lambda: Masked(choices), 3), 7, 1, greedy=True)) == 7
    assert len(played(model, made_by(lambda: Masked(choices), 3), 7, 1, greedy=False)) == 7


def test_a_population_takes_legal_actions_only() -> None:
    control = ControlRollouts(made_by(Masked, 6), 20, 3, "episodes", Starts(1, 3))
    model = network(control)
    vector = torch.nn.utils.parameters_to_vector(model.parameters())
    walk = control.collect(model.population(torch.stack([vector, -vector, vector + 1])))
    assert walk.mask.any(dim=1).all() and walk.record.legal is not None


def test_masks_are_kept_where_a_run_is_taken_up() -> None:
    def made() -> ControlRollouts:
        return ControlRollouts(made_by(Masked, 4), 7, 3)

    control = made()
    model = network(control)
    control.collect(model)
    state = control.state_dict()
    wanted = control.collect(model).record
    other = made()
    other.load_state_dict(state)
    found = other.collect(model).record
    assert wanted.legal is not None and found.legal is not None
    for name in ("observations", "actions", "legal", "environment_rewards"):
        assert torch.equal(getattr(found, name), getattr(wanted, name)), name


def noise_of(walk: Any, model: ActorCritic) -> torch.Tensor:
    with torch.no_grad():
        mean = model(walk.record.observations.flatten(end_dim=1)).unflatten(0, walk.mask.shape)
    return walk.record.actions - mean


@pytest.mark.parametrize("every", [None, 1, 5])
def test_noise_is_a_function_of_the_state_until_it_is_drawn_anew(every: int | None) -> None:
    """Solved for the weights: one environment's noise is linear in its features for as long as they stay."""
    control = ControlRollouts(make(Control("Pendulum-v1", 3)), 20, 4)
    model = network(control, hidden=(2,), exploration=StateDependent(every), normalise_observations=True)
    weights = []
    for _ in range(2):
        walk = control.collect(model)
        noise = noise_of(walk, model)
        features = model.body.member(0, model._inputs(walk.record.observations)).unflatten(0, walk.mask.shape)
        for row in range(3):
            for first in range(0, 20, every or 20):
                z, n = features[row, first : first + (every or 20)], noise[row, first : first + (every or 20)]
                solved = torch.linalg.lstsq(z, n).solution
                assert torch.allclose(z @ solved, n, atol=1e-3)
                weights.append(solved.flatten().tolist())
    assert len({tuple(one) for one in weights}) == len(weights)  # each drawn by itself
    assert torch.allclose(ratio(control, model), torch.ones(()), atol=1e-4)


def test_smooth_noise_goes_on_where_a_run_is_taken_up() -> None:
    def made() -> ControlRollouts:
        return ControlRollouts(make(Control("Pendulum-v1", 3)), 7, 4)

    control = made()
    model = network(control, exploration=StateDependent(3))
    control.collect(model)
    state = control.state_dict()
    wanted, other = control.collect(model).record.actions, made()
    other.load_state_dict(state)
    assert torch.equal(other.collect(model).record.actions, wanted)


def test_the_likeliest_action_has_no_noise() -> None:
    source = make(Control("Pendulum-v1", 2))
    model = network(ControlRollouts(source, 5, 0), exploration=StateDependent())
    seen = source.reset(1)
    with torch.no_grad():
        chosen = Actor(model, source, torch.Generator(), greedy=True).choose(seen)
    assert np.allclose(chosen, model(torch.from_numpy(seen)).detach().numpy(), atol=1e-6)


def learned(tmp_path: Path, id: str, kwargs: dict[str, Any], steps: int, **changes: Any) -> float:
    """The true return after so many steps of PPO."""
    mapping = {
        "environment": {"id": id, "envs": 16, "n_steps": 32, "kwargs": kwargs},
        "timesteps": steps,
        "settings": {"discount": 0.5, "entropy_coef": 0.01},
        "trainer": {"learning_rate": 1e-2, "epochs": 6, "minibatch_size": 128},
        "policy": {"hidden": [32], "normalise_observations": True},
        "evaluate_count": 20,
    }
    run = optimise.start(from_mapping(mapping | changes, id), tmp_path / "run", lambda row: None)
    return run.read_manifest()["result"]["return_mean"]


@pytest.mark.parametrize("see", SHOWN)
def test_every_kind_of_observation_is_learned_from(see: str, tmp_path: Path) -> None:
    assert learned(tmp_path, HERE + "Pressing-v0", {"see": see}, 4096) > 7.5  # chance: 2 of 8


@pytest.mark.parametrize("press", [kind for kind in PRESSED if kind != "discrete"])
def test_every_kind_of_action_is_learned(press: str, tmp_path: Path) -> None:
    assert (
        learned(tmp_path, HERE + "Pressing-v0", {"see": "tuple", "press": press}, 3072) > 6.5
    )  # chance: 4 of 8


@pytest.mark.parametrize("choices", [[5], [3, 4]])
def test_the_best_legal_action_is_learned(choices: list[int], tmp_path: Path) -> None:
    """Episodes last 3.5 steps on average; the best pays 1 per choice and step."""
    found = learned(tmp_path, HERE + "Masked-v0", {"choices": choices}, 3072)
    assert found > 2.8 * len(choices)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "steps", "least"), [("FrozenLake-v1", 8192, 0.9), ("Blackjack-v1", 16384, -0.2)]
)
def test_the_small_environments_of_gymnasium(id: str, steps: int, least: float, tmp_path: Path) -> None:
    kwargs = {"is_slippery": False} if id == "FrozenLake-v1" else {}
    changes = {"settings": {"discount": 0.95, "entropy_coef": 0.02}, "evaluate_count": 200}
    assert learned(tmp_path, id, kwargs, steps, **changes) > least


def test_taxi_is_acted_in_by_its_masks() -> None:
    source = make(Control("Taxi-v4", 4))
    control = ControlRollouts(source, 30, 1)
    model = network(control)
    walk = control.collect(model)
    rows = walk.record.observations.argmax(dim=-1)
    one = gymnasium.make("Taxi-v4").unwrapped
    for row in range(4):
        for t in range(30):
            wanted = one.action_mask(int(rows[row, t])).astype(bool)  # type: ignore[attr-defined]
            assert np.array_equal(walk.record.legal[row, t].numpy(), wanted)
            assert wanted[int(walk.record.actions[row, t])]
