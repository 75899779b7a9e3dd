"""Simulated people against a B-Pref teacher in loops, exact probabilities, and answers worked by hand."""

import math
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.annotators.simulated import (
    Answer,
    Cuts,
    Order,
    SimulatedPerson,
    answers,
    approve,
    difference_quantile,
    draws,
    felt_returns,
    from_bpref,
    judge,
    rank,
    rate,
    scale_values,
)
from plaudit.errors import PlauditError

KEYS = [f"query/{i}" for i in range(20_000)]
CHANCE = draws(0, KEYS)


def ask(
    first: np.ndarray, second: np.ndarray, person: SimulatedPerson, chance: np.ndarray = CHANCE
) -> list[Answer]:
    """The reference is everything shown."""
    reference = felt_returns(np.concatenate([first, second]), person.myopia)
    return answers(first, second, person, reference, chance[: len(first)])


def rates(said: list[Answer]) -> dict[str, float]:
    return {answer: times / len(said) for answer, times in Counter(said).items()}


def within(rate: float, probability: float, tries: int) -> bool:
    """Within five binomial standard errors (a chance of failure below one in a million)."""
    return abs(rate - probability) <= 5 * math.sqrt(probability * (1 - probability) / tries) + 1e-12


def slow_teacher(
    first: list[float], second: list[float], options: dict, cuts: tuple, chance: list[float]
) -> Answer:
    """B-Pref's `get_label` for one pair, step by step, with myopic returns and the thresholds given."""
    returns = []
    for rewards in (first, second):
        total = 0.0
        for reward in rewards:
            total = total * options["teacher_gamma"] + reward  # Horner's rule: early steps fade
        returns.append(total)
    skip_below, equal_within = cuts
    if options["teacher_eps_skip"] > 0 and max(returns) < skip_below:
        return "skip"
    if options["teacher_eps_equal"] > 0 and abs(returns[0] - returns[1]) <= equal_within:
        return "equal"
    if options["teacher_beta"] < 0:
        says_first = returns[0] > returns[1] if returns[0] != returns[1] else chance[0] < 0.5
    else:
        logit = options["teacher_beta"] * (returns[0] - returns[1])
        says_first = chance[0] < 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
    if chance[1] < options["teacher_eps_mistake"]:
        says_first = not says_first
    return "first" if says_first else "second"


def slow_cuts(first: np.ndarray, second: np.ndarray, options: dict) -> tuple[float, float]:
    """Thresholds from sorting all returns and all differences of pairs of returns."""
    gamma, returns = options["teacher_gamma"], []
    for rewards in [*first.tolist(), *second.tolist()]:
        returns.append(sum(gamma ** (len(rewards) - 1 - t) * r for t, r in enumerate(rewards)))
    differences = sorted(abs(a - b) for i, a in enumerate(returns) for b in returns[i + 1 :])
    place = math.ceil(options["teacher_eps_equal"] * len(differences) - 1e-9)
    return float(np.quantile(returns, options["teacher_eps_skip"])), differences[max(place, 1) - 1]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from([-1.0, 0.3, 4.0]),
    st.sampled_from([1.0, 0.9]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.15]),
)
def test_as_a_bpref_teacher(
    seed: int, beta: float, gamma: float, mistake: float, skip: float, equal: float
) -> None:
    options = {
        "teacher_beta": beta,
        "teacher_gamma": gamma,
        "teacher_eps_mistake": mistake,
        "teacher_eps_skip": skip,
        "teacher_eps_equal": equal,
    }
    rng = np.random.default_rng(seed)
    first, second = rng.normal(-2, 1, (25, 6)), rng.normal(-2, 1, (25, 6))
    said = ask(first, second, from_bpref(options))
    cuts = slow_cuts(first, second, options)
    # the pair that defines the threshold sits on it: give the loop's sums the last digits
    cuts = (cuts[0], cuts[1] + 1e-9)
    expected = [
        slow_teacher(a, b, options, cuts, c)
        for a, b, c in zip(first.tolist(), second.tolist(), CHANCE.tolist(), strict=False)
    ]
    assert said == expected


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("mistake", [0.0, 0.1, 0.5])
def test_frequencies_are_the_exact_probabilities(beta: float, mistake: float) -> None:
    difference = 0.8
    first, second = np.full((20_000, 2), difference / 2), np.zeros((20_000, 2))
    said = rates(ask(first, second, SimulatedPerson(beta=beta, mistake=mistake)))
    noise = 2 * mistake  # the same as a coin thrown with this probability
    exact = 0.5 * noise + (1 - noise) / (1 + math.exp(-beta * difference))
    assert within(said.get("first", 0), exact, 20_000)


