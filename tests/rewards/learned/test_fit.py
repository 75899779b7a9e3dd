"""Fitting rewards: one batched ensemble is its members fitted apart, and it learns what can be learned."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.batches import Comparisons, Judgements, Rankings, Ratings
from plaudit.batches.rows import take
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.control import SegmentOptions, SegmentReward
from plaudit.rewards.learned import fit as fitting
from plaudit.rewards.learned.fit import Config, Plan, assess, fit
from plaudit.rewards.learned.people import People, PeopleConfig
from plaudit.rewards.learned.terms import Likelihood, Term
from plaudit.trainers.steps import AdamOptimiser

SPACES = Spaces(2, 1, "continuous")
RATE = 3e-3
PLAIN = Likelihood(bradley_terry, bradley_terry.Config())


def rate(config: Config) -> float:
    return RATE if config.learning_rate is None else config.learning_rate


def ensemble(members: int = 3, seed: int = 0, **changes: Any) -> RewardEnsemble:
    config = RewardConfig(members=members, hidden=(8,), **changes)
    return RewardEnsemble(SPACES, config, torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Pairs:
    """Comparisons of two segments each, which need not be equally long."""

    first: Tensor
    second: Tensor
    first_mask: Tensor
    second_mask: Tensor
    judgements: Comparisons

    @property
    def term(self) -> Term:
        mask = torch.stack([self.first_mask, self.second_mask], dim=1)
        options = SegmentOptions(torch.stack([self.first, self.second], dim=1), mask, torch.zeros_like(mask))
        return Term("comparison", options, self.judgements, PLAIN, (None,) * len(self.first))


def pairs(count: int = 12, steps: int = 8, seed: int = 1) -> Pairs:
    """The first feature summed over the steps decides; nothing else matters."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(count, steps, 3, generator=generator) for _ in range(2))
    mask = torch.ones(count, steps, dtype=torch.bool)
    better = (first[..., 0].sum(1) > second[..., 0].sum(1)).float()
    return Pairs(first, second, mask, mask.clone(), Comparisons(better))


def nowhere(option: Any) -> Transitions:
    raise AssertionError("segments are given as tensors here")


def segment_returns(model: RewardEnsemble, data: Pairs) -> Tensor:
    return SegmentReward(model, nowhere).returns(data.term.options)


def taught(
    model: RewardEnsemble,
    terms: list[Term],
    config: Config,
    steps: int,
    people: People | None = None,
    seed: int = 3,
) -> dict[str, float]:
    optimiser = AdamOptimiser(model.parameters(), weight_decay=config.weight_decay)
    scorer = SegmentReward(model, nowhere, config.subsample)
    return fit(
        terms, scorer, optimiser, people or People(PeopleConfig()), Plan(config, steps, rate(config)),
        torch.Generator().manual_seed(seed),
    )  # fmt: skip


def fitted(model: RewardEnsemble, data: Pairs, config: Config, steps: int, seed: int = 3) -> dict[str, float]:
    return taught(model, [data.term], config, steps, seed=seed)


def told(model: RewardEnsemble, data: Pairs, likelihood: Likelihood) -> dict[str, float]:
    return assess(segment_returns(model, data).mean(dim=0), data.judgements, likelihood)


def alone(model: RewardEnsemble, member: int) -> RewardEnsemble:
    """A network of one member with its weights."""
    one = ensemble(1)
    mine = dict(one.named_parameters())
    for name, weight in model.named_parameters():
        mine[name].data.copy_(weight[member : member + 1])
    one.scaling.load_state_dict(model.scaling.state_dict())
    return one


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_an_ensemble_is_its_members_fitted_apart(decay: float) -> None:
    model, data = ensemble(), pairs(12)
    model.scale_inputs(torch.cat([data.first, data.second]).flatten(end_dim=1))
    apart = [alone(model, member) for member in range(3)]
    config = Config(weight_decay=decay, minibatch_size=5, subsample=0.5)
    together = fitted(model, data, config, 30)
    metrics = [fitted(one, data, config, 30) for one in apart]
    for member, one in enumerate(apart):
        for (name, weight), (_, own) in zip(model.named_parameters(), one.named_parameters(), strict=True):
            torch.testing.assert_close(weight[member], own[0], rtol=1e-4, atol=1e-5, msg=name)
    for name, value in together.items():
        assert value == pytest.approx(sum(m[name] for m in metrics) / 3, rel=1e-4, abs=1e-6)


