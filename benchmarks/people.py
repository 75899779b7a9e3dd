"""What it is worth to tell people apart: a panel of three honest people, one who answers by chance and one who lies.

    python -m benchmarks.people [--seeds 5] [--comparisons 250] [--later 0] [--beta 1]

Everybody answers a share of the comparisons of synthetic segments. A reward is fitted to all answers with reliabilities
estimated (aware), to all answers as if everybody meant what they say (unaware), and to the answers of the honest people
alone, taken at their word. Each forecasts held-out answers of an honest person to other segments: the mean negative
log-likelihood. `reward alone` is the aware reward without what was estimated of that person, which is surer of itself
than its forecasts are. The table goes to benchmarks/results/people.md.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from benchmarks.machine import RESULTS, described
from plaudit.annotators.client import SimulatedAnnotator, take_turns
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions
from plaudit.rewards.control import SegmentReward
from plaudit.rewards.learned.calibration import forecast
from plaudit.rewards.learned.people import PeopleConfig
from plaudit.rewards.learned.terms import Judgement, of_responses
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer
from plaudit.seeds import seed_of
from plaudit.storage.answer_log import AnswerLog
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import NewQuery

MISTAKES = {"honest-0": 0.0, "honest-1": 0.0, "honest-2": 0.0, "random": 0.5, "liar": 1.0}
"""The panel: how often each says the opposite of what they mean."""
STEPS, FEATURES = 20, 3
HELD_OUT = 500
REQUIRED = 1.2
"""Largest mean ratio of the aware loss to that of the honest people alone."""
SPACES = Spaces(FEATURES, 1, "continuous")


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    comparisons: int
    later: int
    """Fits after the first."""
    beta: float
    """Rationality of everybody."""


@dataclass(frozen=True)
class Result:
    """What one seed came to."""

    reliability: dict[str, float]
    """Estimated, by name."""
    aware: float
    """Held-out loss of the fit that estimates reliabilities, to everybody's answers."""
    reward_alone: float
    """The same without the reliability of whoever answered."""
    unaware: float
    """The same of the fit that takes everybody at their word."""
    honest: float
    """The same of the fit to the honest people's answers alone."""

    @property
    def ratio(self) -> float:
        """Of the aware loss to that of the honest people alone."""
        return self.aware / self.honest

    @property
    def in_order(self) -> bool:
        """Whether every honest person seems more reliable than chance, and chance more than the liar."""
        honest = min(value for name, value in self.reliability.items() if name.startswith("honest"))
        return honest > self.reliability["random"] > self.reliability["liar"]


def segments(count: int, seed: int) -> dict[str, Transitions]:
    """Segments that differ more than their steps do; it is good to be near a state at little effort."""
    generator = torch.Generator().manual_seed(seed)
    where = torch.randn(count, 1, FEATURES, generator=generator)
    states = where + 0.5 * torch.randn(count, STEPS + 1, FEATURES, generator=generator)
    actions = torch.randn(count, STEPS, 1, generator=generator)
    here = states[:, :-1]
    reward = -((here[..., 0] - 0.5) ** 2) + 0.5 * here[..., 1] - 0.1 * actions[..., 0] ** 2
    fields = here, actions, actions, states[:, 1:], 2.0 * reward / STEPS
    return {f"{seed}/{i}": Transitions(*(field[i : i + 1] for field in fields)) for i in range(count)}


def answered(known: dict[str, Transitions], panel: dict[str, SimulatedPerson], seed: int) -> list[Judgement]:
    """What the panel says of these segments, two and two, each person of every so many questions."""
    store, items = MemoryStore(), list(known)
    pairs = zip(items[::2], items[1::2], strict=True)
    store.enqueue([NewQuery(str(i), "comparison", pair, 0, {}) for i, pair in enumerate(pairs)])
    people = [SimulatedAnnotator(name, person, seed) for name, person in panel.items()]
    take_turns(people, AnswerLog(store), lambda item: known[item].environment_rewards[0].numpy())
    return of_responses(store.answers())