def test_coin_flips_two_ways() -> None:
    first, second = np.full((20_000, 1), 1000.0), np.full((20_000, 1), -1000.0)
    for person in (SimulatedPerson(beta=0.0), SimulatedPerson(mistake=0.5)):
        assert within(rates(ask(first, second, person))["first"], 0.5, 20_000)


def test_a_perfect_person_and_the_opposite() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(500, 3)), rng.normal(size=(500, 3))
    truth = ["first" if a > b else "second" for a, b in zip(first.sum(1), second.sum(1), strict=True)]
    assert ask(first, second, SimulatedPerson()) == truth
    assert ask(second, first, SimulatedPerson(mistake=1.0)) == truth


def test_large_logits_stay_finite() -> None:
    first, second = np.full((100, 1), 1e300), np.full((100, 1), -1e300)
    with np.errstate(all="raise", under="ignore"):
        assert set(ask(first, second, SimulatedPerson(beta=1e10))) == {"first"}


@pytest.mark.parametrize("shift", [0.0, 100.0, -100.0])
def test_skip_and_equal_fire_whatever_the_sign_of_returns(shift: float) -> None:
    # B-Pref's thresholds are shares of the mean return: with shift -100 neither would ever fire
    rng = np.random.default_rng(1)
    first, second = (rng.normal(shift, 1, (4000, 5)) for _ in range(2))
    said = rates(ask(first, second, SimulatedPerson(equal=0.2)))
    assert within(said["equal"], 0.2, 4000)
    said = rates(ask(first, second, SimulatedPerson(skip=0.4)))
    assert within(said["skip"], 0.4**2, 4000)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(-5, 5) | st.floats(-1e3, 1e3), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
    st.sampled_from([0.0, -1e6]),
)
def test_quantile_of_all_differences(returns: list[float], quantile: float, shift: float) -> None:
    shifted = [float(value) + shift for value in returns]
    differences = sorted(abs(a - b) for i, a in enumerate(shifted) for b in shifted[i + 1 :])
    wanted = differences[math.ceil(quantile * len(differences)) - 1]
    got = difference_quantile(np.array(shifted), quantile)
    assert got == pytest.approx(wanted, abs=1e-8)
    assert sum(d <= got for d in differences) >= quantile * len(differences)  # the one on the threshold too


def test_difference_quantile_survives_rounding() -> None:
    low, high = -6.65, 3.52
    assert low + (high - low) < high  # in floating point: a pair would not lie within its own difference
    assert difference_quantile(np.array([low, high]), 0.5) == high - low


def test_identical_returns() -> None:
    # CartPole: every full segment is worth the same. A tie is "equal" to those who say so or are never in doubt; others
    # toss a coin
    same = np.ones((20_000, 4))
    assert set(ask(same, same, SimulatedPerson(equal=0.1))) == {"equal"}
    assert set(ask(same, same, SimulatedPerson())) == {"equal"}
    assert set(ask(same, same, SimulatedPerson(mistake=0.5))) == {"equal"}  # nothing to be mistaken about
    assert within(rates(ask(same, same, SimulatedPerson(beta=5.0)))["first"], 0.5, 20_000)
    assert within(rates(ask(same, same, SimulatedPerson(side_bias=1e-9)))["first"], 0.5, 20_000)
    assert "skip" not in ask(same, same, SimulatedPerson(skip=0.9))


