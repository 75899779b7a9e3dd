"""The same statement with its options in another order."""

from collections.abc import Sequence
from dataclasses import replace

from plaudit.feedback.binary import Binary
from plaudit.feedback.comparison import Comparison
from plaudit.feedback.ranking import Ranking
from plaudit.feedback.rating import Rating


def permuted(
    feedback: Comparison | Ranking | Rating | Binary, order: Sequence[int]
) -> Comparison | Ranking | Rating | Binary:
    """What is said, with option `order[0]` first, then `order[1]` and so on; `order` names every place once."""
    if isinstance(feedback, Comparison):
        return feedback if list(order) == [0, 1] else feedback.swap()
    if isinstance(feedback, Ranking):
        options = tuple(feedback.options[place] for place in order)
        if feedback.order is None:
            return replace(feedback, options=options)
        new = {old: place for place, old in enumerate(order)}
        groups = tuple(tuple(new[place] for place in group) for group in feedback.order)
        return replace(feedback, options=options, order=groups)
    return feedback


def inverse(order: Sequence[int]) -> list[int]:
    """The order that takes back another one."""
    return sorted(range(len(order)), key=lambda place: order[place])
