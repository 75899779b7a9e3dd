import pytest
import torch

from plaudit.models.language import devices


def test_draws_leave_no_trace() -> None:
    before = torch.get_rng_state()
    with devices.kept():
        torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())


def test_not_even_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(KeyError), devices.kept():
        torch.rand(3)
        raise KeyError
    assert torch.equal(before, torch.get_rng_state())
