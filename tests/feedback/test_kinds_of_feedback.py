"""Kinds of feedback: what each accepts, what it refuses by name, and its way through JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.feedback import (
    KINDS,
    Binary,
    Comparison,
    Feedback,
    Ranking,
    Rating,
    from_json,
    kind_of,
    options_of,
    to_json,
)
from plaudit.feedback.comparison import ANSWERS
from plaudit.feedback.ranking import from_ranks

names = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=8)
comparisons = st.builds(Comparison, st.tuples(names, names), st.sampled_from(ANSWERS))
binaries = st.builds(Binary, names, st.none() | st.booleans())


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    options = tuple(draw(st.lists(names, min_size=2, max_size=6)))
    return from_ranks(
        options, draw(st.lists(st.integers(1, 4), min_size=len(options), max_size=len(options)))
    )


@st.composite
def ratings(draw: st.DrawFn) -> Rating:
    numbers = st.floats(-1e6, 1e6)
    low, high = sorted(draw(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1])))
    return Rating(draw(names), draw(names), draw(st.none() | st.floats(low, high)), low, high)


feedbacks = st.one_of(comparisons, binaries, rankings(), ratings())


# ---------------------------------------------------------------------------------------------- JSON


@given(feedbacks)
def test_every_feedback_comes_back_from_json_text(feedback: Feedback) -> None:
    again = from_json(json.loads(json.dumps(to_json(feedback))))
    assert again == feedback
    assert type(again) is type(feedback)
    assert json.dumps(to_json(again)) == json.dumps(to_json(feedback))


@pytest.mark.parametrize(
    ("feedback", "written"),
    [
        (
            Comparison(("x", "y"), "both_bad"),
            {"kind": "comparison", "options": ["x", "y"], "answer": "both_bad"},
        ),
        (
            Ranking(("x", "y", "z"), ((1,), (0, 2))),
            {"kind": "ranking", "options": ["x", "y", "z"], "order": [[1], [0, 2]]},
        ),
        (Ranking(("x", "y"), None), {"kind": "ranking", "options": ["x", "y"], "order": None}),
        (
            Rating("x", "helpful", 3, 1, 7),
            {"kind": "rating", "option": "x", "criterion": "helpful", "value": 3.0, "low": 1.0, "high": 7.0},
        ),
        (Binary("x", None), {"kind": "binary", "option": "x", "good": None}),
    ],
)
def test_how_it_is_written(feedback: Feedback, written: dict[str, Any]) -> None:
    assert to_json(feedback) == written
    assert from_json(written) == feedback


@given(feedbacks, st.data())
def test_a_missing_or_unknown_field_is_named(feedback: Feedback, data: st.DataObject) -> None:
    written = to_json(feedback)
    field = data.draw(st.sampled_from([name for name in written if name != "kind"]))
    with pytest.raises(PlauditError, match=rf"{kind_of(feedback)}\.{field} is missing"):
        from_json({name: value for name, value in written.items() if name != field})
    with pytest.raises(PlauditError, match=rf"{kind_of(feedback)}\.colour is not a field"):
        from_json({**written, "colour": "red"})


@pytest.mark.parametrize(
    "data", [None, [], "comparison", 3, {}, {"kind": None}, {"kind": "opinion"}, {"kind": ["binary"]}]
)
def test_what_has_no_known_kind_is_refused(data: Any) -> None:
    with pytest.raises(PlauditError, match="kind"):
        from_json(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_json_gives_feedback_or_one_clear_error(kind: str, data: st.DataObject) -> None:
    fields = KINDS[kind].__dataclass_fields__
    written = {"kind": kind, **{name: data.draw(json_values) for name in fields}}
    try:
        feedback = from_json(written)
    except PlauditError as error:
        assert str(error).startswith(f"{kind}.") and "\n" not in str(error).replace("\\n", "")
    else:
        assert from_json(to_json(feedback)) == feedback


# ---------------------------------------------------------------------------------------------- comparison


@given(comparisons)
def test_swapping_changes_the_sides_and_not_what_is_said(comparison: Comparison) -> None:
    swapped = comparison.swap()
    assert swapped.swap() == comparison
    assert swapped.options == (comparison.options[1], comparison.options[0])
    chosen = {"first": 0, "second": 1}
    if comparison.answer in chosen:
        assert swapped.options[chosen[swapped.answer]] == comparison.options[chosen[comparison.answer]]
    else:
        assert swapped.answer == comparison.answer


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("options", (("x",), "first")),
        ("options", (("x", "y", "z"), "first")),
        ("options", (["x", "y"], "first")),
        ("options", (("x", ""), "first")),
        ("options", (("x", 3), "first")),
        ("answer", (("x", "y"), "left")),
        ("answer", (("x", "y"), None)),
        ("answer", (("x", "y"), 0)),
    ],
)
def test_a_bad_comparison_is_named(field: str, values: tuple) -> None:
    with pytest.raises(PlauditError, match=rf"comparison\.{field}"):
        Comparison(*values)


# ---------------------------------------------------------------------------------------------- ranking


def test_ranks_by_hand() -> None:
    ranking = Ranking(("w", "x", "y", "z"), ((2,), (0, 3), (1,)))
    assert ranking.ranks == (2, 3, 1, 2)
    assert from_ranks(("w", "x", "y", "z"), [5, 9.5, -1, 5]) == ranking
    assert Ranking(("x", "y"), None).ranks is None


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=7))
def test_ranks_keep_every_pair(ranks: list[int]) -> None:
    """Option by option, from the numbers themselves."""
    got = from_ranks(tuple(f"o{i}" for i in range(len(ranks))), ranks).ranks
    assert got is not None
    for i, own in enumerate(ranks):
        for j, other in enumerate(ranks):
            assert (got[i] < got[j]) == (own < other)
    assert set(got) == set(range(1, len(set(ranks)) + 1))


@pytest.mark.parametrize(
    "order",
    [
        (),
        ((0,),),
        ((0,), (0,)),
        ((0, 1), ()),
        ((0,), (2,)),
        (0, 1),
        [[0], [1]],
        ((False,), (True,)),
        ((0.0,), (1,)),
    ],
)
def test_an_order_must_name_each_option_once(order: Any) -> None:
    with pytest.raises(PlauditError, match=r"ranking\.order"):
        Ranking(("x", "y"), order)


@pytest.mark.parametrize("ranks", [[1], [1, 2, 3], [1, float("nan")], [1, None], [1, "2"]])
def test_bad_ranks_are_refused(ranks: list) -> None:
    with pytest.raises(PlauditError, match="ranks"):
        from_ranks(("x", "y"), ranks)


# --------------------------------------------------------------------------------------------- rating, binary


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("option", ("", "helpful", 3, 1, 7)),
        ("criterion", ("x", "", 3, 1, 7)),
        ("value", ("x", "helpful", 7.1, 1, 7)),
        ("value", ("x", "helpful", 0, 1, 7)),
        ("value", ("x", "helpful", True, 0, 7)),
        ("value", ("x", "helpful", "3", 1, 7)),
        ("value", ("x", "helpful", float("nan"), 1, 7)),
        ("value", ("x", "helpful", 10**400, 1, 7)),
        ("high", ("x", "helpful", 3, 3, 3)),
        ("high", ("x", "helpful", 3, 1, float("inf"))),
        ("low", ("x", "helpful", 3, None, 7)),
    ],
)
def test_a_bad_rating_is_named(field: str, values: tuple) -> None:
    with pytest.raises(PlauditError, match=rf"rating\.{field}"):
        Rating(*values)


def test_no_answer_is_not_zero() -> None:
    assert Rating("x", "helpful", None, 0, 5) != Rating("x", "helpful", 0, 0, 5)
    assert Binary("x", None) != Binary("x", False)
    assert to_json(Binary("x", None))["good"] is None
    assert from_json({"kind": "binary", "option": "x", "good": False}).good is False


def test_three_and_three_point_zero_are_one_answer() -> None:
    assert json.dumps(to_json(Rating("x", "helpful", 3, 1, 5))) == json.dumps(
        to_json(Rating("x", "helpful", 3.0, 1, 5))
    )


@pytest.mark.parametrize("good", [0, 1, "true", 1.0])
def test_only_true_false_and_none_are_binary(good: Any) -> None:
    with pytest.raises(PlauditError, match=r"binary\.good"):
        Binary("x", good)


def test_the_options_spoken_about() -> None:
    assert options_of(Comparison(("x", "y"), "skip")) == ("x", "y")
    assert options_of(Ranking(("x", "y", "z"), None)) == ("x", "y", "z")
    assert options_of(Rating("x", "c", None, 0, 1)) == options_of(Binary("x", None)) == ("x",)


def test_nothing_can_be_changed() -> None:
    for feedback in (Comparison(("x", "y"), "skip"), Binary("x", True)):
        with pytest.raises(AttributeError):
            feedback.__setattr__("option", "y")