def test_myopia_by_hand() -> None:
    # gamma = 1/2: 4, 0, 0 is worth 4/4 = 1; 0, 0, 2 is worth 2; 1, 1, 1 is worth 1/4 + 1/2 + 1 = 1.75
    rewards = np.array([[4.0, 0, 0], [0, 0, 2], [1, 1, 1]])
    assert felt_returns(rewards, 0.5).tolist() == [1.0, 2.0, 1.75]
    assert ask(rewards[:1], rewards[1:2], SimulatedPerson(myopia=0.5)) == ["second"]
    assert ask(rewards[:1], rewards[1:2], SimulatedPerson(myopia=1.0)) == ["first"]


def test_answers_depend_on_seed_and_key_alone() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    person = SimulatedPerson(beta=0.5, mistake=0.2, equal=0.1, skip=0.1, myopia=0.9)
    reference = felt_returns(np.concatenate([first, second]), person.myopia)
    together = answers(first, second, person, reference, draws(7, KEYS[:50]))
    for i in reversed(range(50)):  # one at a time, backwards, as if restarted before each
        alone = answers(first[i : i + 1], second[i : i + 1], person, reference, draws(7, [KEYS[i]]))
        assert alone == [together[i]]
    assert (draws(7, KEYS[:50]) != draws(8, KEYS[:50])).all()
    assert draws(1, ["2/3"]).tolist() != draws(12, ["/3"]).tolist()  # seed and key are kept apart


def test_draws_are_uniform_and_unrelated() -> None:
    assert np.abs(np.histogram(CHANCE[:, 0], 10, (0, 1))[0] - 2000).max() < 5 * math.sqrt(2000)
    assert np.abs(np.histogram(CHANCE[:, 1], 10, (0, 1))[0] - 2000).max() < 5 * math.sqrt(2000)
    assert abs(np.corrcoef(CHANCE.T)[0, 1]) < 5 / math.sqrt(20_000)


def test_bpref_options() -> None:
    assert from_bpref({}) == SimulatedPerson()
    assert from_bpref({"teacher_beta": -1, "teacher_gamma": 1}) == SimulatedPerson()
    assert from_bpref({"teacher_beta": "1", "teacher_eps_skip": 0.1}) == SimulatedPerson(beta=1.0, skip=0.1)
    with pytest.raises(PlauditError, match="did you mean 'teacher_eps_mistake'"):
        from_bpref({"teacher_eps_mistakes": 0.1})
    with pytest.raises(PlauditError, match="teacher_gamma: 'near' is not a number"):
        from_bpref({"teacher_gamma": "near"})
    with pytest.raises(PlauditError, match="teacher_beta: 0 means coin flips"):
        from_bpref({"teacher_beta": 0})


@pytest.mark.parametrize(
    "fields",
    [
        {"beta": -1.0},
        {"mistake": 1.5},
        {"equal": 1.0},
        {"skip": -0.1},
        {"myopia": 0.0},
        {"beta": math.nan},
        {"side_bias": math.inf},
        {"leniency": math.nan},
    ],
)
def test_values_without_a_meaning_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(PlauditError, match=f"people.{next(iter(fields))}: .* change this field"):
        SimulatedPerson(**fields)


def test_bad_rewards_and_empty_populations_are_refused() -> None:
    rewards = np.zeros((1, 3))
    with pytest.raises(PlauditError, match="not finite"):
        ask(rewards, rewards * np.nan, SimulatedPerson())
    with pytest.raises(PlauditError, match="people.skip: .* set this field to 0"):
        answers(rewards, rewards, SimulatedPerson(skip=0.5), np.zeros(0), CHANCE[:1])
    with pytest.raises(PlauditError, match="people.equal: .* at least 2"):
        answers(rewards, rewards, SimulatedPerson(equal=0.5), np.zeros(1), CHANCE[:1])


