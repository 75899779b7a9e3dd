"""A language model learns the known optimum of the KL-regularised problem, from nothing but sampled answers.

The maximum of E[r] - beta KL(pi || pi_ref) over all distributions is pi* ~ pi_ref exp(r / beta) (Rafailov et al. 2023,
arXiv:2305.18290, eq. 4). In a world of V^T answers it can be written down, and so can the distribution of the model.

What the settings are for. The price of the KL is in the reward, discount and lambda are 1: then the optimum is exactly
where the expected gradient vanishes, and there r - beta log(pi / pi_ref) is the same for all answers. So a plain policy
gradient with a critic has no noise left at the optimum; with standardised advantages, as small as they become, the
noise stays as large as it was, and only the step size, which falls linearly to 0, lets it settle. Standardising scales
and shifts all weights of a minibatch alike, which moves no optimum but by the correlation of one answer with the
spread of its minibatch, of order 1 / (answers in it). The number of updates is what the exact gradient needs too: on
three tokens 150 of its steps end at a distance of about .02, 600 at .005.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.algorithms.on_policy import grpo, ppo, reinforce, rloo, trpo
from plaudit.algorithms.preference import dpo
from plaudit.batches import Episodes, Pairs, Rewards, Rollout, Scores
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import Completions, GenerationConfig, LanguageRollouts
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.maths.kl import Kl
from plaudit.models.language import tokens
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy
from plaudit.trainers import on_policy, supervised
from plaudit.trainers.on_policy import Algorithm, Updater
from plaudit.trainers.steps import TrustRegion
from tests.environments.language.letters import (
    every_answer,
    generator,
    log_distribution,
    model,
    policy,
    vocabulary,
)

PROMPT = (0,)
NEAR = 0.02
"""Total variation between what was learned and the optimum."""


@dataclass(frozen=True)
class World:
    """Answers of exactly `length` out of `count` letters to one prompt, each with a reward of its own."""

    count: int
    length: int
    beta: float
    seed: int
    temperature: float = 1.0

    def answers(self) -> list[tuple[int, ...]]:
        return every_answer(self.count, self.length)

    def rewards(self) -> Tensor:
        """One number per answer, normal and independent: no sum over tokens explains them."""
        return torch.randn(len(self.answers()), generator=generator(1000 + self.seed))

    def policy(self, critic: str) -> LanguagePolicy:
        """The reference, where learning starts."""
        return policy(model(self.count, self.seed), critic, Shaping(self.temperature))

    def log_distribution(self, of: LanguagePolicy) -> Tensor:
        return log_distribution(of.lm, PROMPT, self.length, self.temperature)

    def optimum(self) -> Tensor:
        """pi* ~ pi_ref exp(r / beta)."""
        reference = self.log_distribution(self.policy("none"))
        return (reference + self.rewards().double() / self.beta).softmax(dim=0)

    def language(self, batch: int) -> LanguageRollouts:
        """No letter ends an answer: the cap does, and by `Score` the answer is then complete."""
        prompts = PromptQueue([Prompt(PROMPT, "a")], generator(1))
        generation = GenerationConfig(
            vocabulary(self.count), frozenset(), Sampling(max_new_tokens=self.length, rows=512)
        )
        return LanguageRollouts(prompts, generation, batch, generator(2 + self.seed))

    def rollout(self, language: LanguageRollouts, learning: LanguagePolicy, reference: Any) -> Rollout:
        said = language.collect(learning)
        return language.episodes(said, learning, reference, self.pay(said))

    def pay(self, said: Completions) -> Rewards:
        reward = dict(zip(self.answers(), self.rewards().tolist(), strict=True))
        return Rewards(torch.tensor([reward[answer] for answer in said.answers.tokens]))


ONE = World(count=8, length=1, beta=0.5, seed=0)
THREE = World(count=4, length=3, beta=1.0, seed=0)


@dataclass(frozen=True)
class Learning:
    """An algorithm and how its loss is descended."""

    algorithm: Algorithm
    config: on_policy.Config


def by_ppo(beta: float, rate: float = 1e-2) -> Learning:
    """As it comes, but for discount and lambda; two passes in minibatches of 128."""
    settings = ppo.Config(discount=1.0, advantage=GAE(1.0), kl=Kl(beta))
    return Learning(
        Algorithm(ppo, settings), on_policy.Config(learning_rate=rate, epochs=2, minibatch_size=128)
    )


def once(module: Any, settings: Any, rate: float = 1e-2) -> Learning:
    """One step per rollout."""
    config = on_policy.Config(learning_rate=rate, epochs=1, minibatch_size=256)
    return Learning(Algorithm(module, settings), config)


def by_reinforce(beta: float, critic: bool) -> Learning:
    """Plain returns, standardised, or the plain advantage of a critic."""
    weight = GAE(1.0) if critic else MonteCarlo()
    return once(
        reinforce, reinforce.Config(discount=1.0, weight=weight, standardise_weights=not critic, kl=Kl(beta))
    )


def by_trpo(beta: float, critic: bool) -> Learning:
    """Natural gradient steps on returns, or on the advantages of a critic with networks of its own."""
    advantage = GAE(1.0) if critic else MonteCarlo()
    region = TrustRegion(delta=0.02, damping=1e-3, cg_iterations=8)
    config = on_policy.Config(step=region, learning_rate=1e-2, epochs=4, minibatch_size=256)
    return Learning(Algorithm(trpo, trpo.Config(discount=1.0, advantage=advantage, kl=Kl(beta))), config)


def distance(p: Tensor, q: Tensor) -> float:
    """Total variation."""
    return float((p - q).abs().sum()) / 2


def learned(world: World, how: Learning, critic: str, updates: int) -> Tensor:
    """The probability of every answer after so many updates from 256 answers each."""
    learning = world.policy(critic)
    reference = deepcopy(learning)
    language = world.language(256)
    updater = Updater(learning, how.algorithm, how.config, generator(3))
    for update in range(updates):
        left = 1 - update / updates
        if isinstance(
            how.config.step, TrustRegion
        ):  # which has no rate to fall: the noise of a step is its length
            region = replace(how.config.step, delta=how.config.step.delta * left**4)
            updater.config = replace(how.config, step=region)
        updater.update(world.rollout(language, learning, reference), left)
    return world.log_distribution(learning).exp()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_on_answers_of_one_token(seed: int) -> None:
    world = replace(ONE, seed=seed)
    assert distance(learned(world, by_ppo(world.beta), "shared", 60), world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reinforce_on_answers_of_one_token(seed: int) -> None:
    world = replace(ONE, seed=seed)
    found = learned(world, by_reinforce(world.beta, critic=False), "none", 100)
    assert distance(found, world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_on_answers_of_three_tokens(seed: int) -> None:
    world = replace(THREE, seed=seed)
    # twice the rate may lose a rare letter to the noise of standardised advantages and find it again too late
    found = learned(world, by_ppo(world.beta, 5e-3), "shared", 200)
    assert distance(found, world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reinforce_on_answers_of_three_tokens(seed: int) -> None:
    world = replace(THREE, seed=seed)
    found = learned(world, by_reinforce(world.beta, critic=True), "shared", 400)
    assert distance(found, world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("world", "updates"), [(ONE, 100), (THREE, 250)])
def test_rloo(world: World, updates: int, seed: int) -> None:
    world = replace(world, seed=seed)
    found = learned(world, once(rloo, rloo.Config(kl=Kl(world.beta))), "none", updates)
    assert distance(found, world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("world", "updates", "critic"), [(ONE, 40, "none"), (THREE, 60, "separate")])
def test_trpo(world: World, updates: int, critic: str, seed: int) -> None:
    """Of three tokens a return-to-go alone keeps the noise of what was paid before; a critic knows it."""
    world = replace(world, seed=seed)
    found = learned(world, by_trpo(world.beta, critic != "none"), critic, updates)
    assert distance(found, world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_grpo_with_the_price_in_the_reward_and_no_division(seed: int) -> None:
    """A constant factor of RLOO, so the same optimum."""
    world = replace(ONE, seed=seed)
    settings = grpo.Config(divide_by_spread=False, kl=Kl(world.beta))
    assert distance(learned(world, once(grpo, settings), "none", 100), world.optimum()) <= NEAR


def fixed_point(world: World, beta: float, divide: bool) -> Tensor:
    """Where GRPO with k3 in the loss comes to rest on answers of one token and large groups.

    Its expected step in the logit of an answer a is pi(a) (r(a) - mean) / std - beta (pi(a) - pi_ref(a)), as the
    gradient of k3 on pi's own actions is that of KL(pi_ref || pi). It vanishes where
    pi(a) = pi_ref(a) beta / (beta - (r(a) - mean) / std), with mean and std of r under pi itself.
    """
    reference, r = world.log_distribution(world.policy("none")).exp(), world.rewards().double()
    p = reference.clone()
    for _ in range(5000):
        mean = (p * r).sum()
        spread = (p * (r - mean) ** 2).sum().sqrt() if divide else 1.0
        gap = beta - (r - mean) / spread
        assert gap.min() > 0, "the price is too low for a point inside"
        p = 0.9 * p + 0.1 * reference * beta / gap
        p = p / p.sum()
    return p


PRICE = 4.0
"""Of a nat where advantages have the spread 1: high enough that no answer is given up."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("divide", [True, False])
def test_grpo_comes_to_rest_at_its_own_fixed_point(divide: bool, seed: int) -> None:
    world = replace(ONE, seed=seed)
    rest = fixed_point(world, PRICE, divide)
    start = world.log_distribution(world.policy("none")).exp()
    assert distance(rest, start) > 4 * NEAR
    settings = grpo.Config(divide_by_spread=divide, kl=Kl(PRICE, "loss"))
    assert distance(learned(world, once(grpo, settings), "none", 100), rest) <= NEAR


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.slow
def test_the_expected_step_of_grpo_vanishes_at_its_fixed_point_by_enumeration(divide: bool) -> None:
    """Over all groups of three out of three answers: where the formula of the paper rests, so does the code."""
    reference = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    r, beta = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64), 3.0
    config = grpo.Config(divide_by_spread=divide, kl=Kl(beta, "loss"))
    groups = list(product(range(3), repeat=3))

    def by_the_paper(theta: Tensor) -> Tensor:
        p = theta.softmax(0)
        step = -beta * (p - reference)  # the KL's part, exact
        for group in groups:
            paid = r[list(group)]
            a = paid - paid.mean()
            if divide:
                a = a / (paid.std() + 1e-4)
            chance = p[list(group)].prod()
            for i, one in enumerate(group):
                score = -p.clone()
                score[one] += 1
                step = step + chance * a[i] * score / 3
        return step

    def by_the_code(theta: Tensor) -> Tensor:
        step, p = torch.zeros(3, dtype=torch.float64), theta.softmax(0)
        yes = torch.ones(3, 1, dtype=torch.bool)
        for group in groups:
            logits = theta.clone().requires_grad_()
            chosen = torch.tensor(group)
            logp = logits.log_softmax(0)[chosen][:, None]
            e = Episodes(
                logp.detach(), r[chosen][:, None], yes, yes, yes,
                ref_logp=reference.log()[chosen][:, None], group=torch.zeros(3, dtype=torch.long),
            )  # fmt: skip
            loss = grpo.loss(Scores(logp, torch.zeros_like(logp)), e, grpo.advantages(e, config), config)
            step -= p[chosen].prod() * torch.autograd.grad(loss.total, logits)[0]
        return step

    theta = reference.log()
    assert by_the_paper(theta).abs().max() > 0.01
    assert torch.allclose(by_the_paper(theta), by_the_code(theta), atol=1e-9)
    for _ in range(400):
        theta = theta + 0.3 * by_the_paper(theta)
    assert by_the_paper(theta).abs().max() < 1e-9
    assert by_the_code(theta).abs().max() < 1e-9
    assert distance(theta.softmax(0), reference) > 0.05


