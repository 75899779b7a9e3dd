"""What batches say of themselves: a loss in parts, what an algorithm needs, pairs."""

from typing import Any

import pytest
import torch

from plaudit.batches import Loss, Needs, Pairs
from plaudit.batches.rows import take
from plaudit.errors import PlauditError


def number(x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


def test_the_total_is_the_sum_of_the_parts_there_are() -> None:
    assert Loss(number(2.0)).total.item() == 2.0
    loss = Loss(
        number(1.0), entropy=number(-0.25), value=number(4.0), penalties={"kl": number(8.0), "own": number(16.0)},
        kl=number(1000.0),
    )  # fmt: skip
    assert list(loss.parts) == ["policy", "entropy", "value", "kl", "own"]
    assert loss.total.item() == 1 - 0.25 + 4 + 8 + 16  # what limits a trust region is no part
    assert Loss(nll=number(3.0)).total.item() == 3.0


def test_the_total_has_the_gradient_of_every_part() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    loss = Loss(x, value=2 * x, entropy=-0.5 * x, penalties={"far": x**2}, kl=100 * x)
    (slope,) = torch.autograd.grad(loss.total, x)
    assert slope.item() == pytest.approx(1 + 2 - 0.5 + 6)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (torch.zeros(3), r"loss.far: one number is wanted, not \[3\]; take the mean"),
        (torch.zeros(1), r"loss.far: one number is wanted, not \[1\]; take the mean"),
        (1.0, r"loss.far: one number is wanted, not float; take the mean"),
    ],
)
def test_a_part_that_is_no_number_is_one_sentence(part: Any, sentence: str) -> None:
    penalties: dict[str, Any] = {}
    loss = Loss(number(1.0), penalties=penalties)
    penalties["far"] = part  # as in production, where nobody has looked at the shapes
    with pytest.raises(PlauditError, match=sentence) as caught:
        _ = loss.total
    assert "\n" not in str(caught.value)
    whole = Loss()
    object.__setattr__(whole, "policy", torch.zeros(2, 3))
    with pytest.raises(PlauditError, match=r"loss.policy: one number is wanted, not \[2, 3\]"):
        _ = whole.total


def test_nothing_to_descend_is_one_sentence() -> None:
    with pytest.raises(PlauditError, match=r"^loss: it has no part to descend; give policy, nll or value$"):
        _ = Loss(kl=number(1.0)).total


def test_an_algorithm_needs_nothing_unless_it_says_so() -> None:
    assert Needs() == Needs(
        critic=False, reference=False, unit="steps", group=1, step="adam", epochs=None, discount=None
    )


def test_rows_of_pairs_are_pairs() -> None:
    mask = torch.rand(4, 2, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    pairs = Pairs(mask, torch.tensor([1.0, 0.0, 0.5, 1.0]), None, ref_logp=torch.randn(4, 2, 3))
    some = take(pairs, torch.tensor([2, 0]))
    assert torch.equal(some.mask, mask[[2, 0]]) and some.preference.tolist() == [0.5, 1.0]
    assert some.ref_logp is not None and some.ref_logp.shape == (2, 2, 3)
    assert some.weight is None and some.person is None