def slow_fit(model: RewardEnsemble, data: Pairs, config: Config, steps: int, seed: int) -> None:
    """The same by torch.optim and loops; the order of pairs and of drawn steps as documented."""
    generator = torch.Generator().manual_seed(seed)
    groups = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(groups, rate(config), eps=1e-5, weight_decay=config.weight_decay)
    count, length = data.first_mask.shape
    drawn, queue = max(1, round(config.subsample * length)), []
    for _ in range(steps):
        if len(queue) < min(config.minibatch_size, count):
            queue += torch.randperm(count, generator=generator).tolist()
        chosen, queue = queue[: config.minibatch_size], queue[config.minibatch_size :]
        columns = torch.randperm(length, generator=generator)[:drawn].tolist()
        total: Any = 0.0
        for member in range(model.config.members):
            for i in chosen:
                returns = []
                for side in (data.first, data.second):
                    rewards = model(side[i : i + 1])[member, 0]
                    returns.append(sum(rewards[t] for t in columns) * length / drawn)
                p = torch.sigmoid(returns[0] - returns[1])
                said = data.judgements.preference[i]
                total = total - (said * p.log() + (1 - said) * (1 - p).log()) / len(chosen)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()


def test_against_a_slow_one() -> None:
    data, config = pairs(7, 4), Config(minibatch_size=3, subsample=0.5, weight_decay=0.1)
    quick, slow = ensemble(2), ensemble(2)
    fitted(quick, data, config, 9, seed=5)
    slow_fit(slow, data, config, 9, seed=5)
    for (name, one), (_, other) in zip(quick.named_parameters(), slow.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("drawn", [1.0, 0.25])
@pytest.mark.slow
def test_overfits_a_few_pairs_to_the_last_one(drawn: float) -> None:
    model, data = ensemble(), pairs(10)
    before = told(model, data, PLAIN)
    fitted(model, data, Config(weight_decay=0.0, subsample=drawn, learning_rate=2e-2), 200)
    after = told(model, data, PLAIN)
    assert (
        after["reward/accuracy"] == 1
        and after["reward/nll"] < (0.1 if drawn == 1 else 0.4) < before["reward/nll"]
    )


@pytest.mark.slow
def test_labels_that_say_the_opposite_teach_the_opposite() -> None:
    data = pairs(60, 8)
    held_out = pairs(200, 8, seed=77)
    for sign in (1, -1):
        said = data.judgements.preference if sign == 1 else 1 - data.judgements.preference
        model = ensemble()
        flipped = Pairs(data.first, data.second, data.first_mask, data.second_mask, Comparisons(said))
        fitted(model, flipped, Config(), 150)
        accuracy = told(model, held_out, PLAIN)["reward/accuracy"]
        assert accuracy > 0.85 if sign == 1 else accuracy < 0.15


def test_an_untrained_model_knows_nothing() -> None:
    """Loss about ln 2 and accuracy about a half where returns are small against the scale of the likelihood."""
    data, gentle = pairs(400), Likelihood(bradley_terry, bradley_terry.Config(scale=0.01))
    found = [told(ensemble(seed=seed), data, gentle) for seed in range(5)]
    assert all(one["reward/nll"] == pytest.approx(math.log(2), abs=0.01) for one in found)
    assert sum(one["reward/accuracy"] for one in found) / 5 == pytest.approx(0.5, abs=0.2)


def test_segment_returns_by_a_loop() -> None:
    model, data = ensemble(), pairs(5, 6)
    data.first_mask[0, 4:] = data.second_mask[3, 1:] = False
    returns = segment_returns(model, data)
    assert returns.shape == (3, 5, 2)
    for i, (features, mask) in enumerate(((data.first, data.first_mask), (data.second, data.second_mask))):
        rewards = model(features).detach()
        for k in range(3):
            for p in range(5):
                total = sum(float(rewards[k, p, t]) for t in range(6) if mask[p, t])
                assert returns[k, p, i].item() == pytest.approx(total, abs=1e-5)


def test_padding_is_invisible() -> None:
    """What lies behind the end of a shorter segment, whatever it is, changes neither returns nor what is learned."""
    found = []
    for fill in (0.0, 1e6, math.nan):
        data = pairs(8, 6)
        data.first_mask[::2, 3:] = False
        data.first[::2, 3:] = fill
        model = ensemble()
        model.scale_inputs(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
        metrics = fitted(model, data, Config(minibatch_size=4, subsample=0.5), 25)
        found.append((metrics, segment_returns(model, data).detach(), dict(model.named_parameters())))
    for metrics, returns, weights in found[1:]:
        assert metrics == found[0][0] and torch.equal(returns, found[0][1])
        assert all(torch.equal(weight, found[0][2][name]) for name, weight in weights.items())


def test_every_pair_comes_as_often_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def noted(data: Any, rows: Any) -> Any:
        if isinstance(rows, Tensor) and isinstance(data, Comparisons):
            seen.append(rows)
        return take(data, rows)

    monkeypatch.setattr(fitting, "take", noted)
    for count, minibatch, steps in ((10, 4, 50), (7, 7, 5), (3, 256, 9), (11, 1, 33)):
        seen.clear()
        fitted(ensemble(1), pairs(count), Config(minibatch_size=minibatch), steps)
        sizes = [len(rows) for rows in seen]
        assert sizes == [min(minibatch, count)] * steps
        times = torch.bincount(torch.cat(seen), minlength=count)
        assert times.max() - times.min() <= 1 and times.sum() == steps * min(minibatch, count)


def test_the_input_scaling_stays_as_it_is() -> None:
    model, data = ensemble(), pairs()
    model.scale_inputs(torch.cat([data.first, data.second]).flatten(end_dim=1))
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    fitted(model, data, Config(), 10)
    told(model, data, PLAIN)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_buffers())


def test_a_later_fit_goes_on_from_the_one_before() -> None:
    data, config = pairs(), Config(minibatch_size=12)  # one minibatch an epoch: the order starts anew anyway
    once, twice = ensemble(), ensemble()
    fitted(once, data, config, 20)
    optimiser, generator = (
        AdamOptimiser(twice.parameters(), weight_decay=config.weight_decay),
        torch.Generator().manual_seed(3),
    )
    for _ in range(2):
        scorer = SegmentReward(twice, nowhere, config.subsample)
        fit([data.term], scorer, optimiser, People(PeopleConfig()), Plan(config, 10, RATE), generator)
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))


