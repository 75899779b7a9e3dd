"""Which sorts of pairs are asked about: by hand, against counts of many draws, and where one sort is missing."""

import pytest
import torch

from plaudit.errors import PlauditError
from plaudit.queries import ends


def free(pairs: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(pairs), dtype=torch.bool)


def test_what_people_can_decide_by_hand() -> None:
    # Laplace's rule of succession
    assert ends.decidable([0, 8, 2], [0, 8, 0]) == [1 / 2, 9 / 10, 1 / 4]


def test_shares_by_hand() -> None:
    both = torch.tensor([True, False])
    assert ends.shares([0.5, 0.5, 0.5], both) == [0.25, 0.5, 0.25]
    # neither: .25 * .1, one: .5 * .9, both: .25 * .3; over their sum, .55
    assert ends.shares([0.1, 0.9, 0.3], both) == pytest.approx([0.025 / 0.55, 0.45 / 0.55, 0.075 / 0.55])
    assert ends.shares([0.1, 0.9, 0.3], torch.tensor([True, True])) == [0.0, 0.0, 1.0]
    assert ends.shares([0.1, 0.9, 0.3], torch.tensor([False, False])) == [1.0, 0.0, 0.0]


def test_pairs_come_in_their_shares_and_uniformly_among_their_like() -> None:
    ending = torch.arange(400) < 40
    count = 3000
    found = ends.pairs(ending, [0.2, 0.5, 0.3], count, torch.Generator().manual_seed(0), free)
    assert found.shape == (count, 2) and (found[:, 0] != found[:, 1]).all()
    kinds = ending[found].sum(dim=1).bincount(minlength=3).double() / count
    # both: only 780 different pairs of 40 windows, and none is asked about twice
    assert kinds[1] / kinds[0] == pytest.approx(2.5, rel=0.1)
    assert (ending[found[:, 0]] == ending[found[:, 1]]).sum() == ((kinds[0] + kinds[2]) * count).round()
    first = ending[found[ending[found].sum(dim=1) == 1]][:, 0].double().mean()
    assert first == pytest.approx(0.5, abs=0.05)  # whichever is shown first
    others = found[~ending[found]].bincount(minlength=400)[40:].double()
    assert others.max() < 4 * others.mean()


def test_where_one_sort_is_missing_any_pairs_are_asked_about() -> None:
    for ending in (torch.zeros(6, dtype=torch.bool), torch.ones(6, dtype=torch.bool)):
        found = ends.pairs(ending, [0.2, 0.5, 0.3], 15, torch.Generator().manual_seed(0), free)
        assert {tuple(sorted(pair)) for pair in found.tolist()} == {
            (i, j) for i in range(6) for j in range(i + 1, 6)
        }
    with pytest.raises(PlauditError, match="overlap"):
        ends.pairs(ending, [0.2, 0.5, 0.3], 2, torch.Generator().manual_seed(0), lambda pairs: ~free(pairs))


def test_few_windows_are_asked_about_until_all_have_come() -> None:
    """One ending window of three: two mixed pairs and one of whole windows are all there are."""
    ending = torch.tensor([True, False, False])
    found = ends.pairs(ending, [0.25, 0.5, 0.25], 3, torch.Generator().manual_seed(0), free)
    assert {tuple(sorted(pair)) for pair in found.tolist()} == {(0, 1), (0, 2), (1, 2)}
