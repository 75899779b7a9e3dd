"""Names that users may have written before a thing was renamed; each still works, with a note, for one version."""

from collections.abc import Mapping
from typing import Any

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
METRICS: dict[str, str] = {}
"""Names of metrics as they were -> as they are."""


def moved(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with what no table of paths can say: a price in the loss, and what is empty once its keys are gone."""
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
