"""Windows against a walk over every start; worked examples; the errors people meet."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.queries import segments


def slow_windows(mask: Tensor, last: Tensor, length: int) -> list[list[int]]:
    """Every start, step by step."""
    found = []
    for row in range(mask.shape[0]):
        for start in range(mask.shape[1] - length + 1):
            fine = True
            for step in range(start, start + length):
                if not mask[row, step]:
                    fine = False
                if last[row, step] and step != start + length - 1:
                    fine = False
            if fine:
                found.append([row, start])
    return found


def slow_longest(mask: Tensor, last: Tensor) -> int:
    best = 0
    for row in range(mask.shape[0]):
        run = 0
        for step in range(mask.shape[1]):
            run = run + 1 if mask[row, step] else 0
            best = max(best, run)
            if last[row, step]:
                run = 0
    return best


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 12), st.integers(1, 13))
def test_windows_are_those_of_the_loop(seed: int, rows: int, steps: int, length: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, steps, generator=generator) < 0.85
    last = torch.rand(rows, steps, generator=generator) < 0.15  # off the mask too, where it must not matter
    expected = slow_windows(mask, last, length)
    if expected:
        assert segments.windows(mask, last, length).tolist() == expected
    else:
        with pytest.raises(PlauditError, match=f"the longest run has {slow_longest(mask, last)};"):
            segments.windows(mask, last, length)


def test_by_hand() -> None:
    # one row of seven steps: an episode of three ends, one dead step, then three cut by the rollout
    mask = torch.tensor([[True, True, True, False, True, True, True]])
    last = torch.tensor([[False, False, True, False, False, False, True]])
    assert segments.windows(mask, last, 2).tolist() == [[0, 0], [0, 1], [0, 4], [0, 5]]
    assert segments.windows(mask, last, 3).tolist() == [[0, 0], [0, 4]]
    assert segments.run_lengths(mask, last).tolist() == [[1, 2, 3, 0, 1, 2, 3]]


def test_the_last_possible_start_counts() -> None:
    # B-Pref draws from range(episode - segment): never this one, and nothing at all where the two are equal
    mask = torch.ones(1, 10, dtype=torch.bool)
    last = torch.zeros(1, 10, dtype=torch.bool)
    last[0, 9] = True
    assert segments.windows(mask, last, 4)[-1].tolist() == [0, 6]
    assert segments.windows(mask, last, 10).tolist() == [[0, 0]]


def test_the_error_says_how_to_mend_it() -> None:
    mask = torch.ones(2, 6, dtype=torch.bool)
    last = torch.zeros(2, 6, dtype=torch.bool)
    last[:, 3] = True
    with pytest.raises(PlauditError, match="longest run has 4; choose a shorter segment"):
        segments.windows(mask, last, 5)
    with pytest.raises(PlauditError, match="longest run has 0"):
        segments.windows(mask[:, :0], last[:, :0], 5)
    with pytest.raises(PlauditError, match="at least 1 step"):
        segments.windows(mask, last, 0)


def test_apart_is_no_shared_step() -> None:
    places = torch.tensor([[0, 0], [0, 2], [0, 3], [0, 6], [1, 0], [1, 1]])
    length = 3
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    verdicts = segments.apart(places, length)(pairs)
    for (i, j), verdict in zip(pairs.tolist(), verdicts.tolist(), strict=True):
        (row, start), (other, begin) = places[i].tolist(), places[j].tolist()
        steps = {(row, step) for step in range(start, start + length)}
        others = {(other, step) for step in range(begin, begin + length)}
        assert verdict == (not steps & others)


def slow_cut_short(mask: Tensor, last: Tensor, terminated: Tensor, length: int) -> list[list[int]]:
    """Back from every termination, step by step, as long as it is the same episode."""
    found = []
    for row, end in torch.nonzero(terminated & mask).tolist():
        start = end
        while start > 0 and mask[row, start - 1] and not last[row, start - 1]:
            start -= 1
        episode = end - start + 1
        for steps in range(1, length):
            if steps <= episode and (steps >= length / segments.SHORTEST or steps == episode):
                found.append([row, end - steps + 1, steps])
    return found


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 14), st.integers(1, 13))
def test_what_a_termination_cuts_short_is_what_the_loop_finds(
    seed: int, rows: int, steps: int, length: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, steps, generator=generator) < 0.85
    last = torch.rand(rows, steps, generator=generator) < 0.3
    terminated = last & mask & (torch.rand(rows, steps, generator=generator) < 0.6)  # others: a time limit
    found = segments.cut_short(mask, last, terminated, length).tolist()
    assert sorted(found) == sorted(slow_cut_short(mask, last, terminated, length))


def test_cut_short_by_hand() -> None:
    # an episode of seven steps terminates, one of three is cut by a time limit, one of one step terminates
    mask = torch.ones(1, 11, dtype=torch.bool)
    last = torch.zeros(1, 11, dtype=torch.bool)
    last[0, [6, 9, 10]] = True
    terminated = last.clone()
    terminated[0, 9] = False
    # of windows of 10 steps at least 2 are shown, and of a shorter episode all
    assert segments.cut_short(mask, last, terminated, 10).tolist() == [
        *([0, 7 - steps, steps] for steps in range(2, 8)),
        [0, 10, 1],
    ]


def test_windows_of_unlike_lengths_share_no_step() -> None:
    places, lengths = torch.tensor([[0, 0], [0, 3], [0, 5], [1, 0]]), torch.tensor([5, 2, 4, 9])
    apart = segments.apart(places, lengths)
    pairs = torch.combinations(torch.arange(4))
    expected = []
    for one, other in pairs.tolist():
        cells = [
            {(int(places[i, 0]), int(places[i, 1]) + t) for t in range(int(lengths[i]))} for i in (one, other)
        ]
        expected.append(not cells[0] & cells[1])
    assert (
        apart(pairs).tolist()
        == apart(pairs.flip(1)).tolist()
        == expected
        == [False, True, True, True, True, True]
    )
