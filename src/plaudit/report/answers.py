"""What people said, by what the store holds."""

from dataclasses import dataclass, field

from plaudit.feedback import Comparison
from plaudit.runs.folder import RunFolder
from plaudit.storage import open_store
from plaudit.storage.store import LARGEST


@dataclass
class Said:
    """Counts of the answers of one person, or of all."""

    counts: dict[str, int] = field(default_factory=dict)
    """By answer: first, second, equal, both_bad, skip."""
    left: int = 0
    """Decided answers for the option shown on the left."""
    sided: int = 0
    """Decided answers of which we know the side."""
    held_out: int = 0
    """Answers that nothing learns from."""

    @property
    def total(self) -> int:
        """Answers in all."""
        return sum(self.counts.values())

    def add(self, comparison: Comparison, shown: tuple[str, ...], held_out: bool = False) -> None:
        """Count an answer; `shown` are the options from left to right, empty where unknown."""
        self.held_out += held_out
        self.counts[comparison.answer] = self.counts.get(comparison.answer, 0) + 1
        if comparison.answer in ("first", "second") and len(set(shown)) == 2:
            self.sided += 1
            self.left += comparison.options[comparison.answer == "second"] == shown[0]


def read(folder: RunFolder) -> dict[str, Said]:
    """Standing answers by person; PlauditError where the store cannot be read. Nothing without a store."""
    if not folder.feedback.exists():
        return {}
    store = open_store(folder.feedback)
    found: dict[str, Said] = {}
    try:
        view = store.view(LARGEST)
        queries = {query.id: query for query in store.queries()}
        for response in view:
            if isinstance(response.feedback, Comparison):
                query = queries.get(response.query_id)
                items = query.items if query is not None else ()
                shown = tuple(items[place] for place in response.shown_order if place < len(items))
                held_out = query is not None and query.purpose != "train"
                found.setdefault(response.annotator, Said()).add(response.feedback, shown, held_out)
    finally:
        store.close()
    return dict(sorted(found.items()))


def together(people: dict[str, Said]) -> Said:
    """Everybody's answers."""
    total = Said()
    for said in people.values():
        total.held_out += said.held_out
        total.left, total.sided = total.left + said.left, total.sided + said.sided
        for answer, count in said.counts.items():
            total.counts[answer] = total.counts.get(answer, 0) + count
    return total