def test_equal_answers_pull_together() -> None:
    data = pairs(20)
    said = Comparisons(torch.full((20,), 0.5))
    model = ensemble()
    before = segment_returns(model, data).diff(dim=-1).abs().mean()
    equal = Pairs(data.first, data.second, data.first_mask, data.second_mask, said)
    fitted(model, equal, Config(weight_decay=0.0, subsample=1.0), 150)
    assert segment_returns(model, data).diff(dim=-1).abs().mean() < before / 4


# ---------------------------------------------------------------------------------------------- several kinds at once


def of_kind(kind: str, count: int = 7, seed: int = 5, people: tuple[str | None, ...] | None = None) -> Term:
    """Judgements of one kind about random segments of four steps."""
    generator = torch.Generator().manual_seed(seed)
    columns = {"comparison": 2, "ranking": 3, "rating": 1}[kind]
    features = torch.randn(count, columns, 4, 3, generator=generator)
    mask = torch.rand(count, columns, 4, generator=generator) < 0.9
    worth = torch.where(mask, features[..., 0], 0.0).sum(dim=2)
    judgements: Judgements
    if kind == "comparison":
        judgements, module = Comparisons((worth[:, 0] > worth[:, 1]).float()), bradley_terry
    elif kind == "ranking":
        judgements, module = Rankings((-worth).argsort(dim=1).argsort(dim=1).float()), plackett_luce
    else:
        judgements, module = Ratings(worth[:, 0].sigmoid()), rating
    who = people or (None,) * count
    if people is not None:
        judgements = replace(judgements, person=torch.tensor([int(str(name)[-1]) for name in people]))
    return Term(
        kind,
        SegmentOptions(features, mask, torch.zeros_like(mask)),
        judgements,
        Likelihood(module, module.Config()),
        who,
    )  # type: ignore[arg-type]


KINDS = ("comparison", "ranking", "rating")