@pytest.mark.parametrize("beta", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("bias", [0.0, 1.2, -2.0])
@pytest.mark.parametrize("shown", [1.0, -1.0, 0.0])
def test_side_bias_adds_log_odds_to_what_is_shown_first(beta: float, bias: float, shown: float) -> None:
    returns = np.full(20_000, 0.8), np.zeros(20_000)
    said = rates(judge(returns, SimulatedPerson(beta, side_bias=bias), Cuts(), CHANCE, shown))
    exact = 1 / (1 + math.exp(-(beta * 0.8 + bias * shown)))
    assert within(said.get("first", 0), exact, 20_000)


def test_side_bias_decides_ties_alone_where_people_are_never_unsure() -> None:
    person = SimulatedPerson(side_bias=2.0)
    same, more = np.zeros(20_000), np.full(20_000, 1e-9)
    assert set(judge((same, more), person, Cuts(), CHANCE, 1.0)) == {"second"}
    for shown, exact in ((1.0, 1 / (1 + math.exp(-2))), (-1.0, 1 / (1 + math.exp(2)))):
        assert within(rates(judge((same, same), person, Cuts(), CHANCE, shown))["first"], exact, 20_000)


def rank_all(
    returns: list[float], person: SimulatedPerson, cuts: Cuts, tries: int = 8000
) -> list[Order | None]:
    luck = np.random.default_rng(3).random((tries, len(returns)))
    felt = np.array(returns)
    return [rank(felt, person, cuts, CHANCE[i : i + 1], luck[i]) for i in range(tries)]


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("mistake", [0.0, 0.3, 1.0])
def test_rankings_are_drawn_from_plackett_luce(beta: float, mistake: float) -> None:
    returns = [0.3, -0.4, 1.1]
    said = Counter(rank_all(returns, SimulatedPerson(beta, mistake), Cuts()))

    def chosen(order: tuple[int, ...]) -> float:  # one after another, in proportion to exp(beta R)
        probability, left = 1.0, list(order)
        while left:
            probability *= math.exp(beta * returns[left[0]]) / sum(math.exp(beta * returns[i]) for i in left)
            left.pop(0)
        return probability

    for order in permutations(range(3)):
        exact = (1 - mistake) * chosen(order) + mistake * chosen(order[::-1])
        assert within(said[tuple((place,) for place in order)] / 8000, exact, 8000)


def test_rankings_by_hand() -> None:
    returns, never_unsure = [1.0, 4.0, 1.5, -2.0], SimulatedPerson()
    assert set(rank_all(returns, never_unsure, Cuts(), 50)) == {((1,), (2,), (0,), (3,))}
    assert set(rank_all(returns, SimulatedPerson(mistake=1.0), Cuts(), 50)) == {((3,), (0,), (2,), (1,))}
    assert set(rank_all(returns, never_unsure, Cuts(equal_within=0.5), 50)) == {((1,), (0, 2), (3,))}
    assert set(rank_all(returns, never_unsure, Cuts(equal_within=2.5), 50)) == {((0, 1, 2), (3,))}
    assert set(rank_all(returns, never_unsure, Cuts(skip_below=4.0), 50)) == {((1,), (2,), (0,), (3,))}
    assert set(rank_all(returns, never_unsure, Cuts(skip_below=4.1), 50)) == {None}
    assert set(rank_all([1e300, -1e300, -1.1e300], SimulatedPerson(1e10), Cuts(), 50)) == {((0,), (1,), (2,))}
    coin = Counter(rank_all([2.0, 2.0], never_unsure, Cuts()))  # identical ones by a coin
    assert within(coin[((0,), (1,))] / 8000, 0.5, 8000)


POPULATION = np.array([-9.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 20.0])
FIVE = scale_values(1, 5)


def rated(returns: list[float], person: SimulatedPerson, cuts: Cuts | None = None) -> list[float | None]:
    felt = np.array(returns)
    return rate(felt, person, cuts or Cuts(), POPULATION, FIVE, CHANCE[: len(felt)])


def test_ratings_by_hand() -> None:
    # ten returns on five values: two to each, however far apart they are
    two_each = [1.0, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert rated(POPULATION.tolist(), SimulatedPerson()) == two_each
    assert rated([-99.0, -0.5, 99.0], SimulatedPerson()) == [1, 3, 5]  # of no option that was asked about
    assert rated(POPULATION.tolist(), SimulatedPerson(mistake=1.0)) == two_each[::-1]
    assert rated(POPULATION.tolist(), SimulatedPerson(leniency=1.0)) == [2, 2, 3, 3, 4, 4, 5, 5, 5, 5]
    assert rated(POPULATION.tolist(), SimulatedPerson(leniency=-9.0)) == [1] * 10
    assert rated(POPULATION.tolist(), SimulatedPerson(leniency=0.5)) == [1, 2, 2, 3, 3, 4, 4, 5, 5, 5]
    lenient_liar = SimulatedPerson(mistake=1.0, leniency=1.0)
    assert rated(POPULATION.tolist(), lenient_liar) == [4, 4, 3, 3, 2, 2, 1, 1, 1, 1]
    assert rated([-3.0, -2.9], SimulatedPerson(), Cuts(skip_below=-2.95)) == [None, 2]
    same = rate(np.ones(4), SimulatedPerson(), Cuts(), np.ones(9), FIVE, CHANCE[:4])
    assert same == [3.0] * 4  # CartPole: nothing is better than anything else


def test_scales_by_hand() -> None:
    assert scale_values(1, 5).tolist() == [1, 2, 3, 4, 5]
    assert scale_values(-1.5, 1.5).tolist() == [-1, 0, 1]
    assert scale_values(0, 1).tolist() == [0, 1]
    assert scale_values(0.2, 0.8).tolist() == [0.2, 0.8] and scale_values(0.5, 1.2).tolist() == [0.5, 1.2]


@pytest.mark.parametrize("beta", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("mistake", [0.0, 0.2])
def test_ratings_are_of_the_return_with_logistic_noise(beta: float, mistake: float) -> None:
    said = Counter(rated([0.5] * 20_000, SimulatedPerson(beta, mistake)))
    # a value begins where another two of the population lie below: above the second, the fourth, the sixth, the eighth
    ends = [-4.0, -2.0, 0.0, 2.0]
    below = [0.0, *(1 / (1 + math.exp(-beta * (end - 0.5))) for end in ends), 1.0]
    plain = [high - low for low, high in zip(below, below[1:], strict=False)]
    for value, meant, opposite in zip(range(1, 6), plain, plain[::-1], strict=True):
        exact = (1 - mistake) * meant + mistake * opposite
        assert within(said[float(value)] / 20_000, exact, 20_000)


@pytest.mark.parametrize("beta", [0.0, 0.4, 2.0, math.inf])
@pytest.mark.parametrize("mistake", [0.0, 0.2, 1.0])
def test_thumbs_are_up_above_the_median(beta: float, mistake: float) -> None:
    for value in (-1.0, -0.5, 1.5):  # the median lies at -.5, between -1 and 0
        person = SimulatedPerson(beta, mistake)
        said = approve(np.full(20_000, value), person, Cuts(), POPULATION, CHANCE)
        gap = value + 0.5
        up = (0.5 if gap == 0 else float(gap > 0)) if math.isinf(beta) else 1 / (1 + math.exp(-beta * gap))
        assert within(said.count(True) / 20_000, (1 - mistake) * up + mistake * (1 - up), 20_000)
    returns, cuts = np.array([-9.0, 5.0]), Cuts(skip_below=0.0)
    assert approve(returns, SimulatedPerson(), cuts, POPULATION, CHANCE[:2]) == [None, True]


def test_nothing_to_compare_with_is_refused() -> None:
    for population, said in ((np.zeros(0), "give at least 1 return"), (np.array([np.inf]), "not finite")):
        with pytest.raises(PlauditError, match=said):
            rate(np.ones(1), SimulatedPerson(), Cuts(), population, FIVE, CHANCE[:1])
        with pytest.raises(PlauditError, match=said):
            approve(np.ones(1), SimulatedPerson(), Cuts(), population, CHANCE[:1])
    with pytest.raises(PlauditError, match="not finite"):
        rank(np.array([1.0, np.nan]), SimulatedPerson(), Cuts(), CHANCE[:1], np.array([0.5, 0.5]))
