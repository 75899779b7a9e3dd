"""Selecting rows and turning decisions into rows, against lists and loops."""

from dataclasses import dataclass, replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import random_episodes
from torch import Tensor

from plaudit.batches import Comparisons, Demonstrations, Episodes, Loss, Rollout
from plaudit.batches.rows import as_decisions, count, flattened, take

seeds = st.integers(0, 2**20)


@dataclass(frozen=True)
class Inner:
    observations: Tensor
    name: str = "kept"


def test_take_by_index_repeats_and_reorders_every_field() -> None:
    pairs = Comparisons(torch.tensor([0.0, 0.5, 1.0]), weight=torch.tensor([1.0, 2.0, 3.0]))
    taken = take(pairs, torch.tensor([2, 0, 2]))
    assert taken.preference.tolist() == [1.0, 0.0, 1.0]
    assert taken.weight is not None and taken.weight.tolist() == [3.0, 1.0, 3.0]
    assert taken.reliability is None and taken.side_bias is None


def test_take_descends_into_the_record_and_leaves_other_fields() -> None:
    e = random_episodes(0)
    rollout = Rollout(e, Inner(torch.arange(3 * 7 * 2).reshape(3, 7, 2)), {"rollout/ep_len_mean": 3.0})
    taken = take(rollout, slice(1, 3))
    assert torch.equal(taken.episodes.rewards, e.rewards[1:3])
    assert torch.equal(taken.record.observations, rollout.record.observations[1:3])
    assert taken.record.name == "kept" and taken.metrics == rollout.metrics


@settings(max_examples=50, deadline=None)
@given(seed=seeds, rows=st.integers(1, 4), columns=st.integers(2, 6))
def test_decisions_become_rows_in_order_and_nothing_masked_survives(
    seed: int, rows: int, columns: int
) -> None:
    e = replace(random_episodes(seed, rows, columns), group=torch.arange(rows))
    if rows == columns:
        record = torch.arange(rows * columns * 3).reshape(rows, columns, 3)
    else:
        record = torch.arange(rows * columns).reshape(rows, columns)
    flat = as_decisions(Demonstrations(e.mask, Inner(record)), e.mask)
    flat_e = as_decisions(e, e.mask)

    expected = [(b, t) for b in range(rows) for t in range(columns) if e.mask[b, t]]
    assert flat_e.mask.shape == (len(expected), 1) and flat_e.mask.all()
    for i, (b, t) in enumerate(expected):
        assert torch.equal(flat.record.observations[i, 0], record[b, t])
        assert flat_e.rewards[i, 0] == e.rewards[b, t]
        assert flat_e.last[i, 0] == e.last[b, t]
        assert flat_e.group is not None and flat_e.group[i] == b


def test_no_decision_at_all_gives_no_row() -> None:
    e = random_episodes(0)
    empty = as_decisions(e, torch.zeros_like(e.mask))
    assert empty.rewards.shape == (0, 1)


def test_batches_are_frozen() -> None:
    loss = Loss(torch.zeros(()))
    for batch, name in [(random_episodes(0), "rewards"), (loss, "total")]:
        try:
            setattr(batch, name, None)
        except AttributeError:
            continue
        raise AssertionError(f"{type(batch).__name__}.{name} could be changed")


def test_the_optional_fields_of_episodes_default_to_none() -> None:
    x, yes = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    e = Episodes(x, x, yes, yes, yes)
    assert e.values is e.next_values is e.ref_logp is e.behaviour_logp is e.group is None


def test_the_sides_of_pairs_become_rows_and_come_back() -> None:
    record = Inner(torch.arange(24).reshape(3, 2, 4))
    flat = flattened(record)
    assert flat.observations.shape == (6, 4) and flat.name == "kept"
    for p in range(3):
        for side in range(2):
            assert torch.equal(flat.observations[2 * p + side], record.observations[p, side])
    assert torch.equal(flat.observations.unflatten(0, (3, 2)), record.observations)
    assert count(record) == 3 and count(flat) == 6
