"""Names that run folders and configs of the version before have, and today's: these are read with both in hand.

Only whoever reads a folder or a config translates; everything else knows today's names alone. Old config keys work for
one version, with a note.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from plaudit.errors import PlauditError, Renamed

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
    "reward.likelihood.mistakes": "reward.likelihood.label_noise",
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
    """The mapping with what no table of paths can say: a price in the loss, and fields that are annealed."""
    tree = {name: dict(value) if isinstance(value, Mapping) else value for name, value in mapping.items()}
    algorithm = tree.get("settings")
    if isinstance(algorithm, dict) and "kl_in_loss" in algorithm:
        price = algorithm.pop("kl_in_loss")
        if price and algorithm.get("kl_in_reward"):
            raise PlauditError(
                "settings.kl_in_loss: KL has one price now, in the reward or in the loss; leave one of the two out"
            )
        if price and not algorithm.get("kl_in_reward"):
            algorithm.pop("kl_in_reward", None)
            algorithm["kl"] = {"coef": price, "where": "loss"}
    anneal = tree.get("trainer")
    if isinstance(anneal, dict) and isinstance(anneal.get("anneal"), list | tuple):
        anneal["anneal"] = [
            "kl.coef" if name in ("kl_in_reward", "kl_in_loss") else name for name in anneal["anneal"]
        ]
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


FLAGS: dict[str, str] = {
    **CONTROL_KEYS,
    **LANGUAGE_KEYS,
    "fit.minibatch": "fit.minibatch_size",
    "fit.piece": "fit.microbatch_size",
    "fit.drawn": "fit.subsample",
    "likelihood.mistakes": "likelihood.label_noise",
    "model.caution": "model.uncertainty_penalty",
    "answer_tokens": "max_new_tokens",
    "settings.kl_in_loss": "settings.kl.coef",
}
"""Of every command: the dotted path of a flag as it was -> as it is."""


def flag(name: str) -> str | None:
    """Today's name of a flag of before, a dotted path; none where there was none."""
    return FLAGS.get(name.replace("-", "_"))


def note(old: str, new: str) -> None:
    """Say once that a flag has another name."""
    warnings.warn(f"{old} is called {new} now", Renamed, stacklevel=2)


def setting(path: str, value: object) -> dict[str, Any]:
    """What `--set` says of one field, by today's names: values by dotted paths; a note for each that has changed."""
    head, dot, rest = path.partition(".")
    sections = {"language": "environment", "watch": "win_rate_check"}
    today = FLAGS.get(path) or f"{sections.get(head, head)}{dot}{rest}"
    if today != path:
        note(path, today)
    if path == "settings.kl_in_loss":
        return {today: value, "settings.kl.where": "loss"}
    if not isinstance(value, Mapping):
        return {today: value}
    moved_keys = {key: FLAGS[f"{path}.{key}"] for key in value if f"{path}.{key}" in FLAGS}
    for key, new in moved_keys.items():
        note(f"{path}.{key}", new)
    kept = {key: one for key, one in value.items() if key not in moved_keys}
    return ({today: kept} if kept or not moved_keys else {}) | {
        moved_keys[key]: value[key] for key in moved_keys
    }
