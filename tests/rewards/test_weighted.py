import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.environments.language.answers import Answers, Rewards
from plaudit.environments.language.mixture import Mixture
from plaudit.errors import PlauditError
from plaudit.rewards.functions import adapt


def constant(scores: list[float], **metrics: float):
    """A reward that says the same of whatever it is given."""
    return lambda answers: Rewards(torch.tensor(scores), metrics=metrics)


def dense(rows: list[list[float]]):
    """A dense reward that says the same of whatever it is given."""
    return adapt(lambda answers: rows, "dense")


def answers(lengths: list[int]) -> Answers:
    """Answers of the given numbers of tokens."""
    return Answers(("p",) * len(lengths), ("c",) * len(lengths), tuple(tuple(range(n)) for n in lengths))


def test_by_hand() -> None:
    mixture = Mixture(
        {
            "a": (2.0, constant([1.0, 3.0], own=7.0)),
            "b": (-1.0, constant([0.5, 0.0])),
            "c": (0.0, constant([9.0, 5.0])),
        }
    )
    graded = mixture(answers([1, 4]))
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
    mixture = Mixture(
        {"plain": (2.0, constant([1.0, 10.0])), "dense": (0.5, dense([[2.0, 4.0, 6.0], [8.0]]))}
    )
    graded = mixture(answers([3, 1]))
    assert graded.dense is not None and [row.tolist() for row in graded.dense] == [[1.0, 2.0, 5.0], [24.0]]
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
    graded = Mixture(parts)(answers(lengths))

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
            assert graded.dense[i].tolist() == pytest.approx(per_token, abs=1e-2)
            assert graded.scores[i].item() == pytest.approx(graded.dense[i].double().sum().item(), rel=1e-6)
    assert (graded.dense is not None) == any(parts[f"r{k}"][0] != 0 for k in rows)
    for k in range(count):
        mean = sum(plain[k]) / len(lengths)
        spread = math.sqrt(sum((x - mean) ** 2 for x in plain[k]) / len(lengths))
        assert graded.metrics[f"objective/rewards/r{k}"] == pytest.approx(mean, abs=1e-3)
        assert graded.metrics[f"objective/rewards/r{k}_std"] == pytest.approx(spread, abs=1e-3)


def test_a_weight_of_nothing_teaches_nothing() -> None:
    broken = Mixture(
        {"a": (1.0, constant([1.0])), "b": (0.0, constant([math.nan])), "c": (0.0, dense([[3.0, 4.0]]))}
    )
    graded = broken(answers([2]))
    assert graded.scores.tolist() == [1.0] and graded.dense is None
    assert graded.metrics["objective/rewards/c"] == 7.0


def test_mixtures_nest_and_carry_the_metrics_of_their_parts() -> None:
    hesitant = adapt(lambda prompts, completions: [None, 1.0], "hesitant")
    inner = Mixture({"hesitant": (4.0, hesitant)})
    graded = Mixture({"inner": (0.5, inner)})(answers([1, 1]))
    assert graded.scores.tolist() == [0.0, 2.0]
    assert graded.metrics == {
        "objective/rewards/hesitant": 0.5,
        "objective/rewards/hesitant_std": 0.5,
        "objective/rewards/hesitant/no_opinion": 0.5,
        "objective/rewards/inner": 2.0,
        "objective/rewards/inner_std": 2.0,
    }


def test_no_answers() -> None:
    graded = Mixture({"a": (1.0, adapt(lambda texts: [], "a"))})(answers([]))
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
        Mixture({name: (weight, constant([0.0])) for name, weight in given.items()})


def test_parts_of_wrong_length_are_not_repeated_in_silence() -> None:
    with pytest.raises(PlauditError, match=r"reward 'a': scores of shape \[1\], wanted \[2\]"):
        Mixture({"a": (1.0, constant([1.0]))})(answers([1, 1]))
    short = Rewards(torch.zeros(2), (torch.zeros(1), torch.zeros(1)))
    with pytest.raises(PlauditError, match="reward 'a': its dense rows"):
        Mixture({"a": (1.0, lambda answers: short)})(answers([1, 2]))


def test_an_answer_without_tokens_cannot_carry_a_score() -> None:
    mixture = Mixture({"a": (1.0, constant([1.0, 1.0])), "b": (1.0, dense([[1.0], []]))})
    with pytest.raises(PlauditError, match="answer 1 has no token"):
        mixture(answers([1, 0]))
