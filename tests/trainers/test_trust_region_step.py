"""A step in a trust region: exact Fisher products, the promises of the line search, and who moves what."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from table_policy import Table, module_of, rollout, updater_of
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from plaudit.algorithms.on_policy import trpo
from plaudit.batches import Episodes, Loss, Rollout, Scores
from plaudit.maths import kl, masked
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.language import tokens
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.policy import PolicyConfig as LanguagePolicyConfig
from plaudit.models.transitions import Transitions
from plaudit.trainers.on_policy import Algorithm, Config, Updater
from plaudit.trainers.steps import FlatParameters, TrustRegion
from tests.models.language.tiny import lm, seeded, sequences

REGION = TrustRegion(delta=0.01, damping=1e-3, cg_iterations=20)


def given(seed: int = 1) -> Rollout:
    """Many decisions of the table's first policy."""
    return rollout(Table(3, 4), torch.Generator().manual_seed(seed), rows=40, columns=8)


def updater(step: TrustRegion = REGION, **changes: Any) -> Updater:
    settings = trpo.Config(discount=1.0, advantage=GAE(1.0))
    return updater_of(trpo, settings, Config(step=step, epochs=3, minibatch_size=32, **changes))


def moved(policy: Table, old: Episodes, record: Any) -> tuple[float, float]:
    """KL(old || new) by k3 over the decisions, and the surrogate, both by a loop."""
    settings = trpo.Config(discount=1.0, advantage=GAE(1.0))
    a = masked.standardise(trpo.advantages(old, settings), old.mask)
    with torch.no_grad():
        new = policy.scores(record).logp
    distances, surrogates = [], []
    for b, t in old.mask.nonzero().tolist():
        log_ratio = new[b, t] - old.logp[b, t]
        distances.append(log_ratio.exp() - 1 - log_ratio)
        surrogates.append(-log_ratio.exp() * a[b, t])
    return float(torch.stack(distances).mean()), float(torch.stack(surrogates).mean())


