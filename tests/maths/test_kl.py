"""KL estimators by enumeration over categorical distributions; the KL price; the controller."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import random_episodes, refilled

from plaudit.batches import Episodes
from plaudit.maths import kl
from plaudit.maths.kl import Kl

two = st.integers(2, 6).flatmap(
    lambda n: st.tuples(*[st.lists(st.floats(-3, 3), min_size=n, max_size=n)] * 2)
)


def distributions(case: tuple) -> tuple[list[float], list[float]]:
    """Two lists of probabilities from two lists of logits."""
    p, q = ([math.exp(v) for v in c] for c in case)
    return [v / sum(p) for v in p], [v / sum(q) for v in q]


@settings(max_examples=100, deadline=None)
@given(case=two)
def test_expectations_of_the_estimators_over_every_action(case: tuple) -> None:
    p, q = distributions(case)
    exact = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    logp = torch.tensor(p, dtype=torch.float64).log()
    logq = torch.tensor(q, dtype=torch.float64).log()

    def expectation(values: torch.Tensor) -> float:
        return sum(a * float(v) for a, v in zip(p, values, strict=True))

    assert expectation(kl.k1(logp, logq)) == pytest.approx(exact, abs=1e-10)
    assert expectation(kl.k3(logp, logq)) == pytest.approx(exact, abs=1e-10)
    second_moment = sum(a * math.log(b / a) ** 2 for a, b in zip(p, q, strict=True)) / 2
    assert expectation(kl.k2(logp, logq)) == pytest.approx(second_moment, abs=1e-10)
    assert (kl.k3(logp, logq) >= 0).all() and (kl.k2(logp, logq) >= 0).all()


def test_the_gradient_of_k2_is_that_of_the_kl() -> None:
    theta = torch.tensor([0.3, -1.0, 0.6], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    p = theta.softmax(0)
    (exact,) = torch.autograd.grad((p * (p / q).log()).sum(), theta)
    logp = theta.log_softmax(0)
    (sampled,) = torch.autograd.grad((logp.exp().detach() * kl.k2(logp, q.log())).sum(), theta)
    assert torch.allclose(exact, sampled, atol=1e-12)
    logp = theta.log_softmax(0)
    (of_k1,) = torch.autograd.grad((logp.exp().detach() * kl.k1(logp, q.log())).sum(), theta)
    assert torch.allclose(
        of_k1, torch.zeros(3, dtype=torch.float64), atol=1e-12
    )  # k1 as a loss teaches nothing


def test_by_hand() -> None:
    # p = 1/2, q = 1/4: log r = -ln 2; k1 = .6931, k2 = .6931^2/2 = .2402, k3 = 1/2 - 1 + .6931 = .1931
    logp, logq = torch.tensor(0.5).log(), torch.tensor(0.25).log()
    assert kl.k1(logp, logq).item() == pytest.approx(0.693147, abs=1e-6)
    assert kl.k2(logp, logq).item() == pytest.approx(0.240227, abs=1e-6)
    assert kl.k3(logp, logq).item() == pytest.approx(0.193147, abs=1e-6)
    assert kl.k1(logq, logp).item() == pytest.approx(-0.693147, abs=1e-6)  # one decision may be negative


def test_equal_policies_have_no_kl_at_all() -> None:
    x = torch.tensor([-0.1, -20.0, -1e-9])
    for estimator in (kl.k1, kl.k2, kl.k3):
        assert estimator(x, x).tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=100, deadline=None)
@given(d=st.floats(-(2**-10), 2**-10, width=32), base=st.sampled_from([0.0, -1.0, -20.0]))
def test_k3_is_never_negative_in_single_precision(d: float, base: float) -> None:
    p = torch.tensor(base)
    assert kl.k3(p, p + d).item() >= 0


def test_published_reward_assembly_of_torchtune() -> None:
    logp = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]])
    ref = torch.tensor([[0.2, 0.3, 0.4], [0.6, 0.7, 0.8], [0.9, 1.0, 1.1]])
    scores = torch.zeros(3, 3)
    scores[:, -1] = torch.tensor([1.0, 2.0, 3.0])
    end = torch.zeros(3, 3, dtype=torch.bool)
    end[:, -1] = True
    e = Episodes(logp, scores, end, end, torch.ones_like(end), ref_logp=ref)
    assert torch.allclose(kl.k1(logp, ref).mean(dim=1), torch.tensor([-0.1, -0.2, -0.3]), atol=1e-6)
    expected = torch.tensor([[0.05, 0.05, 1.05], [0.1, 0.1, 2.1], [0.15, 0.15, 3.15]])
    assert torch.allclose(kl.in_reward(e, Kl(0.5)).rewards, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**20), coefficient=st.floats(0.01, 2))
def test_the_rewards_of_an_episode_are_its_score_minus_the_summed_kl(seed: int, coefficient: float) -> None:
    e = random_episodes(seed)
    e = replace(e, rewards=torch.where(e.mask, e.rewards, 0.0))
    charged = kl.in_reward(e, Kl(coefficient)).rewards
    assert e.ref_logp is not None
    for b in range(3):
        paid = sum(float(e.logp[b, t] - e.ref_logp[b, t]) for t in range(7) if e.mask[b, t])
        assert float(charged[b].sum()) == pytest.approx(
            float(e.rewards[b].sum()) - coefficient * paid, abs=1e-9
        )
    assert torch.equal(charged[~e.mask], torch.zeros_like(charged[~e.mask]))
    dirty = replace(refilled(e, seed + 1), rewards=e.rewards)
    assert torch.equal(kl.in_reward(dirty, Kl(coefficient)).rewards, charged)


def test_a_price_of_zero_needs_no_reference_and_any_other_does() -> None:
    e = replace(random_episodes(0), ref_logp=None)
    assert kl.in_reward(e, Kl(0.0)) is e
    with pytest.raises(ValueError, match="reference"):
        kl.in_reward(e, Kl(0.1))


def test_a_policy_at_its_reference_pays_nothing() -> None:
    e = random_episodes(0)
    assert torch.equal(kl.in_reward(replace(e, ref_logp=e.logp.clone()), Kl(0.3)).rewards, e.rewards)


def test_published_steps_of_the_controller() -> None:
    # 12 / 6 - 1 = 1, clipped to .2: .15 * (1 + .2 * .0256) = .150768; 3 / 6 - 1 = -.5, to -.2: .149232
    assert kl.adapt(0.15, 12.0, 6.0, 256, 10_000) == pytest.approx(0.150768, abs=1e-12)
    assert kl.adapt(0.15, 3.0, 6.0, 256, 10_000) == pytest.approx(0.149232, abs=1e-12)
    assert kl.adapt(0.15, 6.6, 6.0, 256, 10_000) == pytest.approx(
        0.15 * (1 + 0.1 * 0.0256)
    )  # inside the clip
    assert kl.adapt(0.15, 6.0, 6.0, 256, 10_000) == 0.15


def test_the_controller_never_turns_a_price_into_a_subsidy() -> None:
    assert (
        kl.adapt(0.1, 0.0, 0.02, 65_536, 10_000) >= 0
    )  # more decisions in one update than the whole horizon


def kl_of_the_best(p: list[float], n: int) -> float:
    """KL by enumeration: outcomes in the order of their scores, the best of n is outcome i with F_i^n - F_(i-1)^n."""
    total, below = 0.0, 0.0
    for share in p:
        best = (below + share) ** n - below**n
        below += share
        total += best * math.log(best / share)
    return total


def test_published_distances_of_the_best_of_n() -> None:
    for n, nats in [(1, 0.0), (2, 0.1931), (4, 0.6363), (16, 1.8351), (64, 3.1745), (256, 4.5491)]:
        assert kl.best_of_n_kl(n) == pytest.approx(nats, abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_the_distance_of_the_best_of_n_is_that_of_an_enumeration(n: int) -> None:
    fine = [1 / 20_000] * 20_000  # so many answers that hardly two of n are the same
    assert kl_of_the_best(fine, n) == pytest.approx(kl.best_of_n_kl(n), abs=1e-3)
    for coarse in ([0.5, 0.5], [0.2, 0.7, 0.1], [0.9, 0.1]):
        assert kl_of_the_best(coarse, n) <= kl.best_of_n_kl(n) + 1e-12


def test_the_best_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        kl.best_of_n_kl(0)


def slow_estimate(name: str, logp: float, logq: float) -> float:
    """Of one decision, from the definitions."""
    log_r = logq - logp
    return {"k1": -log_r, "k2": log_r**2 / 2, "k3": math.exp(log_r) - 1 - log_r}[name]


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**20), estimator=st.sampled_from(["k1", "k2", "k3", None]), coef=st.floats(0.01, 2)
)
def test_the_price_by_any_estimator_in_the_reward_or_in_the_loss(
    seed: int, estimator: Any, coef: float
) -> None:
    e = random_episodes(seed)
    assert e.ref_logp is not None
    kept = [(b, t) for b in range(3) for t in range(7) if e.mask[b, t]]
    charged = kl.in_reward(e, Kl(coef, "reward", estimator)).rewards
    for b, t in kept:
        price = coef * slow_estimate(estimator or "k1", float(e.logp[b, t]), float(e.ref_logp[b, t]))
        assert float(charged[b, t]) == pytest.approx(float(e.rewards[b, t]) - price, abs=1e-9)
    logp = (e.logp + 0.3).requires_grad_()
    found = kl.in_loss(logp, e, Kl(coef, "loss", estimator))
    slow = [slow_estimate(estimator or "k3", logp[b, t].item(), float(e.ref_logp[b, t])) for b, t in kept]
    assert list(found) == ["kl"]
    assert found["kl"].item() == pytest.approx(coef * sum(slow) / len(slow), abs=1e-9)
    (clean,) = torch.autograd.grad(found["kl"], logp)
    (dirty,) = torch.autograd.grad(
        kl.in_loss(logp, refilled(e, seed + 1), Kl(coef, "loss", estimator))["kl"], logp
    )
    assert torch.equal(clean, dirty) and not clean[~e.mask].any()
    for b, t in kept:  # k3 by default: d/dlogp = 1 - exp(log q - log p)
        log_r = float(e.ref_logp[b, t]) - logp[b, t].item()
        slope = {"k1": 1.0, "k2": -log_r}.get(estimator or "k3", 1 - math.exp(log_r))
        assert float(clean[b, t]) == pytest.approx(coef * slope / len(kept), abs=1e-9)


def test_a_price_is_charged_in_one_place_only() -> None:
    e = random_episodes(3)
    assert kl.in_reward(e, Kl(0.3, "loss")) is e and kl.in_reward(e, Kl(0.0)) is e
    assert kl.in_loss(e.logp, e, Kl(0.3)) == {} == kl.in_loss(e.logp, e, Kl(0.0, "loss"))
    with pytest.raises(ValueError, match="reference"):
        kl.in_loss(e.logp, replace(e, ref_logp=None), Kl(0.1, "loss"))
