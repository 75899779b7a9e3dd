"""Answers as judgements, and judgements as terms: every kind by hand."""

import math

import pytest
import torch

from plaudit.batches import Comparisons, Rankings, Ratings
from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Ranking, Rating
from plaudit.likelihoods import bradley_terry, plackett_luce, rating
from plaudit.rewards.learned.terms import (
    Judgement,
    LikelihoodConfig,
    by_kind,
    informative,
    likelihood_of,
    of_feedback,
    of_responses,
    tensors,
)
from plaudit.storage.store import Response


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Comparison(("a", "b"), "first"), [("comparison", ("a", "b"), (1.0,))]),
        (Comparison(("a", "b"), "second"), [("comparison", ("a", "b"), (0.0,))]),
        (Comparison(("a", "b"), "equal"), [("comparison", ("a", "b"), (0.5,))]),
        (Comparison(("a", "b"), "skip"), []),
        # both are bad: two thumbs down, and nothing about which of them is better
        (Comparison(("a", "b"), "both_bad"), [("rating", ("a",), (0.0,)), ("rating", ("b",), (0.0,))]),
        (Ranking(("a", "b", "c"), ((1,), (0, 2))), [("ranking", ("a", "b", "c"), (2.0, 1.0, 2.0))]),
        (Ranking(("a", "b", "c"), None), []),
        (Rating("a", "overall", 1, 1, 5), [("rating", ("a",), (0.0,))]),
        (Rating("a", "overall", 4, 1, 5), [("rating", ("a",), (0.75,))]),
        (Rating("a", "overall", None, 1, 5), []),
        (Binary("a", True), [("rating", ("a",), (1.0,))]),
        (Binary("a", False), [("rating", ("a",), (0.0,))]),
        (Binary("a", None), []),
    ],
)
def test_every_answer_by_hand(said, expected) -> None:
    found = of_feedback(said, "ann", True, "here")
    assert [(one.kind, one.options, one.said) for one in found] == expected
    assert all(one.person == "ann" and one.where == "here" for one in found)
    for one in found:  # the side matters where two are compared, and only there
        assert one.first_shown is (True if one.kind == "comparison" else None)


def response(seq: int, said, order: tuple[int, ...]) -> Response:
    return Response(seq, seq, f"u{seq}", seq, f"p{seq}", said, order, None, None, 0.0)


def test_who_was_shown_what_first_comes_from_the_answer() -> None:
    found = of_responses(
        [
            response(1, Comparison(("a", "b"), "first"), (0, 1)),
            response(2, Comparison(("a", "b"), "first"), (1, 0)),
            response(3, Comparison(("a", "b"), "skip"), (1, 0)),
            response(4, Binary("a", True), (0,)),
        ]
    )
    assert [one.first_shown for one in found] == [True, False, None]
    assert [one.person for one in found] == ["p1", "p2", "p4"] and found[1].where == "answer 2"


def test_tensors_by_hand() -> None:
    pairs = tensors([
        Judgement("comparison", ("a", "b"), (1.0,), first_shown=True),
        Judgement("comparison", ("a", "b"), (0.5,), first_shown=False),
        Judgement("comparison", ("a", "b"), (0.0,)),
    ])  # fmt: skip
    assert isinstance(pairs, Comparisons) and pairs.preference.tolist() == [1.0, 0.5, 0.0]
    assert pairs.shown is not None and pairs.shown.tolist() == [1.0, -1.0, 0.0]
    orders = tensors(
        [Judgement("ranking", ("a", "b", "c"), (2.0, 1.0, 3.0)), Judgement("ranking", ("a", "b"), (1.0, 1.0))]
    )
    assert isinstance(orders, Rankings) and orders.ranks[0].tolist() == [2, 1, 3]
    assert orders.ranks[1, :2].tolist() == [1, 1] and math.isnan(orders.ranks[1, 2])
    marks = tensors([Judgement("rating", ("a",), (0.25,)), Judgement("rating", ("b",), (1.0,))])
    assert isinstance(marks, Ratings) and marks.value.tolist() == [0.25, 1.0]
    with pytest.raises(
        PlauditError, match="here: all options of all rankings are tied; give rankings that say more"
    ):
        tensors([Judgement("ranking", ("a", "b"), (1.0, 1.0), where="here")])


def test_each_kind_has_its_likelihood() -> None:
    config = LikelihoodConfig(2.0, 0.1, 0.3)
    assert likelihood_of("comparison", config).settings == bradley_terry.Config(2.0, 0.1, 0.3)
    for kind, module in (("ranking", plackett_luce), ("rating", rating)):
        found = likelihood_of(kind, config)  # type: ignore[arg-type]
        assert found.module is module and found.settings == module.Config(2.0, 0.1)


def test_kinds_apart_and_what_teaches() -> None:
    down, up = Judgement("rating", ("a",), (0.0,)), Judgement("rating", ("b",), (1.0,))
    tied, order = Judgement("ranking", ("a", "b"), (1.0, 1.0)), Judgement("ranking", ("a", "b"), (1.0, 2.0))
    pair = Judgement("comparison", ("a", "b"), (0.5,))
    assert by_kind([up, pair, down]) == {"comparison": [pair], "rating": [up, down]}
    assert list(by_kind([order, up])) == ["ranking", "rating"] and by_kind([]) == {}
    for silent in ([], [down], [down, down], [tied], [tied, up], [pair]):
        assert not informative(silent)
    better = Judgement("comparison", ("a", "b"), (1.0,))
    for telling in ([down, up], [order], [better], [pair, better], [tied, down, up]):
        assert informative(telling)


def test_a_tie_of_all_options_is_no_judgement() -> None:
    """Among answers that say something it would stop the fit, and every resume of the run with it."""
    assert of_feedback(Ranking(("a", "b", "c"), ((0, 1, 2),)), "ann", None, "here") == []
    assert len(of_feedback(Ranking(("a", "b", "c"), ((0, 1), (2,))), "ann", None, "here")) == 1


def test_two_thumbs_down_are_the_likelihood_of_two_bad_options() -> None:
    """-log P(both bad) = -log sigma(-R_a) - log sigma(-R_b); the mean over the two is half of it."""
    rows = of_feedback(Comparison(("a", "b"), "both_bad"))
    said = tensors(rows)
    assert isinstance(said, Ratings)
    returns = torch.tensor([[0.7], [-1.2]])
    loss = rating.loss(returns, said, rating.Config())
    expected = sum(math.log(1 + math.exp(r)) for r in (0.7, -1.2)) / 2
    assert loss.total.item() == pytest.approx(expected, abs=1e-6)
