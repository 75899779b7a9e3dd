import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.models.language import logprobs
from plaudit.models.language.logprobs import Head, Shaping, selected, shaped
from tests.models.language.tiny import nucleus, seeded

SHAPINGS = [Shaping(), Shaping(temperature=0.7), Shaping(top_p=0.6), Shaping(temperature=1.6, top_p=0.9)]


def plain(head: Head, hidden: Tensor, chosen: Tensor, shaping: Shaping) -> tuple[Tensor, Tensor]:
    """log_softmax and gather, a row at a time."""
    logp, entropy = [], []
    for state, token in zip(hidden, chosen.tolist(), strict=True):
        row = (head.weight @ state + (0 if head.bias is None else head.bias)) / shaping.temperature
        kept = list(range(len(row))) if shaping.top_p == 1 else nucleus(row.detach(), shaping.top_p, token)
        inside = row[kept].log_softmax(dim=0)
        logp.append(inside[kept.index(token)])
        entropy.append(-(inside.exp() * inside).sum())
    return torch.stack(logp), torch.stack(entropy)


def example(seed: int, rows: int = 7, width: int = 5, entries: int = 13, bias: bool = True):
    g = seeded(seed)
    weight = torch.randn(entries, width, generator=g)
    offsets = torch.randn(entries, generator=g) if bias else None
    return (
        torch.randn(rows, width, generator=g),
        weight,
        offsets,
        torch.randint(entries, (rows,), generator=g),
        torch.randn(2, rows, generator=g),
    )


