"""The config of a language run: what `plaudit run` reads and what the run folder keeps."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from plaudit.annotators.simulated import SimulatedPerson
from plaudit.declared import Count, Finite, Whole, at_least, between
from plaudit.environments.language.caps import Cap, Score
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.models.language.policy import PolicyConfig
from plaudit.pipeline.checked import learner_agrees
from plaudit.runs import algorithms, aliases, settings
from plaudit.trainers import on_policy
from plaudit.rewards.learned import fit as reward_fit

SERVICE = "service"
"""In place of a file: the service dialogues that plaudit generates."""
RUBRIC = "rubric"
"""In place of a function: the rubric of the service dialogues."""


@dataclass(frozen=True)
class Language:
    """What is asked of the model, and how it answers."""

    prompts: str = SERVICE
    """A file with prompts (JSONL, JSON or CSV), or `service`: the service dialogues that plaudit generates."""
    split: str | None = None
    """Learn from the rows of this split alone."""
    evaluate_on: str | None = None
    """A file with prompts to evaluate on; none: rows of the same file that are not learned from."""
    evaluate_split: str | None = None
    """Evaluate on the rows of this split."""
    held_out: Annotated[float, between(0.01, 0.9)] = 0.1
    """Where neither is given: the share of the prompts kept for the evaluation."""
    count: Annotated[int, at_least(10)] = 2000
    """How many service dialogues to generate."""
    too_long: Literal["refuse", "leave out", "cut"] = "refuse"
    """A prompt that with its answer does not fit the model's context: an error, left out, or cut at its beginning."""
    answer_tokens: Count = 64
    """The length cap of an answer."""
    batch: Count = 64
    """Answers per update."""
    each: Count = 1
    """Answers to each prompt."""
    stop: tuple[str, ...] = ()
    """Further texts that end an answer, each of them one token."""
    cap: Cap = Score()
    """What the length cap means: score, penalty or bootstrap."""


@dataclass(frozen=True)
class RewardSettings:
    """What is optimised, and how the learned part of it is learned."""

    weights: dict[str, Finite] = field(default_factory=lambda: {"learned": 1.0})
    """Weights of the learned reward (`learned`) and of the functions, by name."""
    functions: dict[str, str] = field(default_factory=dict)
    """Reward functions by name, each as path/to/file.py:function."""
    time_limit: Annotated[float, at_least(0.001)] = 60.0
    """Seconds a function may take for a batch of answers."""
    start: str | None = None
    """A folder with a reward model to start from; none: one on the trunk of the policy."""
    likelihood: bradley_terry.Config = bradley_terry.Config()
    """How answers of people depend on the reward."""
    fit: reward_fit.Config = reward_fit.Config(
        learning_rate=5e-4, weight_decay=0.01, first_steps=100, steps=20, minibatch_size=32, schedule="linear",
        max_grad_norm=1.0,
    )  # fmt: skip
    """How the reward model is fitted."""


@dataclass(frozen=True)
class FeedbackSettings:
    """What people are asked, and when."""

    labels: Whole = 0
    """Comparisons asked for in all; 0: nobody is asked."""
    first: Count = 400
    """Comparisons of answers of the model as it starts."""
    rounds: Whole = 5
    """Rounds in which the others are asked, about answers of the model as it is then."""
    until: Annotated[float, between(0, 0.99)] = 0.6
    """Share of the updates after which nothing more is asked."""
    people: tuple[SimulatedPerson, ...] = (SimulatedPerson(),)
    """Simulated people who answer in turn; an empty list waits for real ones."""
    ahead: Whole = 10
    """Real people: the loop rests while more questions than this wait, so that it does not run away from them."""
    patience: Annotated[float, at_least(0.001)] | None = None
    """Real people: seconds it rests without an answer before it goes on with what it knows; none: it waits for them."""


@dataclass(frozen=True)
class WatchSettings:
    """Held-out judgements: people compare fresh answers with those of the model as it started. Nobody
    learns from them."""

    every: Whole = 0
    """Updates between the checks; 0: none."""
    judgements: Annotated[int, at_least(2)] = 60
    """Comparisons at each check."""
    stop: bool = False
    """End the run once the judgements have clearly fallen, and keep the model from before."""
    patience: Count = 3
    """Checks in a row that must lie below the best."""


@dataclass(frozen=True)
class RunConfig:
    """A language run: a policy learns from a learned reward, from functions, or from both."""

    start: str
    """A folder (or hub id) with the language model to start from."""
    language: Language = Language()
    """What is asked, and how it is answered."""
    reference: str | None = None
    """A folder (or hub id) with the model to stay near, where a KL price is set; none: the start."""
    algorithm: str = "ppo"
    """An on-policy algorithm by name, or the path of a Python file with one."""
    settings: Any = None
    """The mathematics: the Config of the algorithm; the discount is 1 unless given."""
    trainer: on_policy.Config = on_policy.Config(
        learning_rate=3e-4, epochs=4, minibatch_size=16, max_grad_norm=1.0
    )
    """How the algorithm's loss is descended."""
    policy: PolicyConfig = PolicyConfig()
    """Critic, adapters, precision."""
    updates: Count = 50
    """Updates in all."""
    reward: RewardSettings = RewardSettings()
    """What is optimised."""
    feedback: FeedbackSettings = FeedbackSettings()
    """What people are asked."""
    hidden: str | None = None
    """What answers are truly worth: `rubric` (service dialogues) or path/to/file.py:function. Simulated people judge by
    it and evaluations report it; nothing learns from it."""
    watch: WatchSettings = WatchSettings()
    """Held-out judgements while learning."""
    evaluate_every: Whole = 5
    """Updates between evaluations on held-out prompts; 0: at the start and the end only."""
    evaluate_prompts: Count = 100
    """Held-out prompts of each evaluation."""
    checkpoint_every: Count = 10
    """Updates between checkpoints."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch during the run."""
    seed: int = 0
    """Seed of everything."""


