"""The stage `reward`: learn a reward model from what people said in files, and say honestly how good it is.

The same learner as in a live run (`rewards/learned`), with the same defaults: the same answers and seed give the same
model.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch

from plaudit.declared import Count, Whole, at_least, between
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.readers.arrays import read_pairs
from plaudit.readers.judgements import Judged, judged_pairs, read_judgements
from plaudit.readers.texts import Text
from plaudit.rewards.learned.terms import Judgement
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer
from plaudit.runs import settings
from plaudit.runs.agreement import defaults
from plaudit.runs.config import merged
from plaudit.runs.statistics import mean_interval, share_interval
from plaudit.runs.streams import generator, threads
from plaudit.seeds import seed_of
from plaudit.stages.adapters import adapter

if TYPE_CHECKING:
    from plaudit.models.language.reward_model import TextReward


Watch = Callable[[float], None]
"""Is told what share of the work is done."""


def divided(prompts: Sequence[Text], share: float, seed: int) -> tuple[list[int], list[int]]:
    """The places of the rows to learn from and of those held out, both in an order drawn from the seed.

    `share` of the different prompts, at least one, is held out.
    """
    keys = [prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True) for prompt in prompts]
    different = list(dict.fromkeys(keys))
    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed)).tolist()
    kept = max(1, round(share * len(different)))
    rank = {different[i]: place for place, i in enumerate(order)}
    places = sorted(range(len(keys)), key=lambda i: rank[keys[i]])
    return [i for i in places if rank[keys[i]] >= kept], [i for i in places if rank[keys[i]] < kept]


MODEL = "reward model"
"""Among the results."""


@dataclass(frozen=True)
class RewardFromFiles(LearnedConfig):
    """How a reward model is learned from files of answers."""

    start: str | None = None
    """Text: a folder (or hub id) with the language model, or reward model, to start from."""
    model: RewardConfig = RewardConfig()
    """Segments: the networks of the reward model."""
    split: str | None = None
    """Learn from the rows of this split alone."""
    test: str | None = None
    """A file with answers to test on; none: rows of the same files."""
    test_split: str | None = None
    """Test on the rows of this split."""
    held_out: Annotated[float, between(0.01, 0.9)] = 0.2
    """Where neither is given: the share of the answers kept for the test (of texts, of their prompts)."""
    folds: Annotated[int, at_least(2)] = 5
    """Folds of a cross-validation."""
    repeats: Whole = 0
    """Times a cross-validation is repeated with other folds, in place of one test; 0: none."""
    length: Annotated[int, at_least(4)] | None = None
    """Text: tokens that are read, from its end; none: as many as the model takes."""
    judged_by: tuple[str, ...] = ()
    """Text: columns that say by what a row was judged, such as a criterion: the model reads them first."""
    rows: Count = 64
    """Text: texts read at once; less needs less memory."""
    device: str = "auto"
    """Text: cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch."""
    seed: Whole = 0
    """Seed of everything."""


@dataclass(frozen=True)
class Accuracy:
    """The share of decided comparisons (of rankings: of their pairs) in the order people gave, with a 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Answers:
    """What is learned from, and what is tested on."""

    train: list[Judged]
    test: list[Judged]
    """Empty where a cross-validation tests."""

    @property
    def medium(self) -> str:
        """What they are about: control or language."""
        return "control" if self.train[0].medium == "control" else "language"


@dataclass(frozen=True)
class Learned:
    """A fitted reward model."""

    medium: Any
    """A `RewardMedium`, its zero and its scale fixed over what it has learned from."""
    trainer: RewardTrainer
    metrics: dict[str, float] = field(default_factory=dict)
    """How well it explains what it has learned from (not how well it would other answers)."""


def usual(medium: str) -> RewardFromFiles:
    """The settings that a live run of this medium has; for segments 30 times 5 folds beside them."""
    own = {"repeats": 30} if medium == "control" else {}
    shared = ("likelihood", "fit", "people", "kinds", "model")
    known = {name: value for name, value in defaults(medium, "on_policy")["reward"].items() if name in shared}
    return settings.build(RewardFromFiles, merged(known, own), "")