@pytest.mark.parametrize("delta", [1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_surrogate_falls_and_the_kl_stays_within_delta(delta: float, seed: int) -> None:
    one, data = updater(replace(REGION, delta=delta)), given(seed)
    _, before = moved(one.policy, data.episodes, data.record)
    one.update(data, 1.0)
    distance, after = moved(one.policy, data.episodes, data.record)
    assert after < before and 0.3 * delta < distance <= delta * (1 + 1e-4)
    metrics = one.metrics
    assert metrics["policy/approxkl_avg"] == pytest.approx(distance, rel=1e-3)
    assert metrics["policy/surrogate_change"] == pytest.approx(after - before, abs=1e-5)
    assert 0 < metrics["policy/step_fraction"] <= 1


@pytest.mark.slow
def test_the_policy_step_leaves_the_critic_and_the_critics_steps_leave_the_policy() -> None:
    data = given()
    whole, alone = updater(learning_rate=0.1), updater(learning_rate=0.0)
    values, logits = alone.policy.value.detach().clone(), alone.policy.logits.detach().clone()
    alone.update(data, 1.0)  # a rate of 0: the critic takes no steps
    assert torch.equal(alone.policy.value, values) and not torch.equal(alone.policy.logits, logits)
    whole.update(data, 1.0)
    assert torch.equal(whole.policy.logits, alone.policy.logits)
    assert not torch.equal(whole.policy.value, values)
    assert "critic/grad_norm" in whole.metrics and "policy/grad_norm" not in whole.metrics
    # it has learned something: the values are nearer to what was earned
    target = (
        trpo.advantages(data.episodes, trpo.Config(discount=1.0, advantage=GAE(1.0))) + data.episodes.values
    )

    def error(policy: Table) -> float:
        with torch.no_grad():
            return float(masked.mean((policy.scores(data.record).values - target) ** 2, data.episodes.mask))

    for _ in range(20):
        whole.update(data, 1.0)
    assert error(whole.policy) < 0.9 * error(alone.policy)


def test_separate_networks_of_one_batched_body_leave_each_other_alone() -> None:
    spaces = Spaces(3, 2, "discrete")
    made = [
        ActorCritic(spaces, PolicyConfig(hidden=(8,)), torch.Generator().manual_seed(0)) for _ in range(2)
    ]
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(30, 4, 3, generator=generator)
    actions = torch.randint(2, (30, 4), generator=generator)
    record = Transitions(
        states, actions, torch.nn.functional.one_hot(actions, 2).float(), states, torch.zeros(30, 4)
    )
    yes, last = torch.ones(30, 4, dtype=torch.bool), torch.zeros(30, 4, dtype=torch.bool)
    last[:, -1] = True
    with torch.no_grad():
        scores = made[0].scores(record)
    rewards = (actions == (states[..., 0] > 0).long()).float()
    e = Episodes(
        scores.logp, rewards, last, last, yes, scores.values, scores.values.roll(-1, 1), discount=0.9
    )
    for model, rate in zip(made, (0.0, 0.05), strict=True):
        config = Config(step=REGION, epochs=4, learning_rate=rate)
        Updater(model, Algorithm(trpo, trpo.Config()), config, torch.Generator().manual_seed(2)).update(
            Rollout(e, record), 1.0
        )
    with torch.no_grad():
        still, learned = (model.scores(record) for model in made)
    assert torch.equal(still.logp, learned.logp) and not torch.equal(still.logp, e.logp)
    assert torch.equal(still.values, e.values) and not torch.equal(learned.values, e.values)  # type: ignore[arg-type]


def products(flat: FlatParameters, distance: Tensor, vectors: Tensor) -> Tensor:
    """What the step makes of each vector: the gradient of (gradient of the KL . vector)."""
    slope = flat.gradient_of(distance, differentiable=True)
    return torch.stack([flat.gradient_of(slope @ vector) for vector in vectors])


def test_the_fisher_product_is_that_of_the_exact_matrix() -> None:
    """Of a table: in each state diag(p) - p p^T weighted by its share, where actions come in their exact shares."""
    policy = Table(2, 3, critic=False)
    shares = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])
    with torch.no_grad():
        policy.logits.copy_(shares.log())
    flat = FlatParameters(policy.parameters())
    states = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]])
    actions = torch.tensor([[0, 0, 1, 2, 0, 1, 2, 2]])
    record = type(rollout(Table(3, 4), torch.Generator()).record)(states, actions, states)
    new = policy.scores(record)
    found = products(flat, kl.k3(new.logp.detach(), new.logp).mean(), torch.eye(len(flat.vector)))
    exact = torch.zeros(len(flat.vector), len(flat.vector))
    for s in range(2):
        p, rows = shares[s], slice(3 * s, 3 * s + 3)
        exact[rows, rows] = 0.5 * (p.diag() - p[:, None] * p[None, :])
    torch.testing.assert_close(found, exact, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_fisher_product_reaches_through_the_attention_of_a_language_model(family: str) -> None:
    """Equal to the mean over decisions of (gradient of log pi) (gradient of log pi)^T."""
    policy = LanguagePolicy(lm(family), LanguagePolicyConfig("none"), seeded(3))
    record = tokens.answers(sequences([3, 1, 5], 1), sequences([2, 4, 1], 2))
    flat = FlatParameters(policy.parameters())
    vectors = torch.randn(2, len(flat.vector), generator=seeded(4))
    with sdpa_kernel(SDPBackend.MATH):
        new = policy.scores(record)
        distance = masked.mean(kl.k3(new.logp.detach(), new.logp), record.mask)
        found = products(flat, distance, vectors)
        gradients = torch.stack([flat.gradient_of(new.logp[b, t]) for b, t in record.mask.nonzero().tolist()])
    exact = vectors @ gradients.T @ gradients / len(gradients)
    assert exact.norm() > 0.1
    assert (found - exact).norm() < 1e-3 * exact.norm()


@pytest.mark.parametrize("critic", ["none", "separate"])
def test_a_language_model_moves_within_the_region(critic: Any) -> None:
    policy = LanguagePolicy(lm(), LanguagePolicyConfig(critic), seeded(3))
    record = tokens.answers(sequences([3, 9, 1, 5, 2, 7, 4, 4], 1), sequences([6, 1, 12, 4, 9, 2, 7, 3], 2))
    mask = record.mask
    with torch.no_grad():
        scores, following = policy.score(record)
    last = mask & (mask.flip(1).cumsum(dim=1).flip(1) == 1)
    rewards = torch.where(last, torch.randn(8, 1, generator=seeded(5)), 0.0)
    e = Episodes(scores.logp, rewards, last, last, mask, scores.values, following)
    estimator = {"none": trpo.Config(advantage=MonteCarlo()), "separate": trpo.Config(advantage=GAE(1.0))}[
        critic
    ]
    config = Config(step=replace(REGION, cg_iterations=5), epochs=2, learning_rate=1e-2)
    one = Updater(policy, Algorithm(trpo, estimator), config, torch.Generator().manual_seed(0))
    one.update(Rollout(e, record), 1.0)
    with torch.no_grad():
        after = policy.scores(record)
    distance = float(masked.mean(kl.k3(e.logp, after.logp), mask))
    assert 1e-3 < distance <= 0.01 * 1.01  # also after the critic's own steps
    assert one.metrics["policy/surrogate_change"] < 0


def test_where_no_step_keeps_the_promise_the_policy_stays() -> None:
    """A KL that is never within the region: every length is tried, then all is as it was."""
    calls: list[float] = []

    def loss(new: Scores, episodes: Episodes, advantages: Tensor, config: Any) -> Loss:
        found = trpo.loss(new, episodes, advantages, config)
        assert found.kl is not None
        if not new.logp.requires_grad:
            calls.append(float(found.kl))
            return replace(found, kl=found.kl + 1.0)
        return found

    module = module_of(needs=trpo.needs, advantages=trpo.advantages, loss=loss)
    settings = trpo.Config(discount=1.0, advantage=GAE(1.0))
    one = updater_of(
        module, settings, Config(step=replace(REGION, backtracks=4), epochs=1, learning_rate=0.0)
    )
    before, data = one.policy.logits.detach().clone(), given()
    one.update(data, 1.0)
    assert torch.equal(one.policy.logits, before)
    assert one.metrics["policy/step_fraction"] == 0 == one.metrics["policy/surrogate_change"]
    assert len(calls) == 4 and calls == sorted(calls, reverse=True)  # shorter and shorter


def test_no_advantage_is_no_step() -> None:
    one, data = updater(), given()
    e = replace(data.episodes, rewards=torch.zeros_like(data.episodes.rewards), values=0 * data.episodes.rewards,
                next_values=0 * data.episodes.rewards)  # fmt: skip
    before = one.policy.logits.detach().clone()
    one.update(replace(data, episodes=e), 1.0)
    assert torch.equal(one.policy.logits, before) and one.metrics["policy/step_fraction"] == 0
