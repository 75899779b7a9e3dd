"""The config of a run: what `plaudit run` reads and what the run folder keeps; one for both media.

What differs by medium is tagged: `environment: {kind: control, ...}` or `{kind: language, ...}`; the tag may be left
out where the fields say which it is.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from plaudit.declared import Count, Whole, at_least
from plaudit.environments.control.config import Control, absolute
from plaudit.environments.language.config import SERVICE, Language
from plaudit.errors import PlauditError, Renamed
from plaudit.models import actor_critic
from plaudit.models.language import config as language_models
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.rewards.config import DiscriminatorConfig, FeedbackConfig
from plaudit.rewards.learned.trainer import LearnedConfig
from plaudit.runs import agreement, algorithms, aliases, old_names, settings
from plaudit.runs.agreement import CONTROL, defaults
from plaudit.trainers import evolution, on_policy, supervised

Policy = actor_critic.PolicyConfig | language_models.PolicyConfig
Trainer = on_policy.Config | supervised.Config | evolution.Config
TRAINERS: dict[str, type] = {
    "on_policy": on_policy.Config,
    "preference": supervised.Config,
    "evolution": evolution.Config,
}
"""By the folder of the algorithm, how it is optimised."""
WHOLE = ("weights", "functions", "kinds", "kwargs")
"""Mappings of names that the user makes up: given ones replace the usual ones."""
POLICIES: dict[str, type] = {
    "control": actor_critic.PolicyConfig,
    "language": language_models.PolicyConfig,
}


@dataclass(frozen=True)
class RewardSettings(LearnedConfig):
    """What is optimised, and how the learned part of it is learned."""

    weights: dict[str, float] = field(default_factory=dict)
    """Weights of the parts by name: `environment` (control), `learned`, `discriminator` and the functions'."""
    functions: dict[str, str] = field(default_factory=dict)
    """Reward functions by name, each as path/to/file.py:function."""
    time_limit: Annotated[float, at_least(0.001)] = 60.0
    """Seconds a function may take for a batch."""
    start: str | None = None
    """A folder with a reward model to start from; none: a new one, for language on the trunk of the policy."""
    model: RewardConfig = RewardConfig()
    """Control: the networks of the reward model, and of a discriminator."""
    normalise: bool = False
    """Control: divide rewards by the running standard deviation of the discounted return."""
    demonstrations: str | None = None
    """Control: a file with demonstrations, for a discriminator."""
    discriminator: str | None = None
    """An adversarial imitation algorithm by name, such as gail, or the path of a Python file with one."""
    discriminator_settings: Any = None
    """Its mathematics."""
    discriminator_fit: DiscriminatorConfig = DiscriminatorConfig()
    """How the discriminator is trained."""


@dataclass(frozen=True)
class WinRateCheck:
    """Held-out judgements: people compare fresh completions with those of the model as it started. Nobody learns from
    them."""

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
    """A run: a policy learns from a reward, from people, from demonstrations or from pairs."""

    environment: Control | Language
    """Where it acts: an environment, or prompts."""
    algorithm: str = "ppo"
    """An algorithm by name, or the path of a Python file with one."""
    settings: Any = None
    """The mathematics: the Config of the algorithm."""
    trainer: Any = None
    """How the algorithm's loss is descended: the Config of its kind of learner."""
    policy: Any = None
    """The networks: hidden layers for control; critic, adapters and precision for language."""
    start: str | None = None
    """A folder with a policy to start from; for language the model (or a hub id)."""
    reference: str | None = None
    """A folder with a policy to stay near, where that has a price; none: for language the start."""
    pairs: str | None = None
    """Preference algorithms: a file with pairs of which one is preferred."""
    timesteps: Count | None = None
    """Control: environment steps in all, exactly."""
    updates: Count | None = None
    """Language: updates in all."""
    reward: RewardSettings = RewardSettings()
    """What is optimised."""
    feedback: FeedbackConfig = FeedbackConfig()
    """What people are asked, and when."""
    gold_reward: str | None = None
    """Language: what completions are truly worth: `rubric` (service dialogues) or path/to/file.py:function. Simulated
    people judge by it and evaluations report it; nothing learns from it."""
    win_rate_check: WinRateCheck = WinRateCheck()
    """Language: held-out judgements while learning."""
    evaluate_every: Whole = 0
    """Updates between evaluations; 0: at the end only."""
    evaluate_count: Count = 50
    """Episodes, or held-out prompts, of each evaluation."""
    checkpoint_every: Count = 10
    """Updates between checkpoints."""
    device: str = "auto"
    """Language: cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch during the run; with small networks a second one costs more than it gives."""
    seed: Whole = 0
    """Seed of everything."""

    @property
    def medium(self) -> Literal["control", "language"]:
        """What the policy acts in."""
        return "control" if isinstance(self.environment, Control) else "language"

    @property
    def budget(self) -> int:
        """How far the run goes: environment steps, or updates."""
        return (self.timesteps if self.medium == "control" else self.updates) or 1

    @property
    def needs(self) -> Any:
        """What the algorithm declares to need."""
        return algorithms.needs(algorithms.find(self.algorithm), self.settings)