def read(files: Sequence[Path], config: RewardFromFiles) -> Answers:
    """The answers in files, of every kind. Where nothing says which are tested on, a share of the prompts is held out
    with all their answers; segments are cross-validated unless `repeats` is 0."""
    _refuse_known(files, config)
    rows = [row for file in files for row in _rows(file, config.split)]
    media = {row.medium for row in rows}
    if len(media) > 1:
        raise PlauditError(f"{files[0]}: texts and segments are learned apart; give files of one kind")
    if config.test is not None or config.test_split is not None:
        others = [Path(config.test)] if config.test is not None else files
        return Answers(rows, [row for file in others for row in _rows(file, config.test_split)])
    if config.repeats:
        return Answers(rows, [])
    keys = [str(i) if row.prompt is None else row.prompt for i, row in enumerate(rows)]
    train, test = divided(keys, config.held_out, seed_of(config.seed, "held out"))
    return Answers([rows[i] for i in train], [rows[i] for i in test])


def silent(share: float) -> None:
    """Nobody is told how far it is."""


FEW = 30
"""Comparisons to test on of which it is said that they are few."""


@dataclass(frozen=True)
class Outcome:
    """What came of learning a reward model."""

    accuracy: dict[str, Accuracy]
    """Of the model and of rules that need none, on held-out answers."""
    notes: tuple[str, ...] = ()
    """What somebody should know."""


def learn(
    answers: Answers, config: RewardFromFiles, out: Path, about: dict[str, Any], watch: Watch = silent
) -> Outcome:
    """Fit a reward model, save it in `out`, and say how it and rules that need no model do on held-out answers.

    `watch` is told again and again what share of all is done.
    """
    of_medium = adapter(answers.medium)
    of_medium.refuse_model(out)
    settings.validate(config)
    if answers.medium == "language" and config.fit.subsample != type(config.fit)().subsample:
        raise PlauditError("fit.subsample: has no effect, a text has one score; leave this out")
    with threads(config.threads), of_medium.memory_explained():
        crossed = bool(config.repeats and not answers.test)
        parts = _Parts(watch, (config.repeats * config.folds if crossed else 1) + 1)
        results = cross_validate(answers.train, config, parts) if crossed else _tested(answers, config, parts)
        learned = fit(answers.train, config, watch=parts.part())
        about = about | {"answers": len(answers.train), "people": learned.trainer.people.report()}
        about["accuracy"] = {name: vars(one) for name, one in results.items()}
        about["notes"] = notes = of_medium.notes(learned.medium, [*answers.train, *answers.test])
        tested = sum(one.decided for one in answers.test)
        if 0 < tested < FEW:
            notes.append(
                f"{tested} comparisons are few to test on; hold out a larger share, or give more answers"
            )
        of_medium.save_reward(out, learned.medium, about)
    return Outcome(results, tuple(notes))


class _Parts:
    """Progress over fits of about the same length, one after another."""

    def __init__(self, watch: Watch, total: int):
        self.watch, self.total, self.begun = watch, total, 0

    def part(self) -> Watch:
        """What the next fit tells its share."""
        before, self.begun = self.begun, self.begun + 1
        return lambda share: self.watch((before + share) / self.total)


def fit(
    rows: Sequence[Judged],
    config: RewardFromFiles,
    known: "Spaces | TextReward | None" = None,
    watch: Watch = silent,
) -> Learned:
    """A reward model of all these answers. `known`: what the environment says of its spaces, or the model to begin
    from, where somebody has it at hand."""
    of_medium = adapter(Answers(list(rows), []).medium)
    medium = of_medium.reward_medium(rows, config, known)
    trainer = RewardTrainer(medium, config, generator(config.seed, "feedback"))
    trainer.watch = watch
    judgements = as_judgements(rows)
    try:
        trainer.fit(judgements)
    except PlauditError as error:  # in a run the settings of the fit lie below `reward`
        raise PlauditError(str(error).replace("reward.fit.", "fit.")) from None
    of_medium.normalise(medium, rows)
    return Learned(medium, trainer, explained(trainer, judgements))


def explained(trainer: RewardTrainer, judgements: Sequence[Judgement]) -> dict[str, float]:
    """The metrics of the likelihood of all judgements, by what is fitted."""
    from plaudit.rewards.learned.fit import assess

    found: dict[str, float] = {}
    for term in trainer.terms(judgements):
        told = assess(trainer.returns(term), trainer.people.entering(term.judgements), term.likelihood)
        found = {**told, **found}
    return found


