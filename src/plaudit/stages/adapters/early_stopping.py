"""Held-out judgements while a policy learns, and when to stop: reward models are imperfect, and what is optimised
against one first gets better and then worse (Gao et al. 2022, arXiv:2210.10760, section 3)."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from plaudit.environments.language.rollouts import Completions
from plaudit.feedback.comparison import PREFERENCE, Comparison
from plaudit.models.language.policy import LanguagePolicy
from plaudit.rewards.learned.loop import FeedbackSession, Wanted
from plaudit.rewards.text import CompletionStore, comparison
from plaudit.runs.checkpoint import load_tree, save_tree
from plaudit.runs.config import WinRateCheck
from plaudit.storage.store import Response

HELD_OUT = "held-out/"
"""The keys of these questions: held-out/UPDATE/ROW."""
RISK = 0.05
"""Of ending a run in which nothing gets worse."""


@dataclass(frozen=True)
class Check:
    """What people said of the policy of one update, against the model it started from."""

    update: int
    kl: float
    """From the start, in nats per answer."""
    points: float
    """Judgements for the policy; a tie is half of one."""
    judgements: int

    @property
    def rate(self) -> float:
        """The win rate; one half where nobody has judged."""
        return self.points / self.judgements if self.judgements else 0.5


START = Check(0, 0.0, 0.0, 0)
"""The model before its first update: beside itself it wins one half by definition, without error, at no distance."""


class EarlyStopping:
    """Asks people now and then whether the policy has become better than it was, and remembers the policies."""

    def __init__(
        self,
        settings: WinRateCheck,
        session: FeedbackSession,
        store: CompletionStore,
        folder: Path,
        last: int,
    ):
        """`folder`: where policies are kept; `last`: the last update of the run."""
        self.settings, self.session, self.store = settings, session, store
        self.folder, self.last = folder, last
        self.checks: list[Check] = []

    def begin(self, policy: LanguagePolicy) -> None:
        """Keep the policy as it starts, in case nothing that follows is better."""
        if self.settings.stop:
            save_tree(self._place(START.update), policy.trainable())

    def due(self, update: int) -> bool:
        """Whether this update is followed by a check; the last one is, or what it made could never be kept."""
        return bool(self.settings.every) and (update % self.settings.every == 0 or update == self.last)

    def check(
        self, update: int, kl: float, sides: Sequence[Completions], policy: LanguagePolicy
    ) -> list[Response]:
        """Ask for comparisons of fresh answers with earlier ones to the same prompts; returns what was answered.

        Two answers that are the same are not asked about. People who take their time are counted at the next check.
        """
        keys = [f"{HELD_OUT}{update}/{row}" for row in range(len(sides[0].answers))]
        wanted = [Wanted(key, "comparison", "held_out") for key in keys]
        asked = [comparison(self.store, one, update, sides, row) for row, one in enumerate(wanted)]
        self.session.store.enqueue([query for query in asked if query is not None])
        self.session.simulate()
        self.checks = [*[c for c in self.checks if c.update < update], Check(update, kl, 0.0, 0)]
        said = self._count(update)
        if self.settings.stop:
            save_tree(self._place(update), policy.trainable())
        return said[update]

    def _count(self, tick: int) -> dict[int, list[Response]]:
        """Count all checks by what was answered until now; the answers by update."""
        store = self.session.store
        updates = {
            query.id: int(query.key.removeprefix(HELD_OUT).split("/")[0])
            for query in store.queries()
            if query.key.startswith(HELD_OUT)
        }
        said: dict[int, list[Response]] = {check.update: [] for check in self.checks}
        for response in store.view(store.pin_cursor("watch", tick)):
            said.get(updates.get(response.query_id, -1), []).append(response)
        self.checks = [counted(check.update, check.kl, said[check.update]) for check in self.checks]
        return said

    def fallen(self) -> bool:
        """Whether the run should end."""
        return self.settings.stop and fallen(self.checks, self.settings.patience)

    def judged(self) -> bool:
        """Count what came in until the end of the run; whether anybody has judged anything."""
        if self.checks:
            self._count(self.checks[-1].update + 1)
        return any(check.judgements for check in self.checks)

    def restore_best(self, policy: LanguagePolicy) -> int:
        """Put the best policy back, forget the others; returns its update, 0 for the start."""
        kept = best(self.checks).update
        policy.restore(load_tree(self._place(kept)))
        for check in (START, *self.checks):
            if check.update != kept:
                shutil.rmtree(self._place(check.update), ignore_errors=True)
        return kept

    def state_dict(self) -> dict[str, Any]:
        """What has been judged."""
        return {"checks": [vars(check) for check in self.checks]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.checks = [Check(**check) for check in state["checks"]]

    def _place(self, update: int) -> Path:
        return self.folder / f"{update:08d}"


def counted(update: int, kl: float, responses: Sequence[Response]) -> Check:
    """A check from its answers; those that say nothing about order are left out."""
    said = [
        r.feedback
        for r in responses
        if isinstance(r.feedback, Comparison) and r.feedback.answer in PREFERENCE
    ]
    return Check(update, kl, sum(PREFERENCE[one.answer] for one in said), len(said))


def best(checks: Sequence[Check]) -> Check:
    """Whose policy to keep: of the start and the judged checks whose smoothed win rate lies within one standard error
    of the best, the one nearest to the start (the one-standard-error rule, Breiman et al. 1984, section 3.4.3). The
    last one where nobody has judged.

    It sees held-out judgements and KL alone. Smoothed: with the check before and the one after.
    """
    judged = [check for check in checks if check.judgements]
    if not judged:
        return checks[-1]
    found = [(START, 0.5, 0.0), *((check, *_smoothed(judged, i)) for i, check in enumerate(judged))]
    _, highest, error = max(found, key=lambda one: one[1])
    near = [check for check, rate, _ in found if rate >= highest - error]
    return min(near, key=lambda check: max(0.0, check.kl))  # an estimate may be negative, a distance is not


def fallen(checks: Sequence[Check], patience: int) -> bool:
    """Whether the last `patience` checks together lie clearly below the best before them, the start among those.

    Clearly: by more than chance does once in RISK runs of any length where nothing changes. Whoever looks often is
    deceived often, so of that risk the m-th look spends 1 / (m (m + 1)), which adds up to 1.
    """
    early, late = checks[:-patience], _pooled(checks[-patience:])
    if len(early) < 2:
        return False
    top, error = max((0.5, 0.0), *(_smoothed(early, i) for i in range(len(early))))
    errors = NormalDist().inv_cdf(1 - RISK / (len(checks) * (len(checks) + 1)))
    return late[0] < top - errors * sqrt(error**2 + late[1] ** 2)


def _smoothed(checks: Sequence[Check], i: int) -> tuple[float, float]:
    return _pooled(checks[max(0, i - 1) : i + 2])


def _pooled(checks: Sequence[Check]) -> tuple[float, float]:
    """Win rate and standard error of several checks together, as if one more win and one more loss had been seen."""
    count = sum(check.judgements for check in checks) + 2
    rate = (sum(check.points for check in checks) + 1) / count
    return rate, sqrt(rate * (1 - rate) / count)