def fitted(
    judgements: Sequence[Judgement],
    known: dict[str, Transitions],
    estimate: Literal["several", "never"],
    seed: int,
    fits: int,
) -> RewardTrainer:
    """A reward that was fitted once and then so many times more, as the loop does where answers come in."""
    model = RewardEnsemble(SPACES, RewardConfig(), torch.Generator().manual_seed(seed))
    config = LearnedConfig(people=PeopleConfig(estimate=estimate))
    medium = SegmentReward(model, known.__getitem__, config.fit.subsample)
    trainer = RewardTrainer(medium, config, torch.Generator().manual_seed(seed))
    for _ in range(fits):
        trainer.fit(judgements)
    return trainer


def measured(seed: int, setting: Setting) -> Result:
    """One seed."""
    train = segments(2 * setting.comparisons, seed_of(seed, "train"))
    other = segments(2 * HELD_OUT, seed_of(seed, "held out"))
    panel = {name: SimulatedPerson(setting.beta, mistake) for name, mistake in MISTAKES.items()}
    judgements = answered(train, panel, seed)
    honest = [one for one in judgements if one.person is not None and MISTAKES[one.person] == 0]
    held_out = answered(other, {"honest-0": panel["honest-0"]}, seed_of(seed, "held out"))
    unknown = [replace(one, person=None) for one in held_out]
    fits = {
        "aware": fitted(judgements, train | other, "several", seed, 1 + setting.later),
        "unaware": fitted(judgements, train | other, "never", seed, 1 + setting.later),
        "honest": fitted(honest, train | other, "never", seed, 1 + setting.later),
    }
    losses = {name: forecast(one, held_out)["reward/held_out_nll"] for name, one in fits.items()}
    losses["reward_alone"] = forecast(fits["aware"], unknown)["reward/held_out_nll"]
    report = fits["aware"].people.report()
    return Result({name: report[name]["reliability"] for name in MISTAKES}, **losses)


def table(results: Sequence[Result]) -> str:
    """The figures of all seeds, and their means."""
    rows = [
        [*one.reliability.values(), one.aware, one.reward_alone, one.unaware, one.honest, one.ratio]
        for one in results
    ]
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    orders = ["yes" if one.in_order else "no" for one in results]
    total = f"{orders.count('yes')} of {len(orders)}"
    heads = [
        "seed",
        *MISTAKES,
        "aware",
        "reward alone",
        "unaware",
        "honest alone",
        "aware / honest alone",
        "in order",
    ]
    lines = [heads, ["---"] * len(heads)]
    for name, figures, order in zip(
        [*map(str, range(len(rows))), "mean"], [*rows, means], [*orders, total], strict=True
    ):
        lines.append([name, *(f"{figure:.3f}" for figure in figures), order])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def failures(results: Sequence[Result]) -> list[str]:
    """What was required and not reached."""
    missed = [
        f"seed {seed}: reliabilities out of order" for seed, one in enumerate(results) if not one.in_order
    ]
    ratio = statistics.mean(one.ratio for one in results)
    if ratio > REQUIRED:
        missed.append(f"aware / honest alone is {ratio:.3f} on the mean, above {REQUIRED}")
    return missed


def main() -> int:
    """Measure, print and keep the table; 1 where what is required was not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--comparisons", type=int, default=250)
    parser.add_argument("--later", type=int, default=0, help="fits after the first")
    parser.add_argument("--beta", type=float, default=1.0, help="rationality of everybody; inf: never unsure")
    args = parser.parse_args()
    torch.set_num_threads(1)
    setting = Setting(args.comparisons, args.later, args.beta)
    results = [measured(seed, setting) for seed in range(args.seeds)]
    missed = failures(results)
    said = (
        f"{args.comparisons} comparisons, {args.later} fits after the first, beta {args.beta:g}; estimated "
        f"reliabilities of five people, then held-out losses.\n\n{table(results)}\n\n"
        f"{'; '.join(missed) or 'All that is required was reached.'}\n\n{described('plaudit', 'torch')}\n"
    )
    print(said)
    if setting == Setting(250, 0, 1.0) and args.seeds >= 5:
        (RESULTS / "people.md").write_text(f"# Telling people apart\n\n{said}", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
