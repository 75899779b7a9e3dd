"""Actions into the environment's space and back."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.environments.control.wrappers import (
    check_action_space,
    clipped,
    from_environment,
    to_environment,
)
from plaudit.errors import PlauditError

INF = np.inf


def box(low, high, dtype=np.float32):
    return Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)


def test_worked_by_hand():
    """[-1, 3]: 0 is the middle 1, each unit is 2; beyond 1 is clipped."""
    space = box([-1, 0], [3, 0.5])
    actions = np.array([[-1, -1], [0, 0], [0.5, -0.5], [1, 1], [7, -9]], np.float32)
    given = to_environment(actions, space)
    np.testing.assert_array_equal(
        given, np.array([[-1, 0], [1, 0.25], [2, 0.125], [3, 0.5], [3, 0]], np.float32)
    )
    assert given.dtype == np.float32
    np.testing.assert_array_equal(from_environment(given, space), np.clip(actions, -1, 1))


def test_symmetric_unit_bounds_change_nothing():
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    np.testing.assert_array_equal(to_environment(actions, box([-1] * 3, [1] * 3)), actions)


def test_infinite_bounds_pass_through():
    space = box([-INF, 0, -INF, -1], [INF, INF, 2, 1])
    actions = np.array([[50, 3, -80, 5], [-50, -3, 80, 0.5]], np.float32)
    given = to_environment(actions, space)
    np.testing.assert_array_equal(given, np.array([[50, 3, -80, 1], [-50, 0, 2, 0.5]], np.float32))
    np.testing.assert_array_equal(from_environment(given, space), given)


def test_bounds_of_the_largest_floats_and_equal_bounds():
    largest = np.finfo(np.float64).max
    space = box([-largest, 2], [largest, 2], np.float64)
    given = to_environment(np.array([[1.0, 0.3], [-1, -1], [0, 5]]), space)
    np.testing.assert_array_equal(given, [[largest, 2], [-largest, 2], [0, 2]])
    np.testing.assert_array_equal(from_environment(given, space), [[1, 0], [-1, 0], [0, 0]])


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-100, 100, width=32),
    st.floats(2**-10, 100, width=32),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=5),
)
def test_there_and_back(low, width, values):
    space = box([low], [low + width])
    actions = np.array(values, np.float32)[:, None]
    given = to_environment(actions, space)
    assert all(space.contains(one) for one in given)
    resolution = 4 * np.finfo(np.float32).eps * (abs(low) + width) / width  # of float32 within these bounds
    np.testing.assert_allclose(from_environment(given, space), actions, atol=1e-6 + resolution)


def test_any_leading_shape_and_flat_actions_of_a_matrix_space():
    space = Box(-2, 4, (2, 3), np.float32)
    flat = np.random.default_rng(0).uniform(-1, 1, (5, 7, 6))
    given = to_environment(flat, space)
    assert given.shape == (5, 7, 2, 3)
    for row, one in zip(flat.reshape(-1, 6), given.reshape(-1, 6), strict=True):
        np.testing.assert_allclose(one, [1 + 3 * v for v in row], rtol=1e-6)
    with pytest.raises(PlauditError, match="do not fit the action space"):
        to_environment(np.zeros((5, 4)), space)


def test_discrete_with_a_start():
    space = Discrete(3, start=-1)
    np.testing.assert_array_equal(to_environment(np.array([0, 1, 2]), space), [-1, 0, 1])
    np.testing.assert_array_equal(from_environment(np.array([-1, 0, 1]), space), [0, 1, 2])
    with pytest.raises(
        PlauditError, match=r"action \[1\] is 2, outside the action space Discrete\(3, start=-1\)"
    ):
        from_environment(np.array([0, 2]), space)
    with pytest.raises(PlauditError, match="are indices, but their type is float64"):
        to_environment(np.array([0.5]), space)


def test_multi_discrete():
    space = MultiDiscrete([2, 3], start=[1, 0])
    given = to_environment(np.array([[0, 2], [1, 0]]), space)
    np.testing.assert_array_equal(given, [[1, 2], [2, 0]])
    assert all(space.contains(one) for one in given)
    np.testing.assert_array_equal(from_environment(given, space), [[0, 2], [1, 0]])
    with pytest.raises(PlauditError, match=r"action \[0, 1\] is 3"):
        from_environment(np.array([[1, 3]]), space)


def test_a_demonstrated_action_outside_the_bounds():
    space = box([-2, -INF], [2, 5])
    np.testing.assert_array_equal(from_environment(np.array([[2 + 1e-6, 0]]), space), [[1, 0]])
    for wrong, place in (
        ([[0, 0], [2.001, 0]], r"\[1, 0\]"),
        ([[0, 5.1]], r"\[0, 1\]"),
        ([[np.nan, 0]], r"\[0, 0\]"),
    ):
        with pytest.raises(PlauditError, match=f"action {place} is .*, outside"):
            from_environment(np.array(wrong), space)


def test_kinds():
    for space in (Discrete(2), MultiDiscrete([2, 2]), MultiBinary(3), box([0], [1])):
        check_action_space(space, "Some-v0")
    for space in (Tuple((Discrete(2), Discrete(3))), Box(0, 3, (2,), np.int32)):
        with pytest.raises(PlauditError, match="Some-v0: actions of the kind"):
            check_action_space(space, "Some-v0")


def test_which_numbers_of_an_action_are_clipped() -> None:
    half = Box(
        np.array([[-1, 0], [-np.inf, -2]], np.float32), np.array([[1, np.inf], [np.inf, 3]], np.float32)
    )
    found = clipped(half)
    assert found is not None and found.tolist() == [True, False, False, True]
    assert clipped(Discrete(3)) is None
    executed = to_environment(
        np.full((1, 4), 9.0), half
    )  # only what is clipped stays within -1 and 1 of the policy's units
    assert executed.tolist() == [[[1.0, 9.0], [9.0, 3.0]]]
