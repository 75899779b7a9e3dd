import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.environments.language.prompts import Answers
from plaudit.rewards.functions import adapt
from tests.environments.language.three import message, numbers, some


@pytest.mark.parametrize(
    "returned",
    [
        [1, 0, 2],
        (1.0, 0.0, 2.0),
        [True, False, 2],
        [Fraction(1), np.float16(0), np.int64(2)],
        [np.bool_(True), np.array(0), torch.tensor(2, dtype=torch.bfloat16)],
        np.array([1, 0, 2], dtype=np.uint8),
        np.array([[1.0], [0.0], [2.0]]),
        np.array([1, 0.0, Fraction(2)], dtype=object),
        torch.tensor([1, 0, 2]),
        torch.tensor([[1.0], [0.0], [2.0]], dtype=torch.bfloat16),
        torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True),
    ],
)
def test_numbers_of_many_kinds(returned) -> None:
    graded = adapt(lambda texts: returned, "mine")(some())
    assert numbers(graded) == [1.0, 0.0, 2.0]
    assert not graded.scores.requires_grad and graded.dense is None and graded.metrics == {}


def test_no_gradients_are_recorded() -> None:
    weight = torch.ones(3, requires_grad=True)
    states = []

    def reward(texts):
        states.append((weight * 2).requires_grad)
        return weight * 2

    for limit in (10.0, None):
        with torch.enable_grad():
            adapt(reward, "mine", limit)(some())
    assert states == [False, False]


def test_none_is_no_opinion() -> None:
    graded = adapt(lambda prompts, completions: [None, 2.0, None], "mine")(some())
    assert numbers(graded) == [0.0, 2.0, 0.0]
    assert graded.metrics == {"objective/rewards/mine/no_opinion": pytest.approx(2 / 3)}
    graded = adapt(lambda prompts, completions: [1.0, 2.0, 3.0], "mine")(some())
    assert graded.metrics == {"objective/rewards/mine/no_opinion": 0.0}
    graded = adapt(lambda prompts, completions: [None, [1, 2, 3, 4], [5, 6]], "mine")(some())
    assert graded.dense is not None
    assert graded.dense.tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 0, 0]]  # 0 where there is no token
    assert "answer 1 (' because it rains') got None" in message(lambda texts: [1.0, None, 1.0])
    assert "got None" in message(lambda solution_str: None)


lengths = st.lists(st.integers(0, 4), min_size=1, max_size=5)
value = st.floats(-1e6, 1e6, width=32)


@given(
    st.data(),
    lengths,
    st.sampled_from([list, tuple, np.array, torch.tensor, lambda row: [np.float32(x) for x in row]]),
)
def test_dense_numbers_are_kept_per_token_and_summed(data, lengths, form) -> None:
    rows = [data.draw(st.lists(value, min_size=n, max_size=n)) for n in lengths]
    answers = Answers(("p",) * len(rows), ("c",) * len(rows), tuple(tuple(range(n)) for n in lengths))
    graded = adapt(lambda answers: [form(row) for row in rows], "mine")(answers)
    assert graded.dense is not None and graded.dense.dtype == torch.float32
    longest = max(lengths)
    assert graded.dense.tolist() == [[*row, *[0.0] * (longest - len(row))] for row in rows]
    for score, row in zip(numbers(graded), rows, strict=True):
        total = 0.0
        for number in row:
            total += number
        assert score == pytest.approx(total, rel=1e-6, abs=1e-6)


def test_dense_from_every_shape_of_function() -> None:
    rows = [[1, 2], [3, 4, 5, 6], [7, 8]]
    for function in (
        lambda prompts, completions: rows,
        lambda samples, prompts, outputs: rows,
        lambda texts: rows,
        lambda answers: rows,
    ):
        assert numbers(adapt(function, "mine")(some())) == [3, 18, 15]
    same = Answers(("p", "q"), ("c", "d"), ((1, 2), (3, 4)))
    graded = adapt(lambda texts: torch.tensor([[1, 2], [3, 4]]), "mine")(same)
    assert numbers(graded) == [3, 7] and graded.dense is not None and graded.dense[1].tolist() == [3, 4]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e39, 10**400])
def test_what_is_not_finite_is_shown_with_its_answer(bad) -> None:
    answers = Answers(("p",) * 2, ("fine", "x" * 80), ((1,), (2, 3)))
    where = f"answer 1 ({'x' * 60!r})"
    assert where in message(lambda texts: [0.0, bad], answers)
    assert "not a" not in message(lambda texts: [0.0, bad], answers)
    assert f"{where}, token 1," in message(lambda texts: [[0.0], [1.0, bad]], answers)
    assert where in message(lambda solution_str: 0.0 if solution_str == "fine" else {"score": bad}, answers)


def test_a_sum_that_is_not_finite_is_noticed() -> None:
    assert "answer 1" in message(lambda texts: [[0.0, 0.0], [3e38, 3e38, 0, 0], [0.0, 0.0]])


def test_a_wrong_number_of_scores() -> None:
    assert "gave 2 scores, wanted 3" in message(lambda texts: [1.0, 2.0])
    assert "gave 4 scores, wanted 3" in message(lambda texts: np.zeros(4))
    assert "gave 0 scores, wanted 3" in message(lambda texts: [])


def test_a_wrong_number_of_tokens() -> None:
    text = message(lambda texts: [[1, 2], [1, 2, 3], [1, 2]])
    assert "answer 1 (' because it rains') got 3 numbers, wanted 4" in text and "stop token" in text


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "returned NoneType"),
        (1.0, "returned float"),
        ("123", "returned str"),
        ({0: 1.0}, "returned dict"),
        (torch.zeros(()), "returned Tensor of shape []"),
        (torch.zeros(3, 1, 1), "returned Tensor of shape [3, 1, 1]"),
        (torch.zeros(3, dtype=torch.complex64), "returned Tensor"),
        (torch.zeros(3).to_sparse(), "returned Tensor"),
        (np.array(["a", "b", "c"]), "returned ndarray"),
        (["1", 2, 3], "answer 0 (' me') got '1' (str)"),
        ([1, 2j, 3], "got 2j (complex)"),
        ([1, {"score": 1}, 3], "got {'score': 1} (dict)"),
        ([1, np.array("x"), 3], "got array('x'"),
        ([[1, 2], [1, 2, "x", 4], [1, 2]], "answer 1 (' because it rains') got 'x' (str)"),
        ([[1, 2], [[1], [2], [3], [4]], [1, 2]], "got [1] (list)"),
        ([[1, 2], [1, None, 3, 4], [1, 2]], "got None"),
        (["y" * 500, 1, 1], "got '" + "y" * 59 + "... (str)"),
    ],
)
def test_what_is_not_a_number(returned, told: str) -> None:
    text = message(lambda texts: returned)
    assert told in text and ("not a number" in text or "no list of numbers" in text)


def test_one_number_here_and_a_list_there() -> None:
    text = message(lambda texts: [[1, 2], [1, 2, 3, 4], 1.0])
    assert "answer 2 has one number and answer 0 a list" in text