def from_mapping(mapping: dict[str, Any], where: str) -> RunConfig:
    """A config from plain data; `where` names its source in errors."""
    try:
        return checked(draft(mapping))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


def draft(mapping: dict[str, Any]) -> RunConfig:
    """A config from plain data whose fields need not agree yet: flags may say more."""
    mapping = aliases.expand(mapping, aliases.LANGUAGE, {one.name for one in fields(RunConfig)})
    return with_settings(settings.build(RunConfig, mapping, ""))


def with_settings(config: RunConfig) -> RunConfig:
    """The config with its algorithm's settings as that algorithm's Config."""
    schema = algorithms.find(config.algorithm).Config
    given = {} if config.settings is None else config.settings
    if isinstance(given, dict):
        given = {"discount": 1.0} | given
    return replace(config, settings=settings.build(schema, given, "settings"))


def checked(config: RunConfig) -> RunConfig:
    """The config, if it makes sense; PlauditError with the field to change otherwise."""
    settings.validate(config)
    learner_agrees(config, reference=True, critic=config.policy.critic != "none")
    weights, reward, feedback = config.reward.weights, config.reward, config.feedback
    asks_well(config.language, config.hidden)
    if "learned" in reward.functions:
        raise PlauditError(
            "reward.functions: `learned` is the name of the learned reward; give the function another name"
        )
    unknown = sorted(set(weights) - {"learned", *reward.functions})
    if unknown:
        raise PlauditError(
            f"reward.weights: {unknown[0]!r} is neither `learned` nor one of reward.functions; name it"
        )
    if not any(weights.values()):
        raise PlauditError("reward.weights: all are 0, so nothing is wanted; give at least one a weight")
    if weights.get("learned") and not feedback.labels and reward.start is None:
        raise PlauditError(
            "reward.weights: 'learned' has a weight but nothing teaches it; set feedback.labels or reward.start"
        )
    if reward.start is not None and "learned" not in weights:
        raise PlauditError(
            "reward.start: a reward model is given but reward.weights does not name `learned`; give it a weight (0 to "
            "log it alone)"
        )
    if feedback.labels and not weights.get("learned"):
        raise PlauditError(
            "feedback.labels: people are asked but reward.weights gives 'learned' no weight; give it one"
        )
    if reward.fit.drawn != reward_fit.Config().drawn:
        raise PlauditError(
            "reward.fit.drawn: has no effect, a text has one score and nothing is drawn of it; leave this out"
        )
    if feedback.labels and feedback.first > feedback.labels:
        raise PlauditError("feedback.first: more than feedback.labels; lower it")
    if (feedback.labels or config.watch.every) and feedback.people and config.hidden is None:
        raise PlauditError("hidden: simulated people need something to judge by; give `rubric` or a function")
    if config.watch.stop and not config.watch.every:
        raise PlauditError("watch.stop: there are no checks to stop by; set watch.every")
    return config


def asks_well(language: Language, hidden: str | None) -> None:
    """Are prompts to learn from and prompts to evaluate on told apart, and can their answers be judged? PlauditError
    with the field to change otherwise."""
    if hidden == RUBRIC and language.prompts != SERVICE:
        raise PlauditError("hidden: the rubric judges service dialogues alone; give a function of your own")
    given = (language.split, language.evaluate_on, language.evaluate_split)
    if language.prompts == SERVICE and given != (None, None, None):
        raise PlauditError(
            "language.prompts: service dialogues have no splits and bring their own held-out prompts; leave out split, "
            "evaluate_on and evaluate_split, or give a file"
        )
    other = language.evaluate_on
    same = other is None or Path(other).resolve() == Path(language.prompts).resolve()
    if language.evaluate_split is not None and same and language.split in (None, language.evaluate_split):
        raise PlauditError(
            f"language.split: the rows of {language.evaluate_split!r} would be learned from and evaluated on; name "
            "another split to learn from"
        )
    if language.evaluate_split is None and other is not None and same:
        raise PlauditError(
            "language.evaluate_on: these prompts are learned from as well; give another file, or leave it out to hold "
            "some back"
        )
    if language.each > language.batch:
        raise PlauditError(
            f"language.each: {language.each} answers to each prompt are more than the {language.batch} of an update; "
            "lower it or raise language.batch"
        )


def settled(config: RunConfig) -> RunConfig:
    """The config with absolute paths, so that its run can be resumed from anywhere; hub ids stay as they are."""

    def absolute(path: str | None) -> str | None:
        return str(Path(path).absolute()) if path is not None and Path(path).exists() else path

    def function(place: str | None) -> str | None:
        if place is None or ".py" not in place:
            return place
        file, colon, name = place.rpartition(":")
        return f"{absolute(file)}{colon}{name}" if file.endswith(".py") else absolute(place)

    language = replace(
        config.language,
        prompts=absolute(config.language.prompts),
        evaluate_on=absolute(config.language.evaluate_on),
    )
    functions = {name: str(function(place)) for name, place in config.reward.functions.items()}
    reward = replace(config.reward, start=absolute(config.reward.start), functions=functions)
    algorithm = str(absolute(config.algorithm)) if config.algorithm.endswith(".py") else config.algorithm
    return replace(
        config, language=language, reward=reward, algorithm=algorithm, start=str(absolute(config.start)),
        reference=absolute(config.reference), hidden=function(config.hidden),
    )  # fmt: skip
