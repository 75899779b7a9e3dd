"""The mixture of what is meant and its opposite, against plain floats, and at its edges."""

import math

import pytest
import torch

from plaudit.maths.reliable import log_mixture


@pytest.mark.parametrize("eta", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_equals_the_definition(eta: float) -> None:
    p, q = 0.2, 0.7
    mine = log_mixture(torch.tensor(p).log(), torch.tensor(q).log(), torch.tensor(eta))
    assert mine.item() == pytest.approx(math.log(eta * p + (1 - eta) * q), rel=1e-5)


def test_edges_have_finite_values_and_gradients() -> None:
    meant = torch.tensor([-1e4, -1e4, -1e4], requires_grad=True)
    opposite = torch.tensor([0.0, -1e4, -2e4], requires_grad=True)
    found = log_mixture(meant, opposite, torch.tensor([1.0, 0.5, 0.0]))
    found.sum().backward()
    assert (
        torch.isfinite(found).all()
        and torch.isfinite(meant.grad).all()
        and torch.isfinite(opposite.grad).all()
    )
    assert meant.grad.tolist() == pytest.approx([1.0, 0.5, 0.0])
