"""Do the fields of a config agree with one another? What lies in one field alone stands beside that field."""

from dataclasses import MISSING, fields
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaudit.declared import Dataclass
from plaudit.environments.control.config import Control
from plaudit.environments.language.config import SERVICE, Language
from plaudit.errors import PlauditError
from plaudit.maths.kl import Kl
from plaudit.rewards.config import RUBRIC
from plaudit.runs import algorithms
from plaudit.trainers import on_policy

if TYPE_CHECKING:
    from plaudit.runs.config import RunConfig

CONTROL: dict[str, Any] = {
    "timesteps": 100_000,
    "reward": {
        "weights": {"environment": 1.0, "learned": 0.0},
        "likelihood": {"scale": 0.1},
        "fit": {"weight_decay": 1.0},
        "normalise": True,
    },
}
LANGUAGE: dict[str, Any] = {
    "updates": 50,
    "reward": {
        "weights": {"learned": 1.0},
        "fit": {
            "weight_decay": 0.01,
            "first_steps": 150,
            "steps": 20,
            "minibatch_size": 32,
            "schedule": "linear",
            "max_grad_norm": 1.0,
        },
    },
    "feedback": {"first": 400, "rounds": 5, "until": 0.6},
    "evaluate_every": 5,
    "evaluate_count": 100,
}
TRAINERS: dict[tuple[str, str], dict[str, Any]] = {
    ("language", "on_policy"): {
        "learning_rate": 3e-4,
        "epochs": 4,
        "minibatch_size": 16,
        "max_grad_norm": 1.0,
    },
    ("language", "preference"): {
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "epochs": 2,
        "minibatch_size": 16,
        "schedule": "linear",
        "warmup": 10,
        "max_grad_norm": 1.0,
        "log_every": 10,
    },
    ("control", "preference"): {"epochs": 10, "max_grad_norm": 0.5},
    ("language", "evolution"): {"learning_rate": 1e-3},
}


def defaults(medium: str, kind: str) -> dict[str, Any]:
    """A mapping that given values go over.

    Evolution compares fitness within a generation, so its scale does not matter; neither it nor pairs ask a critic.
    """
    usual = CONTROL if medium == "control" else LANGUAGE
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in usual.items()}
    found["trainer"] = TRAINERS.get((medium, kind), {})
    if kind == "evolution" and medium == "control":
        found["reward"] |= {"normalise": False}
    if kind in ("evolution", "preference"):
        found["policy"] = {"critic": False if medium == "control" else "none"}
    return found


OWN_PARTS = {
    "learned": "the learned reward",
    "environment": "the environment's own reward",
    "discriminator": "the reward of the discriminator",
}
"""Parts of a reward that no function may be called."""


def check(config: "RunConfig") -> None:
    """Raise PlauditError with the field to change where a run config does not make sense."""
    learner(config)
    weights(config)
    if isinstance(config.environment, Control):
        _control(config, config.environment)
    else:
        _language(config, config.environment)
    feedback = config.feedback
    if feedback.labels and feedback.first > feedback.labels:
        raise PlauditError("feedback.first: more than feedback.labels; lower it")
    if feedback.labels and not any(feedback.kinds.values()):
        raise PlauditError(
            "feedback.kinds: every share is 0, so there is nothing to ask; give one kind a share"
        )