def preferences(world: World) -> Pairs:
    """Every answer beside four others, each pair preferred as often as Bradley-Terry of the rewards says."""
    answers, r = world.answers(), world.rewards()
    first = [i for i in range(len(answers)) for _ in range(4)]
    second = [(i + hop) % len(answers) for i in range(len(answers)) for hop in (1, 2, 3, 5)]
    said = [answers[i] for pair in zip(first, second, strict=True) for i in pair]
    flat = tokens.answers([PROMPT] * len(said), said)
    record = tokens.Tokens(
        flat.ids.unflatten(0, (-1, 2)),
        flat.lengths.unflatten(0, (-1, 2)),
        flat.decisions.unflatten(0, (-1, 2)),
    )
    return Pairs(flat.mask.unflatten(0, (-1, 2)), (r[first] - r[second]).sigmoid(), record)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("world", [ONE, THREE])
def test_dpo_finds_the_odds_of_its_pairs(world: World, seed: int) -> None:
    """Where all pairs agree with scores r, beta log(pi / pi_ref) is r but for a constant: the optimum of RLHF."""
    world = replace(world, seed=seed)
    learning, reference = world.policy("none"), world.policy("none")
    pairs = supervised.with_reference(preferences(world), reference, 64)
    config = supervised.Config(
        learning_rate=1e-2, weight_decay=0.0, steps=400, minibatch_size=512, schedule="linear"
    )
    algorithm = Algorithm(dpo, dpo.Config(beta=world.beta))
    reports = list(
        supervised.run(supervised.Supervised(learning, pairs, pairs, algorithm, config, generator(4)))
    )
    found = world.log_distribution(learning).exp()
    assert distance(found, world.optimum()) <= NEAR
    p = pairs.preference.double()
    entropy = float(-(p * p.log() + (1 - p) * (1 - p).log()).mean())  # the least that the loss can be
    assert reports[-1]["loss/total"] == pytest.approx(entropy, abs=2e-3)


