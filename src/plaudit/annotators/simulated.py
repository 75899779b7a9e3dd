"""Simulated people with human flaws (B-Pref: Lee et al. 2021, arXiv:2111.03026, algorithm 1, SimTeacher).

Two departures, both on purpose. B-Pref's thresholds for skipping and for calling equal are shares of the mean
episode return, so they never fire where returns are negative; ours are quantiles of what people are shown.
And B-Pref takes them over plain returns, ours are over returns as this person feels them, myopia included.

Other kinds of questions follow the likelihoods that are learned from: a ranking is a draw of Plackett-Luce, a rating
and a thumb compare the return with all that was asked about until then, a mistake says the opposite of what is meant.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise
from math import ceil, floor, inf, isinf
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from plaudit.declared import Finite, Fraction, Probability, Share, Unbounded, refuse
from plaudit.errors import PlauditError
from plaudit.feedback.kind import Order

Answer = Literal["first", "second", "equal", "skip"]

LARGEST_LOGIT = 50.0
"""Logits are cut here, which keeps exp finite and leaves e^-50 to chance."""

BPREF = {
    "teacher_beta": "beta",
    "teacher_gamma": "myopia",
    "teacher_eps_mistake": "mistake",
    "teacher_eps_skip": "skip",
    "teacher_eps_equal": "equal",
}
"""B-Pref's option names and ours."""


@dataclass(frozen=True)
class SimulatedPerson:
    """How a simulated person judges; the default is never wrong, and calls equal only what is exactly so.

    For coin flips set `beta` to 0 or `mistake` to .5.
    """

    beta: Unbounded = inf
    """Rationality: P(first) = sigma(beta * (return_1 - return_2)); inf: always the better one, 0: chance. For an
    adversary set `mistake` to 1. Rankings are drawn with this inverse temperature; ratings and thumbs are of the return
    plus logistic noise of scale 1 / beta."""
    mistake: Probability = 0.0
    """Probability that a decided answer is flipped; .5: coin flips, 1: always the opposite. A ranking is reversed, a
    rating mirrored on its scale."""
    equal: Fraction = 0.0
    """Fraction of pairs, those with the smallest difference of returns, that are called equal; neighbours in a ranking
    that differ by no more are tied."""
    skip: Fraction = 0.0
    """Questions about options whose returns all lie below this quantile of returns are skipped."""
    myopia: Share = 1.0
    """Weight of a step relative to the next, so that later ones count more; 1: all alike."""
    side_bias: Finite = 0.0
    """Log-odds added to the option of a comparison that is shown first. With infinite beta every difference outweighs
    it, and it decides between equal returns alone."""
    leniency: Finite = 0.0
    """Steps of the scale by which ratings are too high; a fraction shifts that share of them by a step."""

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        refuse(self, "people.")