def weights(model: RewardEnsemble) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def slow_mixed(model: RewardEnsemble, terms: list[Term], config: Config, steps: int, seed: int = 3) -> None:
    """By torch.optim: each term's mean loss, weighted by its share of all judgements and by its own weight."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        model.parameters(), rate(config), eps=1e-5, weight_decay=config.weight_decay
    )
    total = sum(term.count for term in terms)
    sizes = [max(1, round(config.minibatch_size * term.count / total)) for term in terms]
    queues: list[list[int]] = [[] for _ in terms]
    for _ in range(steps):
        parts = []
        for i, term in enumerate(terms):
            if len(queues[i]) < min(sizes[i], term.count):
                queues[i] += torch.randperm(term.count, generator=generator).tolist()
            rows, queues[i] = queues[i][: sizes[i]], queues[i][sizes[i] :]
            columns = torch.randperm(4, generator=generator)[: max(1, round(4 * config.subsample))]
            parts.append((term, torch.tensor(rows), columns))
        loss = torch.zeros(())
        for term, rows, columns in parts:
            features, mask = (
                term.options.features[rows][:, :, columns],
                term.options.mask[rows][:, :, columns],
            )
            for member in range(model.config.members):
                per_step = model(features.flatten(end_dim=1))[member].unflatten(0, mask.shape[:2])
                returns = torch.where(mask, per_step, 0.0).sum(dim=2) * 4 / len(columns)
                said = term.likelihood.module.loss(
                    returns, take(term.judgements, rows), term.likelihood.settings
                )
                loss = loss + term.weight * term.count / total * said.total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_several_kinds_in_one_minibatch_against_a_slow_one() -> None:
    terms = [of_kind("comparison", 8), replace(of_kind("ranking", 5), weight=0.5), of_kind("rating", 11)]
    config = Config(minibatch_size=12, subsample=0.5, weight_decay=0.1, learning_rate=1e-2)
    quick, slow = ensemble(2), ensemble(2)
    metrics = taught(quick, terms, config, 9)
    slow_mixed(slow, terms, config, 9)
    torch.testing.assert_close(weights(quick), weights(slow), rtol=1e-3, atol=1e-5)
    assert {"reward/nll", "reward/accuracy", "reward/margin", "reward/error"} <= set(metrics)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_weight_0_beside_it_changes_what_is_learned_only_by_its_share(kind: str) -> None:
    """One term equals the fit of that kind alone bit for bit, whatever machinery is around it."""
    term, config = of_kind(kind), Config(minibatch_size=4, subsample=1.0)
    alone, again = ensemble(), ensemble()
    one, two = taught(alone, [term], config, 12), taught(again, [term], config, 12)
    assert one == two and torch.equal(weights(alone), weights(again))
    slow = ensemble()
    slow_mixed(slow, [term], config, 12)
    torch.testing.assert_close(weights(alone), weights(slow), rtol=1e-3, atol=1e-5)
    for other in KINDS:
        if other != kind:
            left = ensemble()
            both = [term, replace(of_kind(other), weight=0.0)]
            taught(
                left, both, Config(minibatch_size=14, subsample=1.0, weight_decay=0.0, learning_rate=0.0), 3
            )
            assert torch.equal(weights(left), weights(ensemble()))  # a rate of 0 moves nothing


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_microbatches_change_no_gradient(size: int) -> None:
    terms = [of_kind(kind, people=tuple(f"p{i % 2}" for i in range(7))) for kind in KINDS]
    found, people = [], []
    for microbatch in (None, size):
        model, known = ensemble(2), People(PeopleConfig())
        known.meet(["p0", "p1"])
        config = Config(minibatch_size=15, subsample=0.5, microbatch_size=microbatch, learning_rate=1e-2)
        taught(model, terms, config, 6, known)
        found.append(weights(model))
        people.append(known.values.detach())
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(*people, rtol=1e-4, atol=1e-5)
    assert people[0].diff(dim=0).abs().max() > 0  # something was estimated


@pytest.mark.slow
def test_all_kinds_teach_the_same_reward() -> None:
    held_out = pairs(200, 8, seed=77)
    for kinds in ([kind] for kind in KINDS):
        model = ensemble()
        taught(model, [of_kind(kind, 80) for kind in kinds], Config(learning_rate=1e-2), 200)
        assert told(model, held_out, PLAIN)["reward/accuracy"] > 0.85
    model = ensemble()
    taught(model, [of_kind(kind, 30) for kind in KINDS], Config(learning_rate=1e-2), 200)
    assert told(model, held_out, PLAIN)["reward/accuracy"] > 0.85


def test_every_kind_comes_in_proportion_and_every_judgement_as_often_as_any_of_its_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[type, list[Tensor]] = {}

    def noted(data: Any, rows: Any) -> Any:
        if isinstance(rows, Tensor) and not isinstance(data, SegmentOptions):
            seen.setdefault(type(data), []).append(rows)
        return take(data, rows)

    monkeypatch.setattr(fitting, "take", noted)
    taught(ensemble(1), [of_kind("comparison", 12), of_kind("rating", 6)], Config(minibatch_size=6), 30)
    assert [len(rows) for rows in seen[Comparisons]] == [4] * 30
    assert [len(rows) for rows in seen[Ratings]] == [2] * 30
    for rows, count in ((seen[Comparisons], 12), (seen[Ratings], 6)):
        assert torch.bincount(torch.cat(rows), minlength=count).tolist() == [10] * count