def load(path: Path) -> RunConfig:
    """The config in a YAML file, checked field by field. That of a run folder may have been written by the version
    before, which is nobody's mistake: old names in it are read without a note."""
    with warnings.catch_warnings():
        if (path.parent / "manifest.json").exists():
            warnings.simplefilter("ignore", Renamed)
        return from_mapping(settings.load_yaml(path), str(path))


def from_mapping(mapping: Mapping[str, Any], where: str) -> RunConfig:
    """A config from plain data; `where` names its source in errors."""
    try:
        return validate(parse(mapping))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


def parse(mapping: Mapping[str, Any]) -> RunConfig:
    """A config from plain data whose fields need not agree yet: flags may say more."""
    given = dict(mapping)
    if isinstance(given.get("environment"), str):
        given["environment"] = {"id": given["environment"]}
    if "environment" in given and "language" in given:
        raise PlauditError("language: is called environment now, and both are given; leave language out")
    medium = medium_of(given)
    table = aliases.CONTROL if medium == "control" else aliases.LANGUAGE
    old = old_names.CONTROL_KEYS if medium == "control" else old_names.LANGUAGE_KEYS
    known = {one.name for one in fields(RunConfig)} | {key.partition(".")[0] for key in old}
    given = aliases.expand(given, table, known)
    _refuse_near_old(given, known, old)
    given = settings.renamed(old_names.moved(given), old)
    given = old_names.emptied(given)
    algorithm = given.get("algorithm", "ppo")
    if not isinstance(algorithm, str):
        raise PlauditError(f"algorithm: {algorithm!r} is not a name; give one, or the path of a Python file")
    given = _adversarial(given, algorithm)
    module = algorithms.find(given.get("algorithm", "ppo"))
    kind, said = algorithms.kind_of(module), given
    given = merged(defaults(medium, kind), given)
    parts: dict[str, Any] = {
        "environment": (Control if medium == "control" else Language),
        "policy": POLICIES[medium],
        "trainer": TRAINERS[kind],
        "settings": module.Config,
    }
    if medium == "control" and "environment" not in given:
        del parts["environment"]  # its absence, or another name for it, is told with the other fields
    for name, schema in parts.items():
        value = given.get(name)
        given[name] = settings.build(schema, {} if value is None else value, name)
    config = settings.build(RunConfig, given, "")
    config = with_discriminator(config)
    return _settled_by_needs(config, module, said)


def _refuse_near_old(given: Mapping[str, Any], known: set[str], old: Mapping[str, str]) -> None:
    """Raise PlauditError for an unknown name that looks most like one of before, and name today's."""
    for name in given:
        near = [] if name in known else get_close_matches(str(name), known, 1, 0.6)
        today = {key.partition(".")[0]: new.partition(".")[0] for key, new in old.items()}
        if near and near[0] in today.keys() - {one.name for one in fields(RunConfig)}:
            raise PlauditError(f"{name}: unknown field; did you mean {today[near[0]]!r}?")