def from_bpref(options: Mapping[str, Any]) -> SimulatedPerson:
    """A person from B-Pref's options; a negative `teacher_beta` is infinite there, and so it is here.

    `teacher_eps_skip` and `teacher_eps_equal` become quantiles. Raises `PlauditError` for an unknown option,
    a value that is not a number, and `teacher_beta` 0, which B-Pref's paper and code read differently.
    """
    given: dict[str, float] = {}
    for name, value in options.items():
        if name not in BPREF:
            near = get_close_matches(str(name), BPREF, 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known options: {', '.join(BPREF)}"
            raise PlauditError(f"{name}: unknown B-Pref option; {hint}")
        try:
            given[BPREF[name]] = float(value)
        except (TypeError, ValueError):
            raise PlauditError(f"{name}: {value!r} is not a number; change this option") from None
    if given.get("beta") == 0:
        raise PlauditError(
            "teacher_beta: 0 means coin flips in B-Pref's paper but a perfect teacher in its code; "
            "write -1 for a perfect one or teacher_eps_mistake: 0.5 for coin flips"
        )
    if given.get("beta", 0) < 0:
        given["beta"] = inf
    return SimulatedPerson(**given)


def felt_returns(rewards: Float[np.ndarray, "N L"], myopia: float) -> Float[np.ndarray, "N"]:
    """sum_t myopia^(L-1-t) r_t in double precision: what a segment is worth to a person with this memory."""
    weights = myopia ** np.arange(rewards.shape[1] - 1, -1, -1, dtype=np.float64)
    # no matrix product: there equal rows may give sums that differ in their last digits
    return (rewards.astype(np.float64) * weights).sum(axis=1)


def draws(seed: int, keys: Sequence[str]) -> Float[np.ndarray, "P 2"]:
    """Two uniform numbers in [0, 1) for each query: one chooses, one makes mistakes.

    They depend on the seed and the query's key alone (Philox, a counter-based generator, keyed by their
    hash), so an answer depends neither on the order of questions nor on restarts.
    """
    numbers = np.empty((len(keys), 2))
    for row, key in zip(numbers, keys, strict=True):
        digest = hashlib.sha256(json.dumps([seed, key]).encode()).digest()
        row[:] = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(2)
    return numbers


@dataclass(frozen=True)
class Cuts:
    """The two quantiles of a person as returns."""

    skip_below: float = -inf
    """Where all returns lie below this, the question is skipped."""
    equal_within: float = -inf
    """Where the returns differ by no more than this, they are called equal."""


def answers(
    first: Float[np.ndarray, "P L"],
    second: Float[np.ndarray, "P M"],
    person: SimulatedPerson,
    reference: Float[np.ndarray, "N"],
    chance: Float[np.ndarray, "P 2"],
) -> list[Answer]:
    """What this person says of pairs of segments, given the true rewards of their steps.

    `reference` is the population of `felt_returns` that the quantiles are over; `chance` comes from `draws`.
    Raises `PlauditError` for rewards that are not finite and for a population too small for a quantile.
    """
    returns = felt_returns(first, person.myopia), felt_returns(second, person.myopia)
    return judge(returns, person, cuts(person, reference), chance)


def cuts(person: SimulatedPerson, reference: Float[np.ndarray, "N"]) -> Cuts:
    """Where this person's quantiles lie in a population of `felt_returns`, which is read only where needed.

    Of pairs drawn at random from the population about `skip` squared are skipped.
    """
    found = Cuts()
    if person.skip > 0:
        found = replace(found, skip_below=float(np.quantile(_population(reference, 1, "skip"), person.skip)))
    if person.equal > 0:
        within = difference_quantile(_population(reference, 2, "equal"), person.equal)
        found = replace(found, equal_within=within)
    return found


def judge(
    returns: tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P"]],
    person: SimulatedPerson,
    cuts: Cuts,
    chance: Float[np.ndarray, "P 2"],
    shown: float = 0.0,
) -> list[Answer]:
    """What this person says of pairs with these felt returns.

    Skipping comes first, then calling equal, as in B-Pref; only a decided answer can be a mistake. Identical
    returns are called equal by those who call any pair equal or are never in doubt: rationality without limit and no
    side bias. Others decide them by a coin. `shown`: 1 where the first
    option was the one shown first, -1 where the second was, 0 where nobody knows.
    """
    one, two = returns
    _refuse_infinite(np.concatenate(returns))
    skipped = np.maximum(one, two) < cuts.skip_below
    equal = np.abs(one - two) <= cuts.equal_within
    if isinf(person.beta) and not person.side_bias:
        equal |= one == two
    likely = preference(one - two, person.beta, person.side_bias * shown)
    decided = (chance[:, 0] < likely) ^ mistaken(person, chance)
    said: list[Answer] = []
    for is_skipped, is_equal, is_first in zip(skipped, equal, decided, strict=True):
        said.append("skip" if is_skipped else "equal" if is_equal else "first" if is_first else "second")
    return said


def rank(
    returns: Float[np.ndarray, "C"],
    person: SimulatedPerson,
    cuts: Cuts,
    chance: Float[np.ndarray, "1 2"],
    luck: Float[np.ndarray, "C"],
) -> Order | None:
    """The order of options with these felt returns; None: skipped.

    P(order) is that of Plackett-Luce with scores beta * return: options are sorted by their score plus a Gumbel
    number, made from the uniform one in `luck` (Yellott 1977, J. of Mathematical Psychology 15(2)). Then a mistake
    reverses the order, and neighbours within the person's cut are tied. With infinite beta `luck` orders identical
    returns and nothing else.
    """
    _refuse_infinite(returns)
    if returns.max() < cuts.skip_below:
        return None
    with np.errstate(over="ignore", divide="ignore"):
        gumbel = -np.log(-np.log(luck))
        ahead = returns - returns.max()
        scores = ahead if isinf(person.beta) else person.beta * ahead + gumbel
    order = np.lexsort((gumbel, returns, scores))[::-1].tolist()  # scores that overflow are all -inf
    if mistaken(person, chance)[0]:
        order.reverse()
    groups = [[order[0]]]
    for before, after in pairwise(order):
        if abs(returns[before] - returns[after]) <= cuts.equal_within:
            groups[-1].append(after)
        else:
            groups.append([after])
    return tuple(tuple(sorted(group)) for group in groups)


def rate(
    returns: Float[np.ndarray, "N"],
    person: SimulatedPerson,
    cuts: Cuts,
    population: Float[np.ndarray, "M"],
    values: Float[np.ndarray, "V"],
    chance: Float[np.ndarray, "N 2"],
) -> list[float | None]:
    """Which value of a scale options with these felt returns get; None: skipped.

    With V values, the share q of the population that lies below (half of what is equal counts) gives value number
    floor(V q + leniency), cut at the ends: without leniency every value comes as often as any other. The noise is added
    to the return before. A mistake mirrors what would be said, leniency included, as the likelihood of ratings has it.
    """
    _refuse_infinite(returns)
    population = np.sort(_asked(population))
    felt = returns + _logistic(chance[:, 0], person.beta)
    places = np.searchsorted(population, felt, "left") + np.searchsorted(population, felt, "right")
    last = len(values) - 1
    steps = np.floor(len(values) * places / (2 * len(population)) + person.leniency).clip(0, last)
    steps = np.where(mistaken(person, chance), last - steps, steps).astype(int)
    said = zip(returns, values[steps].tolist(), strict=True)
    return [None if own < cuts.skip_below else value for own, value in said]


def approve(
    returns: Float[np.ndarray, "N"],
    person: SimulatedPerson,
    cuts: Cuts,
    population: Float[np.ndarray, "M"],
    chance: Float[np.ndarray, "N 2"],
) -> list[bool | None]:
    """Whether options with these felt returns are good; None: skipped.

    P(good) = sigma(beta * (return - median of the population)); someone with infinite beta decides the median itself by
    a coin.
    """
    _refuse_infinite(returns)
    likely = preference(returns - np.median(_asked(population)), person.beta)
    good = (chance[:, 0] < likely) ^ mistaken(person, chance)
    return [None if own < cuts.skip_below else bool(one) for own, one in zip(returns, good, strict=True)]


def scale_values(low: float, high: float) -> Float[np.ndarray, "V"]:
    """The whole numbers of a scale; its two ends where it holds fewer than two."""
    whole = np.arange(ceil(low), floor(high) + 1, dtype=np.float64)
    return whole if len(whole) > 1 else np.array([low, high], dtype=np.float64)


def preference(difference: Float[np.ndarray, "P"], beta: float, bias: float = 0.0) -> Float[np.ndarray, "P"]:
    """P(first preferred) before mistakes, from return of first minus return of second: sigma(beta d + bias).

    With infinite beta this is 1 or 0 whatever the bias, and sigma(bias) where the returns are equal.
    """
    with np.errstate(over="ignore"):  # an overflow is cut like any large logit
        logits = np.full_like(difference, bias) if isinf(beta) else beta * difference + bias
    likely = 1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)))
    return np.where(difference == 0, likely, (np.sign(difference) + 1) / 2) if isinf(beta) else likely