def gradients(function, inputs: list[Tensor], weights: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What a function says of leaves, and the gradient of a weighted sum of it."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    logp, entropy = function(*leaves)
    found = torch.autograd.grad((weights[0] * logp + weights[1] * entropy).sum(), leaves)
    return logp.detach(), entropy.detach(), list(found)


@pytest.mark.parametrize("shaping", SHAPINGS)
@pytest.mark.parametrize(("at_once", "kept"), [(1, True), (3, True), (3, False), (100, True), (100, False)])
@pytest.mark.parametrize("bias", [True, False])
def test_17_equals_log_softmax_and_gather_also_in_its_gradients(
    monkeypatch: pytest.MonkeyPatch, shaping: Shaping, at_once: int, kept: bool, bias: bool
) -> None:
    monkeypatch.setattr(logprobs, "ELEMENTS", 13 * at_once)
    monkeypatch.setattr(logprobs, "ROWS", 1)
    monkeypatch.setattr(logprobs, "KEPT", 7 * 13 if kept else 0)
    hidden, weight, offsets, chosen, weights = example(1, bias=bias)
    inputs = [hidden, weight] + ([offsets] if bias else [])

    def ours(h: Tensor, w: Tensor, b: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return selected(Head(w, b), h, chosen, shaping)

    def oracle(h: Tensor, w: Tensor, b: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return plain(Head(w, b), h, chosen, shaping)

    logp, entropy, found = gradients(ours, inputs, weights)
    expected_logp, expected_entropy, expected = gradients(
        oracle, [tensor.double() for tensor in inputs], weights.double()
    )
    torch.testing.assert_close(logp.double(), expected_logp, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(entropy.double(), expected_entropy, atol=1e-6, rtol=1e-6)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=3e-6, rtol=3e-6)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize("shaping", SHAPINGS)
def test_17_a_loss_of_one_of_the_two(
    monkeypatch: pytest.MonkeyPatch, shaping: Shaping, used: int, kept: bool
) -> None:
    if not kept:
        monkeypatch.setattr(logprobs, "KEPT", 0)
    hidden, weight, offsets, chosen, weights = example(6)
    assert offsets is not None
    found, expected = [], []
    for function, kind, gradients_of_it in (
        (selected, torch.float32, found),
        (plain, torch.float64, expected),
    ):
        leaves = [tensor.to(kind).requires_grad_() for tensor in (hidden, weight, offsets)]
        said = function(Head(leaves[1], leaves[2]), leaves[0], chosen, shaping)[used]
        gradients_of_it += torch.autograd.grad((weights[0].to(kind) * said).sum(), leaves)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=3e-6, rtol=3e-6)


@pytest.mark.parametrize("shaping", SHAPINGS)
def test_17_gradcheck(shaping: Shaping) -> None:
    hidden, weight, offsets, chosen, _ = example(2, rows=3, width=4, entries=6)
    assert offsets is not None
    leaves = [tensor.double().requires_grad_() for tensor in (hidden, weight, offsets)]
    assert torch.autograd.gradcheck(lambda h, w, b: selected(Head(w, b), h, chosen, shaping), leaves)


def test_17_double_stays_double() -> None:
    hidden, weight, _, chosen, _ = example(3)
    logp, entropy = selected(Head(weight.double()), hidden.double(), chosen, Shaping())
    assert logp.dtype == entropy.dtype == torch.float64
    expected = (hidden.double() @ weight.double().T).log_softmax(dim=-1).gather(1, chosen[:, None]).squeeze(1)
    torch.testing.assert_close(logp, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("shaping", SHAPINGS[:2])
def test_17_in_bfloat16_within_its_precision(shaping: Shaping) -> None:
    hidden, weight, offsets, chosen, weights = example(4, rows=40, width=32, entries=50)
    assert offsets is not None
    inputs = [hidden, weight / 4, offsets]

    def ours(h: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return selected(Head(w, b), h, chosen, shaping)

    logp, entropy, found = gradients(ours, inputs, weights)
    rounded = [tensor.bfloat16().double() for tensor in inputs[:2]] + [offsets.double()]
    expected_logp, expected_entropy, expected = gradients(
        lambda h, w, b: plain(Head(w, b), h, chosen, shaping), rounded, weights.double()
    )
    assert logp.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = Head(inputs[1], offsets).logits(inputs[0])
    inside = (logits.double() / shaping.temperature).log_softmax(dim=-1)
    # only the product is rounded, what follows is not
    torch.testing.assert_close(entropy.double(), -(inside.exp() * inside).sum(dim=-1), atol=1e-5, rtol=1e-5)
    # a product is rounded to 8 bits: 2^-9 of a logit, and of the ones in log z, both over the temperature
    error = 2**-8 * float((rounded[0] @ rounded[1].T).abs().max()) / shaping.temperature
    assert float((logp.double() - expected_logp).abs().max()) < error
    assert float((entropy.double() - expected_entropy).abs().max()) < 10 * error
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(one.double().flatten(), other.flatten(), dim=0) > 0.999


def test_no_rows_at_all() -> None:
    hidden, weight, offsets, chosen, _ = example(5)
    leaf = hidden[:0].clone().requires_grad_()
    logp, entropy = selected(Head(weight, offsets), leaf, chosen[:0], Shaping())
    (logp.sum() + entropy.sum()).backward()
    assert logp.shape == entropy.shape == (0,) and leaf.grad is not None


def test_16_uniform_logits_give_log_v() -> None:
    head = Head(torch.zeros(50257, 2))
    logp, entropy = selected(head, torch.ones(3, 2), torch.tensor([0, 7, 50256]), Shaping())
    torch.testing.assert_close(entropy, torch.full((3,), 10.8249), atol=1e-4, rtol=0)
    torch.testing.assert_close(logp, -entropy, atol=1e-5, rtol=0)


@given(st.integers(0, 10_000), st.sampled_from([0.01, 1.0, 30.0, 3000.0]), st.floats(-1e4, 1e4))
def test_16_entropy_is_between_0_and_log_v(seed: int, scale: float, offset: float) -> None:
    raw = torch.randn(4, 9, generator=seeded(seed)) * scale + offset
    for shaping in SHAPINGS:
        _, entropy = selected(Head(torch.eye(9)), raw, torch.tensor([0, 1, 2, 3]), shaping)
        assert bool((entropy >= -1e-6).all()) and bool((entropy <= math.log(9) + 1e-5).all())


def test_a_likely_token_by_hand() -> None:
    # logits 0, ln 2, ln 5: probabilities 1/8, 2/8, 5/8
    head = Head(torch.eye(3))
    hidden = torch.tensor([[0.0, math.log(2), math.log(5)]])
    logp, entropy = selected(head, hidden, torch.tensor([1]), Shaping())
    assert logp.item() == pytest.approx(math.log(2 / 8))
    assert entropy.item() == pytest.approx(
        -(1 / 8 * math.log(1 / 8) + 2 / 8 * math.log(2 / 8) + 5 / 8 * math.log(5 / 8))
    )
    # the temperature 1/2 squares them: 1, 4, 25
    logp, _ = selected(head, hidden, torch.tensor([1]), Shaping(temperature=0.5))
    assert logp.item() == pytest.approx(math.log(4 / 30), abs=1e-6)
    # of 5/8, 2/8, 1/8 the first two reach 0.7; the third stays where it is the one that was said
    logp, _ = selected(head, hidden, torch.tensor([1]), Shaping(top_p=0.7))
    assert logp.item() == pytest.approx(math.log(2 / 7), abs=1e-6)
    logp, _ = selected(head, hidden, torch.tensor([0]), Shaping(top_p=0.7))
    assert logp.item() == pytest.approx(math.log(1 / 8), abs=1e-6)


@given(st.integers(0, 10_000), st.floats(0.05, 0.99))
def test_the_nucleus_is_the_fewest_likeliest_tokens(seed: int, top_p: float) -> None:
    raw = torch.randn(3, 12, generator=seeded(seed)).double() * 2
    kept = shaped(raw, Shaping(top_p=top_p)).isfinite()
    for row, mine in zip(raw, kept, strict=True):
        assert mine.nonzero().flatten().tolist() == nucleus(row, top_p)


def test_equally_likely_tokens_are_in_or_out_together() -> None:
    kept = shaped(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), Shaping(top_p=0.1)).isfinite()
    assert kept.tolist() == [[True, True, True, False]]


def test_bad_shapings() -> None:
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(PlauditError, match="temperature"):
            Shaping(temperature=temperature)
    for top_p in (0.0, 1.1, math.nan):
        with pytest.raises(PlauditError, match="top_p"):
            Shaping(top_p=top_p)


@pytest.mark.parametrize("shaping", [Shaping(), Shaping(temperature=0.7)])
def test_the_gradient_has_a_gradient(shaping: Shaping) -> None:
    """As the product with a Fisher matrix needs it; what was kept from the forward pass would give zeros in silence."""
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (
        torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((5, 4), (7, 4))
    )
    chosen = torch.randint(7, (5,), generator=generator)
    pull = torch.randn(5, generator=generator, dtype=torch.float64)

    def second(by: Any) -> list[Tensor]:
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        logp, entropy = by(h, w)
        loss = (pull * logp.exp() + entropy**2).sum()
        first = torch.autograd.grad(loss, [h, w], create_graph=True)
        return list(torch.autograd.grad(sum((g**2).sum() for g in first), [h, w]))

    def plain(h: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        log_p = (h @ w.T / shaping.temperature).log_softmax(dim=-1)
        return log_p.gather(1, chosen[:, None]).squeeze(1), -(log_p.exp() * log_p).sum(dim=-1)

    for mine, slow in zip(
        second(lambda h, w: selected(Head(w), h, chosen, shaping)), second(plain), strict=True
    ):
        assert slow.abs().max() > 1e-3
        torch.testing.assert_close(mine, slow)
