"""Prompts in turn: each once before any comes again, and on from where a saved queue stood."""

from collections import Counter
from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.errors import PlauditError


def queue(count: int, seed: int = 0) -> PromptQueue:
    prompts = [Prompt((i,), str(i)) for i in range(count)]
    return PromptQueue(prompts, torch.Generator().manual_seed(seed))


@given(
    count=st.integers(1, 9),
    takes=st.lists(st.integers(0, 25), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_every_prompt_comes_once_in_every_pass(count: int, takes: list[int], seed: int) -> None:
    given = queue(count, seed)
    taken = []
    for wanted in takes:
        places = given.take(wanted)
        assert places.shape == (wanted,) and places.dtype == torch.long
        taken += places.tolist()
    for first in range(0, len(taken) - count + 1, count):
        assert sorted(taken[first : first + count]) == list(range(count))
    rest = taken[len(taken) - len(taken) % count :]
    assert len(set(rest)) == len(rest)


def test_the_order_is_fresh_in_every_pass() -> None:
    given = queue(20)
    passes = [given.take(20).tolist() for _ in range(5)]
    assert len({tuple(order) for order in passes}) == 5 and list(range(20)) not in passes
    firsts = Counter(queue(4, seed).take(1).item() for seed in range(400))
    assert all(60 < firsts[i] < 140 for i in range(4))  # none is preferred: 100 each, deviation 8.7


def test_the_pieces_do_not_matter() -> None:
    whole, pieces = queue(7, 3), queue(7, 3)
    assert whole.take(40).tolist() == [i for n in (1, 12, 0, 20, 7) for i in pieces.take(n).tolist()]


@given(count=st.integers(1, 9), before=st.integers(0, 30), seed=st.integers(0, 99))
def test_a_saved_queue_goes_on_exactly(count: int, before: int, seed: int) -> None:
    first = queue(count, seed)
    first.take(before)
    saved = first.state_dict()
    kept = deepcopy(saved)
    expected = first.take(25).tolist()
    assert all(torch.equal(saved[name], kept[name]) for name in kept)  # what is saved stays as it was
    second = queue(count, seed + 1)
    second.take(3)
    second.load_state_dict(saved)
    assert second.take(25).tolist() == expected
    assert all(torch.equal(saved[name], kept[name]) for name in kept)


def test_no_prompts_and_lost_prompts_are_refused() -> None:
    with pytest.raises(PlauditError, match="^prompts: there are none; give at least one$"):
        queue(0)
    saved = queue(9)
    saved.take(1)
    with pytest.raises(
        PlauditError, match="^prompts: there are 3, fewer than when they were saved; put them back"
    ):
        queue(3).load_state_dict(saved.state_dict())
