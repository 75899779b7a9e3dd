"""Conjugate gradient against a direct solver; the length of a step against the quadratic model."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plaudit.maths.trust_region import conjugate_gradient, longest_step


def positive(size: int, seed: int) -> Tensor:
    """A symmetric positive matrix that is no multiple of the identity."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(size, dtype=torch.float64)


def vector(size: int, seed: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 7), seed=st.integers(0, 9999))
def test_as_many_steps_as_dimensions_solve_exactly(size: int, seed: int) -> None:
    matrix, target = positive(size, seed), vector(size, seed + 1)
    found = conjugate_gradient(lambda x: matrix @ x, target, 3 * size, 1e-24)
    expected = torch.linalg.solve(matrix, target)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6 * float(expected.norm()))


def test_fewer_steps_come_closer_and_closer() -> None:
    matrix, target = positive(12, 3), vector(12, 4)
    exact = torch.linalg.solve(matrix, target)

    def error(x: Tensor) -> float:  # in the norm that conjugate gradient minimises
        return float((x - exact) @ matrix @ (x - exact))

    errors = [error(conjugate_gradient(lambda x: matrix @ x, target, n)) for n in range(13)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-6 * errors[0]


def test_the_first_step_by_hand() -> None:
    # diag(1, 3), target (1, 1): rate = 2 / 4 = .5 along (1, 1); the second step reaches (1, 1/3)
    scale = torch.tensor([1.0, 3.0], dtype=torch.float64)
    target = torch.ones(2, dtype=torch.float64)
    assert conjugate_gradient(lambda x: scale * x, target, 1).tolist() == [0.5, 0.5]
    assert conjugate_gradient(lambda x: scale * x, target, 2).tolist() == pytest.approx([1, 1 / 3])
    calls = []
    conjugate_gradient(lambda x: (calls.append(1), scale * x)[1], target, 50)
    assert len(calls) <= 3  # it stops once nothing is left


def test_no_gradient_is_no_direction() -> None:
    nothing = torch.zeros(4)
    assert torch.equal(conjugate_gradient(lambda x: 2 * x, nothing, 10), nothing)
    assert torch.equal(longest_step(nothing, lambda x: 2 * x, 0.01), nothing)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 6), seed=st.integers(0, 9999), delta=st.floats(1e-4, 1.0))
def test_the_step_reaches_delta_of_the_quadratic_model(size: int, seed: int, delta: float) -> None:
    matrix, direction = positive(size, seed), vector(size, seed + 1)
    step = longest_step(direction, lambda x: matrix @ x, delta)
    assert float(0.5 * step @ matrix @ step) == pytest.approx(delta)
    assert torch.allclose(step / step.norm(), direction / direction.norm())
    again = longest_step(100 * direction, lambda x: matrix @ x, delta)
    assert torch.allclose(again, step)  # the length of what it is given does not matter


def test_a_curvature_of_the_wrong_sign_is_no_step() -> None:
    assert not longest_step(torch.ones(3), lambda x: -x, 0.1).any()
