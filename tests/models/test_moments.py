"""Running moments against numpy over everything at once."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.models.moments import RunningMoments


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    centre=st.sampled_from([0.0, 5.0, -1e4]),
)
def test_pieces_add_up_to_the_moments_of_the_whole(seed: int, sizes: list[int], centre: float) -> None:
    rows = np.random.default_rng(seed).normal(centre, 2.0, size=(sum(sizes), 3))
    moments, start = RunningMoments(3), 0
    for size in sizes:
        moments.update(torch.from_numpy(rows[start : start + size]))
        start += size
    if sum(sizes) == 0:
        assert torch.equal(moments.var, torch.ones(3, dtype=torch.float64))
        return
    assert moments.count.item() == sum(sizes)
    assert np.allclose(moments.mean.numpy(), rows.mean(axis=0), rtol=1e-10)
    assert np.allclose(moments.var.numpy(), rows.var(axis=0), rtol=1e-6, atol=1e-9)


def test_by_hand() -> None:
    # 1 3 | 5: mean 3, population variance (4 + 0 + 4) / 3
    moments = RunningMoments(1)
    moments.update(torch.tensor([[1.0], [3.0]]))
    moments.update(torch.tensor([[5.0]]))
    assert moments.mean.item() == 3 and abs(moments.var.item() - 8 / 3) < 1e-12


def test_standardise_uses_without_updating_and_clips() -> None:
    moments = RunningMoments(2)
    moments.update(torch.tensor([[0.0, 10.0], [2.0, 30.0]]))  # means 1 and 20, deviations 1 and 10
    before = {name: value.clone() for name, value in moments.state_dict().items()}
    z = moments.standardise(torch.tensor([[2.0, 10.0], [1000.0, -1000.0]]))
    assert torch.allclose(z, torch.tensor([[1.0, -1.0], [10.0, -10.0]]), atol=1e-5)
    assert z.dtype == torch.float32
    assert all(torch.equal(before[name], value) for name, value in moments.state_dict().items())


def test_statistics_travel_with_the_weights_and_reset_forgets() -> None:
    one, two = RunningMoments(2), RunningMoments(2)
    one.update(torch.randn(10, 2, generator=torch.Generator().manual_seed(0)))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.mean, two.mean) and torch.equal(one.var, two.var)
    two.reset()
    assert two.count == 0 and torch.equal(two.var, torch.ones(2, dtype=torch.float64))
    assert one.count == 10


def test_a_scalar_statistic_and_single_precision_rows() -> None:
    moments = RunningMoments()
    moments.update(torch.tensor([1e6 + 1, 1e6 + 2, 1e6 + 3]))
    assert abs(moments.var.item() - 2 / 3) < 1e-6  # float64 inside: no cancellation
