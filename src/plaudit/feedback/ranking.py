"""Ranking: an order of several options, ties allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar, Self

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.feedback.kind import Feedback, Respondent, Statement


@dataclass(frozen=True)
class Ranking(Feedback):
    """An order of K options, recorded by what they are."""

    SHOWN: ClassVar[tuple[int, int | None]] = (2, None)

    options: tuple[str, ...]
    """Content hashes of the K >= 2 options."""
    order: tuple[tuple[int, ...], ...] | None
    """Places in `options`, best group first; those in one group are tied; None: no answer."""

    def __post_init__(self) -> None:
        """Refuse an order that leaves an option out or names one twice."""
        fields.options("ranking.options", self.options, 2)
        if self.order is None:
            return
        groups = isinstance(self.order, tuple) and all(
            isinstance(group, tuple) and group for group in self.order
        )
        places = [place for group in self.order for place in group] if groups else []
        whole = all(isinstance(place, int) and not isinstance(place, bool) for place in places)
        if not whole or sorted(places) != list(range(len(self.options))):
            raise PlauditError(
                f"ranking.order: {self.order!r} must name each of the places 0 to {len(self.options) - 1} "
                "once, as a tuple of groups, best first"
            )

    @property
    def ranks(self) -> tuple[int, ...] | None:
        """The rank of each option: 1 is best, ties share a rank, no rank is left out; None: no answer."""
        if self.order is None:
            return None
        rank_of = {place: rank for rank, group in enumerate(self.order, 1) for place in group}
        return tuple(rank_of[place] for place in range(len(self.options)))

    @property
    def said(self) -> tuple[int, ...] | None:
        """The ranks."""
        return self.ranks

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every two options of different ranks."""
        groups = [[self.options[place] for place in group] for group in self.order or ()]
        return tuple((a, b) for better, worse in combinations(groups, 2) for a in better for b in worse)

    def statements(self) -> tuple[Statement, ...]:
        """The ranks; a tie of all tells nothing apart."""
        if self.ranks is None or len(set(self.ranks)) < 2:
            return ()
        return (Statement("ranking", self.options, tuple(map(float, self.ranks))),)

    def permuted(self, order: Sequence[int]) -> Self:
        """The same order of the options, which stand in another one."""
        options = tuple(self.options[place] for place in order)
        if self.order is None:
            return replace(self, options=options)
        new = {old: place for place, old in enumerate(order)}
        groups = tuple(tuple(new[place] for place in group) for group in self.order)
        return replace(self, options=options, order=groups)

    @classmethod
    def simulated(cls, person: Respondent, payload: Mapping[str, Any]) -> Self:
        """A draw by the returns."""
        return cls(person.items, person.rank())


def from_ranks(options: tuple[str, ...], ranks: Sequence[float]) -> Ranking:
    """A ranking from one rank per option: the smallest is best, equal ranks are ties."""
    if len(ranks) != len(options):
        raise PlauditError(f"ranks: {len(ranks)} ranks for {len(options)} options; give one rank per option")
    clean = [fields.number(f"ranks[{i}]", rank) for i, rank in enumerate(ranks)]
    order = tuple(tuple(i for i, own in enumerate(clean) if own == rank) for rank in sorted(set(clean)))
    return Ranking(options, order)
