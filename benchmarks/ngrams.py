"""Character n-grams: what a model of text has to beat before it is worth anything."""

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Any


class NGrams:
    """Interpolated modified Kneser-Ney over characters (Chen and Goodman 1999, section 4.1)."""

    def __init__(self, text: str, most: int):
        self.alphabet = len(set(text)) + 1  # and one for all that was never seen
        raw = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for n in range(1, most + 1)]
        lower = [Counter(gram[1:] for gram in grams) for grams in raw[1:]]
        """How many different characters stand before each gram."""
        self.top, self.lower = [_discounted(grams) for grams in raw], [_discounted(grams) for grams in lower]
        self.tail = text[-most:]

    def losses(self, text: str) -> list[float]:
        """Nats per character of a text that follows, for n-grams of 1, 2, 3 ... characters."""
        found, below = [], [1 / self.alphabet] * len(text)
        for n, top in enumerate(self.top, 1):
            found.append(-sum(map(log, self._probabilities(text, n, top, below))) / len(text))
            if n < len(self.top):
                below = self._probabilities(text, n, self.lower[n - 1], below)
        return found

    def _probabilities(self, text: str, n: int, table: Any, below: list[float]) -> list[float]:
        counts, discounts, totals, freed = table
        whole, said = self.tail + text, []
        for i, under in enumerate(below, len(self.tail)):
            gram = whole[i - n + 1 : i + 1]
            total, count = totals[gram[:-1]], counts[gram]
            kept = count - discounts[min(count, 3)]
            said.append((kept + freed[gram[:-1]] * under) / total if total else under)
        return said


def _discounted(counts: Counter[str]) -> tuple[Counter[str], Sequence[float], Counter[str], Counter[str]]:
    """Counts, what is taken off a count of 0, 1, 2 and more, and of each context the total and what was taken off."""
    of = Counter(counts.values())
    discounts: Sequence[float] = (0, 0.5, 0.5, 0.5)  # where too few grams are rare to estimate them
    if min(of[1], of[2], of[3], of[4]) >= 10:
        y = of[1] / (of[1] + 2 * of[2])
        discounts = [0, *(max(0.0, k - (k + 1) * y * of[k + 1] / of[k]) for k in (1, 2, 3))]
    totals, freed = Counter[str](), Counter[str]()
    for gram, count in counts.items():
        totals[gram[:-1]] += count
        freed[gram[:-1]] += discounts[min(count, 3)]  # type: ignore[assignment]
    return counts, discounts, totals, freed


def baseline(text: str, held_out: float, most: int = 9) -> dict[str, Any]:
    """The n-gram model on the text's end; n is chosen on the end of the part before it."""
    cut = round(len(text) * (1 - held_out))
    inner = round(cut * (1 - held_out))
    tried = NGrams(text[:inner], most).losses(text[inner:cut])
    n = min(range(most), key=lambda i: tried[i]) + 1
    return {"n": n, "nats": NGrams(text[:cut], n).losses(text[cut:])[-1], "characters": len(text) - cut}