def mistaken(person: SimulatedPerson, chance: Float[np.ndarray, "P 2"]) -> Bool[np.ndarray, "P"]:
    """Where a decided answer is flipped.

    With m = eps / 2 the probability of "first" is m + (1 - 2m) sigma = .5 eps + (1 - eps) sigma. So eps, the
    share of coin flips (`noise_prob` in imitation, `mistakes` in our Bradley-Terry likelihood), is twice our
    `mistake`.
    """
    return chance[:, 1] < person.mistake


def difference_quantile(returns: Float[np.ndarray, "N"], quantile: float) -> float:
    """The smallest d such that at least this fraction of all pairs i < j has |returns_i - returns_j| <= d.

    Found by halving, each time counting pairs on the sorted returns, so that memory stays linear in N.
    """
    ordered = np.sort(returns)
    count = len(ordered)
    wanted = int(np.ceil(quantile * (count * (count - 1) // 2)))
    before = np.arange(1, count + 1)

    def partners(largest: float) -> np.ndarray:  # for each i, how many j > i lie within `largest` above it
        return np.searchsorted(ordered, ordered + largest, side="right") - before

    tolerance = 4 * np.spacing(np.abs(ordered).max())
    low, high = 0.0, float(ordered[-1] - ordered[0] + tolerance)
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if partners(middle).sum() >= wanted else (middle, high)
    # the largest difference that was counted, as it is: `high` itself may fall short of it by rounding
    return float((ordered[before - 1 + partners(high)] - ordered).max())


def _population(reference: Float[np.ndarray, "N"], least: int, field: str) -> Float[np.ndarray, "N"]:
    if len(reference) < least:
        raise PlauditError(
            f"people.{field}: a quantile needs the returns of at least {least} segment(s), "
            f"not {len(reference)}; ask about more segments or set this field to 0"
        )
    if not np.isfinite(reference).all():
        raise PlauditError(f"people.{field}: a segment's return is not finite; mend the environment's reward")
    return reference


def _asked(population: Float[np.ndarray, "M"]) -> Float[np.ndarray, "M"]:
    if len(population) == 0:
        raise PlauditError(
            "population: ratings and thumbs compare with what was asked about; give at least 1 return"
        )
    _refuse_infinite(population)
    return population


def _refuse_infinite(returns: Float[np.ndarray, "N"]) -> None:
    if not np.isfinite(returns).all():
        raise PlauditError("rewards: a segment's return is not finite; mend the environment's reward")


def _logistic(uniform: Float[np.ndarray, "N"], beta: float) -> Float[np.ndarray, "N"]:
    """Logistic noise of scale 1 / beta: 0 for infinite beta, infinite of either sign for beta 0."""
    if isinf(beta):
        return np.zeros_like(uniform)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        noise = (np.log(uniform) - np.log1p(-uniform)) / beta
    return np.where(uniform == 0.5, 0.0, noise)
