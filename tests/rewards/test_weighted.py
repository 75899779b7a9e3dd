"""Rewards mixed by weight, against loops and by hand; and the scale of a mix, by its own discounted returns."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.errors import PlauditError
from plaudit.rewards.functions import adapt
from plaudit.rewards.weighted import Fixed, Part, RewardSource, Scaled, Weighted


@dataclass(frozen=True)
class Behaviour:
    """Behaviour of so many decisions in each row."""

    answers: Answers
    mask: Tensor
    ended: Tensor | None = None


def constant(scores: list[float], **metrics: float) -> Fixed:
    """A source that says the same of whatever it is given."""
    return Fixed(lambda behaviour: Rewards(torch.tensor(scores), metrics=metrics))


def dense(rows: list[list[float]]) -> Fixed:
    """A dense source that says the same of whatever it is given."""
    reward = adapt(lambda answers: rows, "dense")
    return Fixed(lambda behaviour: reward(behaviour.answers))


def of(function: Any, name: str) -> Fixed:
    reward = adapt(function, name)
    return Fixed(lambda behaviour: reward(behaviour.answers))


def weighted(parts: dict[str, tuple[float, Any]]) -> Weighted:
    return Weighted({name: Part(*part) for name, part in parts.items()})


def answers(lengths: list[int]) -> Behaviour:
    """Answers of the given numbers of tokens."""
    said = Answers(("p",) * len(lengths), ("c",) * len(lengths), tuple(tuple(range(n)) for n in lengths))
    longest = max(lengths, default=0)
    return Behaviour(said, torch.arange(longest)[None] < torch.tensor(lengths, dtype=torch.long)[:, None])


def test_by_hand() -> None:
    mixture = weighted(
        {
            "a": (2.0, constant([1.0, 3.0], own=7.0)),
            "b": (-1.0, constant([0.5, 0.0])),
            "c": (0.0, constant([9.0, 5.0])),
        }
    )
    graded = mixture.rewards(answers([1, 4]))
    assert (
        graded.scores.tolist() == [1.5, 6.0] and graded.scores.dtype == torch.float32 and graded.dense is None
    )
    assert graded.metrics == {
        "own": 7.0,
        "objective/rewards/a": 2.0,
        "objective/rewards/a_std": 1.0,
        "objective/rewards/b": 0.25,
        "objective/rewards/b_std": 0.25,
        "objective/rewards/c": 7.0,  # logged, though it teaches nothing
        "objective/rewards/c_std": 2.0,
    }


def test_dense_and_plain_by_hand() -> None:
    mixture = weighted(
        {"plain": (2.0, constant([1.0, 10.0])), "dense": (0.5, dense([[2.0, 4.0, 6.0], [8.0]]))}
    )
    graded = mixture.rewards(answers([3, 1]))
    assert graded.dense is not None and graded.dense.tolist() == [[1.0, 2.0, 5.0], [24.0, 0, 0]]
    assert graded.scores.tolist() == [8.0, 24.0]
    assert graded.metrics["objective/rewards/dense"] == 10.0  # (12 + 8) / 2


weights = st.floats(-10, 10).filter(lambda weight: weight == 0 or abs(weight) > 1e-3)
score = st.floats(-100, 100, width=32)


@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 4))
def test_against_loops(data, lengths: list[int], count: int) -> None:
    parts, plain, rows = {}, {}, {}
    for k in range(count):
        weight = data.draw(weights) if k else 1.5
        if data.draw(st.booleans()):
            rows[k] = [data.draw(st.lists(score, min_size=n, max_size=n)) for n in lengths]
            parts[f"r{k}"] = (weight, dense(rows[k]))
            plain[k] = [math.fsum(row) for row in rows[k]]
        else:
            plain[k] = [data.draw(score) for _ in lengths]
            parts[f"r{k}"] = (weight, constant(plain[k]))
    graded = weighted(parts).rewards(answers(lengths))

    for i, length in enumerate(lengths):
        per_token = [0.0] * length
        for k in range(count):
            for t in range(length):
                if k in rows:
                    per_token[t] += parts[f"r{k}"][0] * rows[k][i][t]
                elif t == length - 1:
                    per_token[t] += parts[f"r{k}"][0] * plain[k][i]
        assert graded.scores[i].item() == pytest.approx(sum(per_token), abs=1e-2)
        if graded.dense is not None:
            assert graded.dense[i, :length].tolist() == pytest.approx(per_token, abs=1e-2)
            assert not graded.dense[i, length:].any()
            assert graded.scores[i].item() == pytest.approx(graded.dense[i].double().sum().item(), rel=1e-6)
    assert (graded.dense is not None) == any(parts[f"r{k}"][0] != 0 for k in rows)
    for k in range(count):
        mean = sum(plain[k]) / len(lengths)
        spread = math.sqrt(sum((x - mean) ** 2 for x in plain[k]) / len(lengths))
        assert graded.metrics[f"objective/rewards/r{k}"] == pytest.approx(mean, abs=1e-3)
        assert graded.metrics[f"objective/rewards/r{k}_std"] == pytest.approx(spread, abs=1e-3)


def test_a_weight_of_nothing_teaches_nothing() -> None:
    broken = weighted(
        {"a": (1.0, constant([1.0])), "b": (0.0, constant([math.nan])), "c": (0.0, dense([[3.0, 4.0]]))}
    )
    graded = broken.rewards(answers([2]))
    assert graded.scores.tolist() == [1.0] and graded.dense is None
    assert graded.metrics["objective/rewards/c"] == 7.0


def test_mixtures_nest_and_carry_the_metrics_of_their_parts() -> None:
    hesitant = of(lambda prompts, completions: [None, 1.0], "hesitant")
    inner = weighted({"hesitant": (4.0, hesitant)})
    graded = weighted({"inner": (0.5, inner)}).rewards(answers([1, 1]))
    assert graded.scores.tolist() == [0.0, 2.0]
    assert graded.metrics == {
        "objective/rewards/hesitant": 0.5,
        "objective/rewards/hesitant_std": 0.5,
        "objective/rewards/hesitant/no_opinion": 0.5,
        "objective/rewards/inner": 2.0,
        "objective/rewards/inner_std": 2.0,
    }


def test_no_answers() -> None:
    graded = weighted({"a": (1.0, of(lambda texts: [], "a"))}).rewards(answers([]))
    assert graded.scores.shape == (0,) and graded.metrics == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "there are none"),
        ({"a": 0.0, "b": 0.0}, "all weights are 0"),
        ({"a": math.nan}, "the weight of 'a' is nan"),
        ({"a": 1.0, "b": -math.inf}, "the weight of 'b' is -inf"),
        ({"a": 1.0, "a_std": 1.0}, "rename one"),
    ],
)
def test_weights_that_make_no_sense(given: dict[str, float], told: str) -> None:
    with pytest.raises(PlauditError, match=told):
        weighted({name: (weight, constant([0.0])) for name, weight in given.items()})


def test_parts_of_wrong_length_are_not_repeated_in_silence() -> None:
    with pytest.raises(PlauditError, match=r"reward 'a': scores of shape \[1\], wanted \[2\]"):
        weighted({"a": (1.0, constant([1.0]))}).rewards(answers([1, 1]))
    short = Rewards(torch.zeros(2), torch.zeros(2, 1))
    with pytest.raises(PlauditError, match=r"reward 'a': dense rewards of shape \[2, 1\], wanted \[2, 2\]"):
        weighted({"a": (1.0, Fixed(lambda behaviour: short))}).rewards(answers([1, 2]))


def test_an_answer_without_tokens_cannot_carry_a_score() -> None:
    mixture = weighted({"a": (1.0, constant([1.0, 1.0])), "b": (1.0, dense([[1.0], []]))})
    with pytest.raises(PlauditError, match="row 1 has no decision"):
        mixture.rewards(answers([1, 0]))


# ------------------------------------------------------------------------------------------------------- the scale


@dataclass(frozen=True)
class Paid:
    """Behaviour with what is paid for it."""

    rewards: Tensor
    ended: Tensor
    mask: Tensor


class Seen:
    """A source that pays what the behaviour says."""

    refitted = False

    def observe(self, behaviour: Paid, progress: float) -> dict[str, Any]:
        return {"seen/progress": progress, "feedback/refitted": float(self.refitted)}

    def rewards(self, behaviour: Paid) -> Rewards:
        return Rewards(behaviour.rewards.sum(dim=1), behaviour.rewards)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def scaled(source: Scaled, rewards: Tensor, ended: Tensor, mask: Tensor) -> Tensor:
    """What it pays for this behaviour, seen first."""
    behaviour = Paid(rewards, ended, mask)
    source.observe(behaviour, 0.0)
    found = source.rewards(behaviour).dense
    assert found is not None
    return found


def slow_scale(parts: list[tuple[Tensor, Tensor, Tensor]], discount: float, limit: float) -> list[Tensor]:
    """Row by row and step by step, all returns kept in a list."""
    running, seen, scaled = None, [], []
    for rewards, ended, mask in parts:
        running = [0.0] * len(rewards) if running is None else running
        for row in range(len(rewards)):
            for t in range(rewards.shape[1]):
                if mask[row, t]:
                    running[row] = running[row] * discount + float(rewards[row, t])
                    seen.append(running[row])
                if ended[row, t]:
                    running[row] = 0.0
        mean = sum(seen) / len(seen)
        variance = sum((x - mean) ** 2 for x in seen) / len(seen)
        scaled.append((rewards.double() / (variance + 1e-8) ** 0.5).clamp(-limit, limit))
    return scaled


def test_a_scale_against_a_slow_one() -> None:
    generator = torch.Generator().manual_seed(4)
    parts = []
    for _ in range(4):
        rewards = torch.randn(3, 20, generator=generator) * 5 + 1
        mask = torch.rand(3, 20, generator=generator) < 0.8
        ended = (torch.rand(3, 20, generator=generator) < 0.1) & mask
        parts.append((torch.where(mask, rewards, 0.0), ended, mask))
    source, expected = Scaled(Seen(), 3, 0.9, 1.5), slow_scale(parts, 0.9, 1.5)
    for i, (part, wanted) in enumerate(zip(parts, expected, strict=True)):
        torch.testing.assert_close(scaled(source, *part).double(), wanted, rtol=1e-5, atol=1e-6)
        if i == 1:  # a saved scale goes on in the same way
            state = source.state_dict()
            source = Scaled(Seen(), 3, 0.9, 1.5)
            source.load_state_dict(state)
    assert max(float(part.abs().max()) for part in expected) == 1.5
    source.source.refitted = True  # what it pays has changed: what was seen says nothing about it
    first = slow_scale(parts[:1], 0.9, 1.5)[0]
    torch.testing.assert_close(scaled(source, *parts[0]).double(), first, rtol=1e-5, atol=1e-6)


def test_a_scale_by_hand() -> None:
    # returns 1, 1.5, then anew 2: variance of (1, 1.5, 2) = 1/6
    rewards = torch.tensor([[1.0, 1.0, 99.0, 2.0]])
    ended, mask = torch.tensor([[False, True, False, False]]), torch.tensor([[True, True, False, True]])
    found = scaled(Scaled(Seen(), 1, 0.5), torch.where(mask, rewards, 0.0), ended, mask)
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, 0.0, 2.0]]) * 6**0.5)


def test_paying_changes_no_statistics_and_scores_stay_as_they_are() -> None:
    source = Scaled(Seen(), 1, 0.5)
    behaviour = Paid(
        torch.tensor([[3.0, -1.0]]), torch.zeros(1, 2, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)
    )
    source.observe(behaviour, 0.0)
    before = source.state_dict()
    once, again = source.rewards(behaviour), source.rewards(behaviour)
    assert torch.equal(once.dense, again.dense) and once.scores.tolist() == [2.0]
    assert torch.equal(source.state_dict()["running"], before["running"])
    assert source.moments.count == 2
    assert isinstance(source, RewardSource) and isinstance(weighted({"a": (1.0, source)}), RewardSource)


def test_the_parts_of_a_mix_are_seen_saved_and_go_on() -> None:
    mix = weighted({"a": (1.0, Scaled(Seen(), 1, 0.5)), "b": (0.0, Seen())})
    yes = torch.ones(1, 2, dtype=torch.bool)
    behaviour = Paid(torch.tensor([[3.0, -1.0]]), ~yes, yes)
    assert mix.observe(behaviour, 0.25) == {"seen/progress": 0.25, "feedback/refitted": 0.0}
    other = weighted({"a": (1.0, Scaled(Seen(), 1, 0.5)), "b": (0.0, Seen())})
    other.load_state_dict(mix.state_dict())
    assert torch.equal(other.rewards(behaviour).dense, mix.rewards(behaviour).dense)
    assert mix.rewards(behaviour).metrics["rollout/reward_mean"] == pytest.approx(
        float(mix.rewards(behaviour).dense.mean())
    )


# ------------------------------------------------------------------------------------------- what nobody has taught


class Silent(Seen):
    """A source that nobody has taught yet."""

    def rewards(self, behaviour: Paid) -> Rewards:
        return replace(super().rewards(behaviour), taught=False)


def test_what_nobody_has_taught_is_left_out_of_a_mix() -> None:
    yes = torch.ones(1, 2, dtype=torch.bool)
    behaviour = Paid(torch.tensor([[3.0, -1.0]]), ~yes, yes)
    mixed = weighted({"a": (2.0, Seen()), "b": (5.0, Silent())}).rewards(behaviour)
    assert mixed.taught and mixed.dense is not None and mixed.dense.tolist() == [[6.0, -2.0]]
    assert mixed.metrics["objective/rewards/b"] == 2.0  # logged all the same
    alone = weighted({"a": (0.0, Seen()), "b": (5.0, Silent())}).rewards(behaviour)
    assert not alone.taught and alone.scores.tolist() == [0.0]


def test_a_scale_knows_nothing_of_what_nobody_has_taught() -> None:
    yes = torch.ones(1, 2, dtype=torch.bool)
    behaviour = Paid(torch.tensor([[3.0, -1.0]]), ~yes, yes)
    source = Scaled(Silent(), 1, 0.5)
    source.observe(behaviour, 0.0)
    assert not source.rewards(behaviour).taught and source.moments.count == 0
