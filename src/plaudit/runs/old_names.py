"""Names that run folders and configs of the version before have, and today's: these are read with both in hand.

Only whoever reads a folder or a config translates; everything else knows today's names alone. Old config keys work for
one version, with a note.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from plaudit.errors import Renamed

EVERYWHERE: dict[str, str] = {
    "settings.kl_in_reward": "settings.kl.coef",
    "trainer.kl_target": "settings.kl.target",
    "trainer.kl_horizon": "settings.kl.horizon",
    "trainer.minibatch": "trainer.minibatch_size",
    "trainer.piece": "trainer.microbatch_size",
    "trainer.tell_every": "trainer.log_every",
    "reward.fit.minibatch": "reward.fit.minibatch_size",
    "reward.fit.piece": "reward.fit.microbatch_size",
    "reward.fit.drawn": "reward.fit.subsample",
    "feedback.ask": "feedback.query",
}
CONTROL_KEYS: dict[str, str] = EVERYWHERE | {
    "steps": "timesteps",
    "rollout": "environment.n_steps",
    "reward.scale": "reward.normalise",
    "reward.model.caution": "reward.model.uncertainty_penalty",
    "evaluate_episodes": "evaluate_count",
}
"""Of control: dotted path of a config key as it was -> as it is; through lists too (`feedback.people.mistake`)."""
LANGUAGE_KEYS: dict[str, str] = EVERYWHERE | {
    "language.answer_tokens": "environment.max_new_tokens",
    "language.batch": "environment.batch_size",
    "language.each": "environment.num_generations",
    **{
        f"language.{name}": f"environment.{name}"
        for name in (
            "prompts", "split", "evaluate_on", "evaluate_split", "held_out", "count", "too_long", "stop", "cap",
        )
    },
    "hidden": "gold_reward",
    "evaluate_prompts": "evaluate_count",
    **{f"watch.{name}": f"win_rate_check.{name}" for name in ("every", "judgements", "stop", "patience")},
}  # fmt: skip
"""Of language."""
METRICS: dict[str, str] = {
    "reward/fresh_accuracy": "reward/held_out_accuracy",
    "reward/fresh_nll": "reward/held_out_nll",
    "reward/fresh_probabilities": "reward/held_out_probabilities",
    "reward/fresh_answers": "reward/held_out_answers",
    "watch/fresh_accuracy": "watch/held_out_accuracy",
    "watch/fresh_nll": "watch/held_out_nll",
    "watch/fresh_probabilities": "watch/held_out_probabilities",
    "watch/fresh_answers": "watch/held_out_answers",
    "start/hidden_mean": "start/gold_reward_mean",
    "start/hidden_std": "start/gold_reward_std",
    "start/proxy_mean": "start/proxy_reward_mean",
    "eval/hidden_mean": "eval/gold_reward_mean",
    "eval/hidden_std": "eval/gold_reward_std",
    "eval/proxy_mean": "eval/proxy_reward_mean",
    "hidden_mean": "gold_reward_mean",
    "hidden_std": "gold_reward_std",
    "proxy_mean": "proxy_reward_mean",
    "hidden": "gold_reward",
    "proxy": "proxy_reward",
    "decisions": "timesteps",
}
"""Fields of a row of metrics.jsonl, of a run's result (and of what it holds under `before` and `scores`), of a sample's
answer, and of config.yaml."""
TOKENS = "rollout/answer_tokens"
"""A row of the first version that has this field is of a language model: its decisions were tokens."""
VALUES: dict[str, dict[str, str]] = {"win_by": {"hidden score": "gold reward"}}
"""Values that were called otherwise, by today's name of their field."""


def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row by today's names, in its order; what it holds by such a name already is left as it is.

    Mappings inside it are not entered: names of people's own rewards may stand there.
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        new = "tokens" if name == "decisions" and TOKENS in row else METRICS.get(name, name)
        if new != name and new in row:
            continue
        known = VALUES.get(new, {})
        found[new] = known.get(value, value) if isinstance(value, str) else value
    return found


def medium(config: Mapping[str, Any]) -> Literal["control", "language"]:
    """What the policy acts in by a written config.yaml, of today or of the version before."""
    environment = config.get("environment")
    if isinstance(environment, Mapping) and "kind" in environment:
        return "language" if environment["kind"] == "language" else "control"
    return "language" if "language" in config else "control"


def moved(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with what no table of paths can say: a price in the loss, and the names of what is annealed."""
    tree = {name: dict(value) if isinstance(value, Mapping) else value for name, value in mapping.items()}
    algorithm = tree.get("settings")
    if isinstance(algorithm, dict) and "kl_in_loss" in algorithm:
        price = algorithm.pop("kl_in_loss")
        if price and not algorithm.get("kl_in_reward"):
            algorithm.pop("kl_in_reward", None)
            algorithm["kl"] = {"coef": price, "where": "loss"}
    anneal = tree.get("trainer")
    if isinstance(anneal, dict) and isinstance(anneal.get("anneal"), list | tuple):
        anneal["anneal"] = ["kl.coef" if name == "kl_in_reward" else name for name in anneal["anneal"]]
    return tree


def emptied(tree: dict[str, Any]) -> dict[str, Any]:
    """Without sections whose keys have all moved; what is left in one is unknown, and is told so in its new place."""
    for old, new in (("language", "environment"), ("watch", "win_rate_check")):
        left = tree.pop(old, None)
        if isinstance(left, Mapping) and left:
            tree[new] = {**left, **(tree.get(new) or {})}
        elif left is not None and not isinstance(left, Mapping):
            tree[new] = left
    return tree


def flag(name: str) -> str:
    """Today's name of a flag, a dotted path; as it is where it has not changed. A note is given for an old one."""
    plain = name.replace("-", "_")
    new = {**CONTROL_KEYS, **LANGUAGE_KEYS}.get(plain)
    if new is None:
        return name
    warnings.warn(f"--{name} is called --{new} now", Renamed, stacklevel=2)
    return new