@pytest.mark.slow
def test_the_temperature_belongs_to_the_policy() -> None:
    # sampler, old and new log-probabilities and the reference all at 2: else another optimum would be found
    world = replace(ONE, temperature=2.0)
    assert distance(world.optimum(), ONE.optimum()) > 5 * NEAR
    assert distance(learned(world, by_ppo(world.beta), "shared", 60), world.optimum()) <= NEAR


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [2.0, -1.0])
def test_a_mistake_in_the_price_is_seen(mistake: float) -> None:
    """Charged twice, the optimum of twice the price is found; with the wrong sign none at all."""
    found = learned(ONE, by_ppo(mistake * ONE.beta), "shared", 60)
    assert distance(found, ONE.optimum()) > 5 * NEAR
    if mistake > 0:
        assert distance(found, replace(ONE, beta=mistake * ONE.beta).optimum()) <= NEAR


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("world", [ONE, THREE])
def test_what_mistakes_would_find_is_far_from_the_optimum(world: World, seed: int) -> None:
    world = replace(world, seed=seed)
    optimum, r = world.optimum(), world.rewards().double()
    reference = world.log_distribution(world.policy("none"))

    def maximum(logp: Tensor) -> Tensor:
        return logp.softmax(dim=0)

    best = torch.zeros_like(optimum)
    best[r.argmax()] = 1.0
    mistakes = {
        "no learning": reference.exp(),
        "no price, or a subsidy: a point mass at best": best,
        "charged twice": maximum(reference + r / (2 * world.beta)),
        "charged by half": maximum(reference + 2 * r / world.beta),
        "entropy in place of the KL": maximum(r / world.beta),
        "the reward with the wrong sign": maximum(reference - r / world.beta),
    }
    if world.length > 1:
        mistakes["the score at every token, learned from what follows"] = maximum(
            reference + world.length * r / world.beta
        )
    for mistake, found in mistakes.items():
        assert distance(found, optimum) > 3 * NEAR, mistake


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("world", [ONE, THREE])
def test_the_optimum_is_neither_the_reference_nor_one_answer(world: World, seed: int) -> None:
    world = replace(world, seed=seed)
    optimum, reference = world.optimum(), world.log_distribution(world.policy("none")).exp()
    assert float(optimum.sum()) == pytest.approx(1) == float(reference.sum())

    def entropy(p: Tensor) -> float:
        return float(-(p * p.log()).sum())

    indifferent = torch.full_like(reference, 1 / len(reference))
    assert 0.4 * entropy(indifferent) < entropy(optimum) < entropy(reference)
    assert distance(reference, indifferent) > 5 * NEAR < distance(optimum, reference)

    def worth(p: Tensor) -> float:
        """E[r] - beta KL(p || reference)."""
        return float((p * (world.rewards().double() - world.beta * (p / reference).log())).sum())

    noise = torch.randn(20, len(optimum), generator=generator(seed), dtype=torch.double)
    assert all(worth((optimum.log() + 0.1 * row).softmax(dim=0)) < worth(optimum) for row in noise)


@pytest.mark.parametrize("world", [ONE, THREE])
def test_an_answer_that_nothing_stops_is_complete_at_the_cap(world: World) -> None:
    learning = world.policy("shared")
    rollout = world.rollout(world.language(64), learning, deepcopy(learning))
    e = rollout.episodes
    assert e.mask.shape == (64, world.length) and e.mask.all()
    end = torch.tensor([False] * (world.length - 1) + [True]).expand(64, -1)
    assert torch.equal(e.last, end) and torch.equal(e.terminated, end)
    assert rollout.metrics["rollout/capped"] == 1.0
    assert rollout.metrics["rollout/answer_tokens"] == world.length
    first = rollout.record.ids[:, 1 : 1 + world.length].tolist()
    rewards = dict(zip(world.answers(), world.rewards().tolist(), strict=True))
    assert e.rewards[:, -1].tolist() == pytest.approx([rewards[tuple(row)] for row in first])
    assert torch.equal(e.rewards[:, :-1], torch.zeros(64, world.length - 1))