def learner(config: "RunConfig") -> None:
    """Do the settings of the algorithm and its trainer agree with what there is?"""
    module = algorithms.find(config.algorithm)
    needs, kind = algorithms.needs(module, config.settings), algorithms.kind_of(module)
    if kind == "preference" and config.pairs is None:
        raise PlauditError(f"pairs: {config.algorithm} learns from pairs in a file; give it here")
    has_reference = config.reference is not None or config.medium == "language"
    if needs.reference and not has_reference and kind == "preference" and not config.start:
        raise PlauditError(
            f"start: {config.algorithm} stays near the policy it starts from; give its folder, such as one of plaudit "
            "pretrain"
        )
    if needs.reference and not has_reference and kind != "preference":
        raise PlauditError(
            "reference: a KL price is set but there is no policy to stay near; give its folder here"
        )
    for name, price in _prices(config.settings).items():
        if price.target is not None and not price.coef:
            raise PlauditError(
                f"settings.{name}.target: the controller scales settings.{name}.coef; give both a number above 0"
            )
    critic = config.policy.critic
    if needs.critic and critic in (False, "none"):
        raise PlauditError("policy.critic: this estimate of advantages needs a critic; give it one")
    if isinstance(config.trainer, on_policy.Config):
        _anneals(config)
        if isinstance(config.trainer.step, on_policy.TrustRegion):
            _has_a_region(config)
            _trust_region(config)
    if kind != "preference" and config.pairs is not None:
        others = " or ".join(algorithms.names("preference"))
        raise PlauditError(
            f"pairs: {config.algorithm} does not learn from pairs; leave this out, or take one of {others}"
        )
    if kind == "preference" and config.win_rate_check.every:
        raise PlauditError(
            f"win_rate_check.every: {config.algorithm} learns from the file in pairs and asks nobody; leave this out"
        )
    if kind == "preference" and config.feedback.labels:
        raise PlauditError(
            f"feedback.labels: {config.algorithm} learns from the file in pairs and asks nobody; leave this out"
        )


def _has_a_region(config: "RunConfig") -> None:
    if algorithms.needs(algorithms.find(config.algorithm), config.settings).step != "trust_region":
        raise PlauditError(
            f"trainer.step: {config.algorithm} does not say how far a step moves the policy, which a trust region "
            "limits; leave this out, or take trpo"
        )


def _trust_region(config: "RunConfig") -> None:
    if config.policy.critic == "shared":
        raise PlauditError(
            "policy.critic: in a trust region the critic learns by steps of its own, which would move a policy that "
            "shares its trunk; set it to separate"
        )
    if config.trainer.microbatch_size is not None:
        raise PlauditError(
            "trainer.microbatch_size: has no effect in a trust region, whose step is taken on the whole rollout; leave "
            "this out"
        )


def weights(config: "RunConfig") -> None:
    """Does every part that counts exist, and does every part that exists count?"""
    reward, labels = config.reward, config.feedback.labels
    given = reward.weights
    for name, part in OWN_PARTS.items():
        if name in reward.functions:
            raise PlauditError(
                f"reward.functions: `{name}` is the name of {part}; give the function another name"
            )
    own = ["environment", "learned", "discriminator"] if config.medium == "control" else ["learned"]
    unknown = sorted(set(given) - {*own, *reward.functions})
    if unknown:
        known = " and ".join(map(repr, own)) if config.medium == "control" else "`learned`"
        raise PlauditError(
            f"reward.weights: {unknown[0]!r} is neither {known} nor one of reward.functions; name it"
        )
    kind = algorithms.kind_of(algorithms.find(config.algorithm))
    if kind == "preference":
        return
    if not any(given.values()):
        raise PlauditError("reward.weights: all are 0, so nothing is wanted; give at least one a weight")
    if given.get("learned") and not labels and reward.start is None:
        raise PlauditError(
            "reward.weights: 'learned' has a weight but nothing teaches it; set feedback.labels or reward.start"
        )
    if labels and not given.get("learned"):
        raise PlauditError(
            "feedback.labels: people are asked but reward.weights gives 'learned' no weight; give it one"
        )
    if given.get("discriminator") and (reward.discriminator is None or reward.demonstrations is None):
        raise PlauditError(
            "reward.demonstrations: a discriminator learns from demonstrations; give the file, and its algorithm in "
            "reward.discriminator"
        )
    for name in ("discriminator", "demonstrations"):
        unweighted = getattr(reward, name) is not None and not reward.weights.get("discriminator")
        if unweighted and config.medium == "control":
            raise PlauditError(
                f"reward.{name}: has no effect while the discriminator has no weight; set reward.weights to "
                "{environment: 0, discriminator: 1}, or leave it out"
            )


def _control(config: "RunConfig", environment: Control) -> None:
    if min((*config.policy.hidden, *config.reward.model.hidden), default=1) < 1:
        raise PlauditError("hidden: a layer needs at least 1 unit; change this field")
    for name in ("updates", "gold_reward"):
        if getattr(config, name) is not None:
            instead = "timesteps" if name == "updates" else "the environment's own reward"
            raise PlauditError(f"{name}: has no effect on control, where it is {instead}; leave this out")
    needs = algorithms.needs(algorithms.find(config.algorithm), config.settings)
    if environment.group > 1 and needs.unit == "steps":
        raise PlauditError(
            f"environment.group: {config.algorithm} compares no episodes with each other; leave this out, or take grpo "
            "or rloo"
        )
    _without_effect(config, ("win_rate_check", "device"), "control")


