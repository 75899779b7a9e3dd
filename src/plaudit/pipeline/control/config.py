"""The config of a run: what `plaudit run` reads and what the run folder keeps."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from plaudit.annotators.simulated import SimulatedPerson
from plaudit.declared import Count, Finite, Whole, at_least, between
from plaudit.environments.control.make import EnvironmentConfig
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.models.actor_critic import PolicyConfig
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.pipeline.checked import checked
from plaudit.runs import algorithms, aliases, settings
from plaudit.trainers import on_policy, reward_fit


@dataclass(frozen=True)
class RewardSettings:
    """What is optimised, and how the learned part of it is learned."""

    weights: dict[str, Finite] = field(default_factory=lambda: {"environment": 1.0, "learned": 0.0})
    """Weights of the environment's own reward and of the learned one, such as {environment: 0, learned: 1}."""
    start: str | None = None
    """A folder with a reward model to start from."""
    model: RewardConfig = RewardConfig()
    """The networks of the reward model."""
    likelihood: bradley_terry.Config = bradley_terry.Config(scale=0.1)
    """How answers depend on the reward."""
    fit: reward_fit.Config = reward_fit.Config()
    """How the reward model is fitted."""
    scale: bool = True
    """Divide rewards by the running standard deviation of the discounted return."""


@dataclass(frozen=True)
class FeedbackSettings:
    """What people are asked, and when."""

    labels: Whole = 0
    """Comparisons asked for in all; 0: nobody is asked."""
    first: Count = 50
    """Comparisons asked about the behaviour of the very first rollout."""
    rounds: Whole = 15
    """Rounds in which the others are asked, each smaller than the one before."""
    until: Annotated[float, between(0, 0.99)] = 0.5
    """Share of the budget after which nothing more is asked."""
    segment: Count = 100
    """Steps of each segment shown."""
    ask: Literal["random", "disagreement"] = "random"
    """Which pairs are asked about: any, or those on which the ensemble disagrees most."""
    candidates: Count = 10
    """Random pairs considered for each one asked, when asking by disagreement."""
    people: tuple[SimulatedPerson, ...] = (SimulatedPerson(),)
    """Simulated people who answer in turn; an empty list waits for real ones."""
    ahead: Whole = 10
    """Real people: the loop rests while more questions than this wait, so that it does not run away from them."""
    patience: Annotated[float, at_least(0.001)] | None = None
    """Real people: seconds it rests without an answer before it goes on with what it knows; none: it waits for them."""


@dataclass(frozen=True)
class RunConfig:
    """A control run: plain RL where the learned reward has no weight, else a loop with people."""

    environment: EnvironmentConfig
    """The environment."""
    algorithm: str = "ppo"
    """An on-policy algorithm by name, or the path of a Python file with one."""
    settings: Any = None
    """The mathematics: the Config of the algorithm."""
    trainer: on_policy.Config = on_policy.Config()
    """How the algorithm's loss is descended."""
    policy: PolicyConfig = PolicyConfig()
    """The networks of the policy and the critic."""
    start: str | None = None
    """A folder with a policy to start from, such as a clone."""
    reference: str | None = None
    """A folder with a policy to stay near; its price is settings.kl_in_reward or kl_in_loss."""
    steps: Count = 100_000
    """Environment steps in all, exactly."""
    rollout: Count = 128
    """Steps of each environment per update."""
    reward: RewardSettings = RewardSettings()
    """What is optimised."""
    feedback: FeedbackSettings = FeedbackSettings()
    """What people are asked."""
    evaluate_every: Whole = 0
    """Updates between evaluations of the true return; 0: at the end only."""
    evaluate_episodes: Count = 50
    """Episodes of each evaluation, with the likeliest actions."""
    checkpoint_every: Count = 10
    """Updates between checkpoints."""
    threads: Count = 1
    """Threads of torch during the run; with small networks a second one costs more than it gives."""
    seed: int = 0
    """Seed of everything."""


def load(path: Path) -> RunConfig:
    """The config in a YAML file, checked field by field."""
    return from_mapping(settings.load_yaml(path), str(path))


def demo(seed: int) -> RunConfig:
    """Pendulum from 200 comparisons, without the environment's reward."""
    mapping = settings.load_yaml(Path(__file__).with_name("demo.yaml"))
    return replace(from_mapping(mapping, "demo"), seed=seed)


def demo_with_me(seed: int) -> RunConfig:
    """The same for a real person: few questions at a time, and it goes on alone a minute after the last answer."""
    config = demo(seed)
    asked = replace(config.feedback, labels=60, first=10, rounds=12, ahead=3, patience=60.0, people=())
    return replace(config, feedback=asked)


def from_mapping(mapping: dict[str, Any], where: str) -> RunConfig:
    """A config from plain data; `where` names its source in errors."""
    try:
        return checked(draft(mapping))
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


def draft(mapping: dict[str, Any]) -> RunConfig:
    """A config from plain data whose fields need not agree yet: flags may say more."""
    if isinstance(mapping.get("environment"), str):
        mapping = mapping | {"environment": {"id": mapping["environment"]}}
    mapping = aliases.expand(mapping, aliases.CONTROL, {one.name for one in fields(RunConfig)})
    return with_settings(settings.build(RunConfig, mapping, ""))


def with_settings(config: RunConfig) -> RunConfig:
    """The config with its algorithm's settings as that algorithm's Config."""
    schema = algorithms.find(config.algorithm).Config
    given = {} if config.settings is None else config.settings
    return replace(config, settings=settings.build(schema, given, "settings"))


def settled(config: RunConfig) -> RunConfig:
    """The config with absolute paths, so that its run can be resumed from anywhere."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str(Path(path).absolute())

    algorithm = absolute(config.algorithm) if config.algorithm.endswith(".py") else config.algorithm
    reward = replace(config.reward, start=absolute(config.reward.start))
    places = {"start": absolute(config.start), "reference": absolute(config.reference)}
    return replace(config, algorithm=algorithm, reward=reward, **places)