def with_discriminator(config: RunConfig) -> RunConfig:
    """The config with its discriminator's settings as that algorithm's Config."""
    if config.reward.discriminator is None:
        return config
    try:
        module = algorithms.find(config.reward.discriminator)
    except PlauditError as error:
        raise PlauditError(f"reward.discriminator: {error}") from None
    if not hasattr(module, "reward"):
        raise PlauditError(
            f"reward.discriminator: {config.reward.discriminator} is no adversarial imitation, which gives a reward; "
            "take gail"
        )
    schema = module.Config
    given = config.reward.discriminator_settings
    built = settings.build(schema, {} if given is None else given, "reward.discriminator_settings")
    return replace(config, reward=replace(config.reward, discriminator_settings=built))


def _adversarial(given: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """`algorithm: gail` stands for PPO on the reward of that discriminator; settings it does not know are PPO's."""
    module = algorithms.find(algorithm)
    if algorithms.kind_of(module) != "imitation":
        return given
    if not hasattr(module, "reward"):
        raise PlauditError(
            f"algorithm: {algorithm} learns from demonstrations alone, without acting; use plaudit pretrain"
        )
    reward, mine = given.get("reward") or {}, given.get("settings") or {}
    if not isinstance(reward, Mapping) or not isinstance(mine, Mapping):
        return given | {"algorithm": "ppo"}  # told with the other fields
    reward = dict(reward)
    if reward.get("discriminator") is None:
        reward["discriminator"] = algorithm
    if reward.get("weights") in (None, {}, CONTROL["reward"]["weights"]):
        reward["weights"] = {"environment": 0.0, "discriminator": 1.0}
    if mine and not reward.get("discriminator_settings"):
        known = {one.name for one in fields(module.Config)}
        reward["discriminator_settings"] = {name: value for name, value in mine.items() if name in known}
        given = given | {"settings": {name: value for name, value in mine.items() if name not in known}}
    return given | {"algorithm": "ppo", "reward": reward}


def _settled_by_needs(config: RunConfig, module: ModuleType, given: Mapping[str, Any]) -> RunConfig:
    """What the algorithm needs decides what nobody has said: how it steps, how often it reads a rollout, groups.

    `given`: what somebody has said, by today's names.
    """
    needs, trainer = algorithms.needs(module, config.settings), config.trainer
    said = given.get("trainer") or {}
    said = said if isinstance(said, Mapping) else vars(said)
    if isinstance(trainer, on_policy.Config):
        if needs.step == "trust_region" and "step" not in said:
            trainer = replace(trainer, step=on_policy.TrustRegion())
        if needs.epochs is not None and "epochs" not in said:
            trainer = replace(trainer, epochs=needs.epochs)
    environment = config.environment
    if isinstance(environment, Language) and config.pairs is not None:
        said_nothing = environment.prompts == SERVICE and config.gold_reward is None
        environment = replace(environment, prompts=config.pairs) if said_nothing else environment
    if isinstance(environment, Language) and environment.num_generations < needs.group:
        if "num_generations" in _named(given.get("environment")):
            raise PlauditError(
                f"environment.num_generations: {config.algorithm} compares completions of one prompt and needs "
                f"{needs.group} or more; raise it"
            )
        environment = replace(environment, num_generations=max(needs.group, 4))
    if isinstance(environment, Control) and environment.group < needs.group:
        environment = _grouped(environment, needs.group, given)
    return replace(config, trainer=trainer, environment=environment)


def _named(section: object) -> Mapping[str, Any]:
    """The fields of a section that somebody has said."""
    return section if isinstance(section, Mapping) else {}


def _grouped(environment: Control, least: int, given: Mapping[str, Any]) -> Control:
    """Groups of 8 episodes, or of as many as are needed, unless somebody has said; environments for whole groups."""
    said = _named(given.get("environment"))
    if "group" in said:
        raise PlauditError(
            f"environment.group: this algorithm compares episodes from one initial state and needs {least} or "
            "more; raise it"
        )
    group = max(least, 8)
    envs = environment.envs if "envs" in said else max(environment.envs, 4 * group)
    return replace(environment, group=group, envs=-(-envs // group) * group)


def medium_of(mapping: Mapping[str, Any]) -> Literal["control", "language"]:
    """Which medium a mapping speaks of: by the tag, by the fields of its environment, or by fields of language."""
    environment = mapping.get("environment")
    if isinstance(environment, Control | Language):
        return "control" if isinstance(environment, Control) else "language"
    if isinstance(environment, Mapping):
        kind = environment.get("kind")
        if kind in ("control", "language"):
            return kind
        of_control, of_language = ({one.name for one in fields(schema)} for schema in (Control, Language))
        if set(environment) & (of_control - of_language):
            return "control"
        if set(environment) & (of_language - of_control):
            return "language"
        near = [get_close_matches(str(key), [*of_control, *of_language], 1, 0.7) for key in environment]
        spoken = any(one and one[0] in of_language - of_control for one in near)
        return "language" if spoken or "start" in mapping or _speaks_of_language(mapping) else "control"
    if "language" in mapping:
        return "language"
    if "environment" in mapping:
        return "control"
    meant = [get_close_matches(str(key), ("language", "environment"), 1, 0.7) for key in mapping]
    spoken = ["language"] in meant or _speaks_of_language(mapping)
    return "language" if spoken and ["environment"] not in meant else "control"


def _speaks_of_language(mapping: Mapping[str, Any]) -> bool:
    """Whether a field is there that only runs of language models have."""
    own = (
        "updates",
        "gold_reward",
        "hidden",
        "win_rate_check",
        "watch",
        "evaluate_prompts",
        "device",
        "pairs",
    )
    return any(name in mapping for name in own)


def merged(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The usual values under the given ones, mapping by mapping. A union's member that is given is given whole."""
    result = dict(usual)
    for name, value in given.items():
        below: object = None if name in WHOLE else usual.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merged(below, value)
        result[name] = value
    return result


def validate(config: RunConfig) -> RunConfig:
    """The config, if it makes sense; PlauditError with the field to change otherwise."""
    settings.validate(config)
    agreement.check(config)
    return config


def resolve_paths(config: RunConfig) -> RunConfig:
    """The config with absolute paths, so that its run can be resumed from anywhere; hub ids stay as they are."""
    environment, reward = config.environment, config.reward
    if isinstance(environment, Control):
        environment = replace(environment, id=absolute(environment.id))
    if isinstance(environment, Language):
        environment = replace(
            environment,
            prompts=str(_absolute(environment.prompts)),
            evaluate_on=_absolute(environment.evaluate_on),
        )
    functions = {name: str(_function(place)) for name, place in reward.functions.items()}
    reward = replace(
        reward,
        start=_absolute(reward.start),
        functions=functions,
        demonstrations=_absolute(reward.demonstrations),
        discriminator=_function(reward.discriminator),
    )
    algorithm = str(_absolute(config.algorithm)) if config.algorithm.endswith(".py") else config.algorithm
    feedback = replace(config.feedback, judge=_function(config.feedback.judge))
    return replace(
        config, environment=environment, reward=reward, feedback=feedback, algorithm=algorithm,
        start=_absolute(config.start),
        reference=_absolute(config.reference), pairs=_absolute(config.pairs), gold_reward=_function(config.gold_reward),
    )  # fmt: skip


def _absolute(path: str | None) -> str | None:
    return str(Path(path).absolute()) if path is not None and Path(path).exists() else path


def _function(place: str | None) -> str | None:
    """The place of a function, path/to/file.py:name, with an absolute path."""
    if place is None or ".py" not in place:
        return place
    file, colon, name = place.rpartition(":")
    return f"{_absolute(file)}{colon}{name}" if file.endswith(".py") else _absolute(place)