def _language(config: "RunConfig", environment: Language) -> None:
    reward = config.reward
    prompts(environment, config.gold_reward)
    if not config.start:
        raise PlauditError("start: this field is missing; give the folder of a language model")
    if reward.start is not None and "learned" not in reward.weights:
        raise PlauditError(
            "reward.start: a reward model is given but reward.weights does not name `learned`; give it a weight (0 to "
            "log it alone)"
        )
    subsample = type(reward.fit)().subsample
    if reward.fit.subsample != subsample:
        raise PlauditError(
            "reward.fit.subsample: has no effect, a text has one score and nothing is drawn of it; leave this out"
        )
    asks = config.feedback.labels or config.win_rate_check.every
    if asks and config.feedback.people and config.gold_reward is None:
        raise PlauditError(
            "gold_reward: simulated people need something to judge by; give `rubric` or a function"
        )
    if config.win_rate_check.stop and not config.win_rate_check.every:
        raise PlauditError("win_rate_check.stop: there are no checks to stop by; set win_rate_check.every")
    if config.feedback.judge is not None:
        raise PlauditError(
            "feedback.judge: has no effect on language, where people judge by gold_reward; leave this out"
        )
    if config.timesteps is not None:
        raise PlauditError("timesteps: has no effect on language, whose budget is updates; leave this out")
    only_control = ("normalise", "model", "demonstrations", "discriminator")
    _without_effect(reward, only_control, "language", "reward.")


def _without_effect(config: Dataclass, names: tuple[str, ...], medium: str, where: str = "") -> None:
    """Raise PlauditError for a field that only another medium has, where it is not as it is unless given."""
    for field in fields(config):
        usual = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name in names and getattr(config, field.name) != usual:
            raise PlauditError(f"{where}{field.name}: has no effect on {medium}; leave this out")


def prompts(environment: Language, gold_reward: str | None) -> None:
    """Are prompts to learn from and prompts to evaluate on told apart, and can completions be judged?"""
    if gold_reward == RUBRIC and environment.prompts != SERVICE:
        raise PlauditError(
            "gold_reward: the rubric judges service dialogues alone; give a function of your own"
        )
    given = (environment.split, environment.evaluate_on, environment.evaluate_split)
    if environment.prompts == SERVICE and given != (None, None, None):
        raise PlauditError(
            "environment.prompts: service dialogues have no splits and bring their own held-out prompts; leave out "
            "split, evaluate_on and evaluate_split, or give a file"
        )
    other = environment.evaluate_on
    same = other is None or Path(other).resolve() == Path(environment.prompts).resolve()
    twice = environment.split in (None, environment.evaluate_split)
    if environment.evaluate_split is not None and same and twice:
        raise PlauditError(
            f"environment.split: the rows of {environment.evaluate_split!r} would be learned from and evaluated on; "
            "name another split to learn from"
        )
    if environment.evaluate_split is None and other is not None and same:
        raise PlauditError(
            "environment.evaluate_on: these prompts are learned from as well; give another file, or leave it out to "
            "hold some back"
        )
    if environment.num_generations > environment.batch_size:
        raise PlauditError(
            f"environment.num_generations: {environment.num_generations} completions of each prompt are more than the "
            f"{environment.batch_size} of an update; lower it or raise environment.batch_size"
        )


def _anneals(config: "RunConfig") -> None:
    for path in config.trainer.anneal:
        try:
            value = reduce(getattr, path.split("."), config.settings)
        except AttributeError:
            value = None
        if not isinstance(value, float):
            names = [name for name, one in vars(config.settings).items() if isinstance(one, float)]
            raise PlauditError(
                f"trainer.anneal: {path!r} is no number of settings; known: {', '.join(sorted(names))}"
            )


def _prices(settings: object) -> dict[str, Kl]:
    return {name: value for name, value in vars(settings).items() if isinstance(value, Kl)}