def as_judgements(rows: Sequence[Judged]) -> list[Judgement]:
    """Rows of a file as judgements; ratings without a scale of their own go from the smallest to the largest there."""
    values = [row.said[0] for row in rows if row.kind == "rating" and row.scale is None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if values and not low < high:
        where = next(row.where for row in rows if row.kind == "rating" and row.scale is None)
        raise PlauditError(
            f"{where}: every rating is {low:g}; give the scale (`low` and `high`), or ratings that differ"
        )
    found = []
    for row in rows:
        said = row.said
        if row.kind == "rating":
            a, b = row.scale or (low, high)
            said = ((said[0] - a) / (b - a),)
        found.append(Judgement(row.kind, row.things, said, row.person, row.first_shown, row.where))
    return found


def cross_validate(
    rows: Sequence[Judged], config: RewardFromFiles, parts: _Parts | None = None
) -> dict[str, Accuracy]:
    """Held-out accuracy on decided comparisons of the model and of rules, on the same folds.

    Equal pairs and other kinds of answers teach, but are never scored; nothing is where there are no others.
    """
    of_medium = adapter(Answers(list(rows), []).medium)
    decided = [i for i, row in enumerate(rows) if row.decided]
    if not decided and any(row.kind != "comparison" for row in rows):
        return {}
    others = [row for row in rows if not row.decided]
    if len(decided) < 2 * config.folds:
        raise PlauditError(
            f"only {len(decided)} pairs are decided; give at least {2 * config.folds}, or fewer --folds"
        )
    hits: dict[str, list[float]] = {}
    for repeat in range(config.repeats):
        order = torch.randperm(len(decided), generator=generator(config.seed, f"folds/{repeat}")).tolist()
        right: dict[str, float] = {}
        for number in range(config.folds):
            test = [rows[decided[i]] for i in order[number :: config.folds]]
            train = [rows[decided[i]] for j, i in enumerate(order) if j % config.folds != number] + others
            seeded = settings.build(
                RewardFromFiles,
                settings.dump(config) | {"seed": seed_of(config.seed, repeat, number) % 2**31},
                "",
            )
            watch = silent if parts is None else parts.part()
            margins = {MODEL: _margins(train, test, seeded, watch)} | of_medium.rules(train, test)
            for name, margin in margins.items():
                right[name] = right.get(name, 0.0) + float((margin > 0).sum())
        for name, count in right.items():
            hits.setdefault(name, []).append(count / len(decided))
    return {name: Accuracy(*_over_repeats(values)) for name, values in hits.items()}


def _over_repeats(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    mean, low, high = mean_interval(values)
    return mean, max(0.0, low), min(1.0, high)  # a share, of which few repeats say little


def _tested(answers: Answers, config: RewardFromFiles, parts: _Parts) -> dict[str, Accuracy]:
    decided = [row for row in answers.test if row.decided]
    if not decided and answers.train and any(row.kind != "comparison" for row in answers.train):
        return {}
    if len(answers.train) < 2 or len(decided) < 2:
        raise PlauditError(
            f"{len(answers.train)} answers to learn from and {len(decided)} decided comparisons to test on are too "
            "few; give at least 2 of each"
        )
    margins = {MODEL: _margins(answers.train, decided, config, parts.part())}
    margins |= adapter(answers.medium).rules(answers.train, decided)
    return {name: Accuracy(*share_interval((margin > 0).double() + 0.5 * (margin == 0).double()))
            for name, margin in margins.items()}  # fmt: skip


def _margins(
    train: Sequence[Judged], test: Sequence[Judged], config: RewardFromFiles, watch: Watch
) -> torch.Tensor:
    """By how much the model puts what was chosen above the other, for every decided comparison of a test."""
    learned = fit(train, config, watch=watch)
    (term,) = learned.trainer.terms([one for one in as_judgements(test)])
    returns = learned.trainer.returns(term).cpu()
    if not torch.isfinite(returns).all():
        raise PlauditError("the fit has diverged: scores are no longer finite; lower fit.learning_rate")
    sign = torch.sign(term.judgements.preference.cpu() - 0.5)  # type: ignore[union-attr]
    return sign * (returns[:, 0] - returns[:, 1])


def _rows(file: Path, split: str | None) -> list[Judged]:
    if file.suffix == ".npz":
        return judged_pairs(read_pairs(file), str(file))
    return read_judgements(file, split)


def _refuse_known(files: Sequence[Path], config: RewardFromFiles) -> None:
    """Raise PlauditError where rows would be learned from and tested on."""
    if config.test is None and config.test_split is None:
        return
    same = config.test is None or Path(config.test).resolve() in {file.resolve() for file in files}
    if not same or (config.split != config.test_split and None not in (config.split, config.test_split)):
        return
    if config.test_split is not None:
        raise PlauditError(
            f"split: the rows of {config.test_split!r} would be learned from and tested on; name another split to "
            "learn from"
        )
    raise PlauditError(
        f"test: the comparisons of {config.test} are learned from as well; give another file, name a test_split, or "
        "leave it out to hold some back"
    )
