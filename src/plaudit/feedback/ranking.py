"""Ranking: an order of several options, ties allowed."""

from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.errors import PlauditError
from plaudit.feedback import fields


@dataclass(frozen=True)
class Ranking:
    """An order of K options, recorded by what they are."""

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


def from_ranks(options: tuple[str, ...], ranks: Sequence[float]) -> Ranking:
    """A ranking from one rank per option: the smallest is best, equal ranks are ties."""
    if len(ranks) != len(options):
        raise PlauditError(f"ranks: {len(ranks)} ranks for {len(options)} options; give one rank per option")
    clean = [fields.number(f"ranks[{i}]", rank) for i, rank in enumerate(ranks)]
    order = tuple(tuple(i for i, own in enumerate(clean) if own == rank) for rank in sorted(set(clean)))
    return Ranking(options, order)
