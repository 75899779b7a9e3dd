"""Observations and actions of every kind as numbers, against the definitions written out by hand."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Text, Tuple

from plaudit.environments.control.make import Control, made_by, make
from plaudit.environments.control.spaces import (
    FlatObservation,
    chosen_from,
    executed,
    flat_given,
    flat_recorded,
    legal,
    merged,
    spaces,
)
from plaudit.environments.control.wrappers import from_environment, to_environment
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from tests.environments.control.pressing import PATTERNS, PRESSED, SHOWN, Masked, Pressing, shown


def by_hand(space: gymnasium.Space, observation: object) -> list[float]:
    """One-hots and numbers one after another, the parts of a Dict in the order of their keys."""
    if isinstance(space, Dict):
        return [x for key in sorted(space.spaces) for x in by_hand(space[key], observation[key])]
    if isinstance(space, Tuple):
        return [x for part, one in zip(space.spaces, observation, strict=True) for x in by_hand(part, one)]
    if isinstance(space, Discrete):
        return [float(i == int(observation) - int(space.start)) for i in range(int(space.n))]
    if isinstance(space, MultiDiscrete):
        return [float(i == x) for n, x in zip(space.nvec, observation, strict=True) for i in range(int(n))]
    return [float(x) for x in np.ravel(observation)]


@pytest.mark.parametrize("kind", SHOWN)
def test_every_kind_of_observation_becomes_a_row(kind: str) -> None:
    source = made_by(lambda: Pressing(kind), 3)
    first = source.reset(4)
    assert isinstance(source.observation_space, Box)
    patterns = [env.unwrapped.pattern for env in source.vector.envs]
    for row, pattern in zip(first.reshape(3, -1), patterns, strict=True):
        assert row.tolist() == by_hand(SHOWN[kind], shown(kind, pattern))
    assert source.spaces.observation == len(by_hand(SHOWN[kind], shown(kind, 0)))
    assert source.own_space == SHOWN[kind]
    # at an end the true successor is flat too
    for _ in range(8):
        step = source.step(np.full(3, 2))
    assert step.terminated.all() and step.successors.shape == step.observations.shape
    source.close()


@pytest.mark.parametrize("part", [Text(3), Graph(Box(0, 1, (1,)), None), Sequence(Discrete(2))])
def test_what_has_no_fixed_length_is_refused_wherever_it_lies(part: gymnasium.Space) -> None:
    class Odd(gymnasium.Env):
        observation_space = Dict({"a": Tuple((Discrete(2), part))})
        action_space = Discrete(2)

    with pytest.raises(PlauditError, match=f"kind {type(part).__name__} have no fixed length"):
        FlatObservation(Odd(), "Odd")


def test_an_observation_outside_its_space_is_one_sentence() -> None:
    class Liar(Pressing):
        def _next(self) -> int:
            return 99

    source = made_by(Liar, 1)
    with pytest.raises(PlauditError, match="does not fit its space Discrete"):
        source.reset(0)


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        (PRESSED["discrete"], Spaces(2, 4, "discrete")),
        (PRESSED["multi_discrete"], Spaces(2, 5, "multi_discrete", (2, 3))),
        (MultiDiscrete(np.array([[2, 3], [4, 5]])), Spaces(2, 14, "multi_discrete", (2, 3, 4, 5))),
        (PRESSED["multi_binary"], Spaces(2, 4, "multi_binary")),
        (PRESSED["box"], Spaces(2, 1, "continuous")),
    ],
)
def test_what_a_policy_must_fit(action: gymnasium.Space, wanted: Spaces) -> None:
    assert spaces(Box(0, 1, (2,)), action) == wanted


@pytest.mark.parametrize(
    ("space", "actions", "wanted", "given"),
    [
        (Discrete(3, start=4), [[2], [0]], [[[0, 0, 1]], [[1, 0, 0]]], [[6], [4]]),
        (MultiDiscrete([2, 3], start=[1, 0]), [[[1, 2]]], [[[0, 1, 0, 0, 1]]], [[[2, 2]]]),
        (MultiBinary(3), [[[1, 0, 1]]], [[[1, 0, 1]]], [[[1, 0, 1]]]),
        (Box(-3, 1, (2,)), [[[0.5, -9.0]]], [[[0.0, -3.0]]], [[[0.0, -3.0]]]),
    ],
)
def test_actions_by_hand(space: gymnasium.Space, actions: list, wanted: list, given: list) -> None:
    chosen = torch.tensor(actions)
    fits = spaces(Box(0, 1, (1,)), space)
    assert executed(chosen, fits, space).tolist() == wanted
    assert len(wanted[0][0]) == fits.action
    assert to_environment(chosen.numpy(), space).tolist() == given
    if not isinstance(space, Box):
        assert from_environment(np.array(given), space).tolist() == actions
    if isinstance(space, MultiDiscrete):
        assert chosen_from(np.array(wanted), fits.choices).tolist() == actions


def test_switches_of_any_shape_come_back_flat() -> None:
    space = MultiBinary((2, 2))
    assert to_environment(np.array([[1, 0, 0, 1]]), space).tolist() == [[[1, 0], [0, 1]]]
    assert from_environment(np.array([[[1, 0], [0, 1]]]), space).tolist() == [[1, 0, 0, 1]]
    with pytest.raises(PlauditError, match="outside the action space"):
        from_environment(np.array([[[1, 0], [0, 2]]]), space)


def test_recorded_observations_are_whole_numbers_or_flat_already() -> None:
    own = Discrete(3, start=1)
    assert flat_recorded(np.array([1, 3]), (3,), own).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert flat_recorded(np.array([[2.0]]), (3,), own).tolist() == [[0, 1, 0]]
    ready = np.array([[0.0, 1.0, 0.0]])
    assert flat_recorded(ready, (3,), own) is ready
    for wrong in (np.array([4]), np.array([1.5]), np.zeros((2, 4))):
        assert flat_recorded(wrong, (3,), own) is None
    assert flat_recorded(np.zeros((2, 4)), (3,), Box(0, 1, (3,))) is None


@pytest.mark.parametrize("kind", SHOWN)
def test_an_observation_given_by_hand(kind: str) -> None:
    wanted = by_hand(SHOWN[kind], shown(kind, 2))
    assert np.ravel(flat_given(SHOWN[kind], shown(kind, 2))).tolist() == wanted
    if kind in ("discrete", "multi_discrete", "multi_binary"):
        several = np.stack([shown(kind, 1), shown(kind, 2)])
        assert flat_given(SHOWN[kind], several)[1].tolist() == wanted


def test_sixteen_states_are_not_mistaken_for_one_row() -> None:
    own = Discrete(16)
    assert flat_given(own, np.arange(16)).tolist() == np.eye(16).tolist()
    assert flat_given(own, 3).tolist() == np.eye(16)[3].tolist()
    with pytest.raises(PlauditError, match="no array of numbers"):
        flat_given(own, "state")


READY = np.ones(3, dtype=bool)


def test_masks_by_hand() -> None:
    infos = {
        "action_mask": np.array([[1, 0], [0, 0], [0, 1]], np.int8),
        "_action_mask": np.array([True, False, True]),
    }
    assert legal(infos, READY, Discrete(2), "Odd").tolist() == [[True, False], [True, True], [False, True]]
    assert legal({}, READY, Discrete(2), "Odd") is None
    assert legal(infos, READY, MultiBinary(2), "Odd") is None  # Gymnasium has masks for choices alone
    waiting = np.array([True, True, False])  # the action of a dead step is ignored
    assert legal(infos, waiting, Discrete(2), "Odd")[2].tolist() == [True, True]
    pieces = np.full(3, None, dtype=object)
    pieces[0] = (np.array([1, 0]), np.array([0, 1, 1]))
    several = {"action_mask": pieces, "_action_mask": np.array([True, False, False])}
    assert legal(several, READY, MultiDiscrete([2, 3]), "Odd")[0].tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("mask", "space", "message"),
    [
        ([[1, 1], [0, 0]], Discrete(2), "Odd: environment 1 allows no action at all"),
        ([[1, 1, 1, 0], [1, 1, 0, 0]], MultiDiscrete([2, 2]), "Odd: environment 1 allows no action at all"),
        ([[1, 1, 1], [1, 1, 1]], Discrete(2), "Odd: environment 0: .*must hold 2 times 0 or 1"),
        ([[1.0, 0.5], [1, 1]], Discrete(2), "Odd: environment 0: .*must hold 2 times 0 or 1"),
    ],
)
def test_bad_masks(mask: list, space: gymnasium.Space, message: str) -> None:
    with pytest.raises(PlauditError, match=message):
        legal({"action_mask": np.array(mask)}, READY[:2], space, "Odd")


def test_masks_of_new_episodes_take_the_place_of_the_old() -> None:
    ended = np.array([True, False, False])
    old = {"action_mask": np.array([[0, 0], [1, 0], [0, 1]]), "_action_mask": np.array([True, True, False])}
    new = {"action_mask": np.array([[0, 1], [0, 0], [0, 0]]), "_action_mask": np.array([True, False, False])}
    both = merged(old, new, ended)
    assert both["action_mask"].tolist() == [[0, 1], [1, 0], [0, 1]]
    assert both["_action_mask"].tolist() == [True, True, False]
    assert merged(old, {}, ended)["_action_mask"].tolist() == [False, True, False]
    assert merged({}, new, ended) is new


def test_an_environment_in_which_nothing_is_legal() -> None:
    source = made_by(lambda: Masked(blocked=0), 2)
    with pytest.raises(PlauditError, match="Masked, step 0: environment 0 allows no action at all"):
        source.reset(0)


def test_by_id_in_processes_of_their_own() -> None:
    config = Control("tests.environments.control.pressing:Pressing-v0", 2, "async", kwargs={"see": "dict"})
    source = make(config)
    try:
        assert source.reset(0).shape == (2, 4 + PATTERNS)
    finally:
        source.close()
